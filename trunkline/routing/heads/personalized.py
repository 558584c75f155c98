"""Scores that are linear in the query's embedding, differently for each user.

LLMRouter's `PersonalizedRouter` (arXiv:2511.16883) scores a query's node [task; query; user]
against model nodes that its graph network computes with that user's feature. No edge leads to a
query's node, so that for one user the model nodes are constants and the score is linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .head import HeadArgs, Query
from .network import product
from .parameters import names

if TYPE_CHECKING:
    from ..bundles.reading import Bundle


class PersonalizedHead:
    """Tensors: `weights` float[users + 1, labels, dimension], `bias` float[users + 1, labels].

    Parameters: `users`: their names, in the order of the tensors. The last row of each tensor is
    the mean user, who stands in for those that training didn't know.
    """

    embeds = True
    blocking = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        users = names(bundle, "users")
        rows = len(users) + 1
        self._weights = bundle.weights.take("weights", "F", rows, "labels", "dimension")
        self._bias = bundle.weights.take("bias", "F", rows, "labels")
        self._rows = {user: row for row, user in enumerate(users)}
        self._stranger = rows - 1

    def scores(self, query: Query) -> np.ndarray:
        assert query.embedding is not None
        row = self._rows.get(query.user, self._stranger)
        scores: np.ndarray = product(self._weights[row], query.embedding) + self._bias[row]
        return scores
