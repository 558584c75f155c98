"""Scores that depend on what a user's history says: GMTRouter (arXiv:2511.08590).

In the paper's graph no message goes to a query or a model, and a user's state comes of the turns in
the history alone. So a bundle holds users' states, and its prediction head remains: each model
attends to the user and the query; what it finds and what it is are scored together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from ..bundles.manifest import MANIFEST
from .head import HeadArgs, Query
from .parameters import names, whole

if TYPE_CHECKING:
    from ..bundles.reading import Bundle


class GmtHead:
    """With W the width and H the heads that share it:

    Tensors: `model_queries` float[labels, W], over √(W/H); `user_states` float[users + 1, 2W], keys
    and values; `query_weight` float[2W, dimension] and `query_bias` float[2W], from an embedding to
    the like; `output_weight` float[W, W] and `output_bias` float[W], of the attention;
    `score_weight` float[W]; `model_bias` float[labels].

    Parameters: `users`: their names, in the order of the states; `heads`. The last state is made of
    a sample of everyone's history, and stands in for users whom training didn't know.
    """

    embeds = True
    blocking = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        take = bundle.weights.take
        users = names(bundle, "users")
        models = take("model_queries", "F", "labels", "width")
        width = models.shape[1]
        heads = whole(bundle, "heads", 1, width)
        if width % heads:
            raise BundleError(f"{MANIFEST}: parameters.heads must divide the width, {width}")
        self._models = models.reshape(len(models), heads, width // heads)
        self._states = take("user_states", "F", len(users) + 1, 2 * width)
        self._query_weight = take("query_weight", "F", 2 * width, "dimension")
        self._query_bias = take("query_bias", "F", 2 * width)
        self._output_weight = np.ascontiguousarray(take("output_weight", "F", "width", "width").T)
        self._output_bias = take("output_bias", "F", "width")
        self._score_weight = take("score_weight", "F", "width")
        self._model_bias = take("model_bias", "F", "labels")
        self._rows = {user: row for row, user in enumerate(users)}
        self._stranger = len(users)
        self._shape = (2, heads, width // heads)

    def scores(self, query: Query) -> np.ndarray:
        """The logit of how well each model's answer would be liked."""
        assert query.embedding is not None
        own = self._query_weight @ query.embedding + self._query_bias
        key, value = own.reshape(self._shape)
        row = self._rows.get(query.user, self._stranger)
        user_key, user_value = self._states[row].reshape(self._shape)
        # A softmax over two is the logistic function of their difference.
        ahead = (self._models * (user_key - key)).sum(axis=2, keepdims=True)
        share = 0.5 * np.tanh(0.5 * ahead) + 0.5
        attended = (value + share * (user_value - value)).reshape(len(self._models), -1)
        hidden = np.maximum(attended @ self._output_weight + self._output_bias, 0)
        scores: np.ndarray = hidden @ self._score_weight + self._model_bias
        return scores
