"""Scores by what models did on similar queries and on the user's own: TSRouter.

No paper of that name could be found. This is the graph that LLMRouter's `tsrouter` describes: a
query attends to tasks and to its nearest neighbours among past queries, each of which tells how
well the models did; here also to its user's past queries. A perceptron scores the query's state
with each model's, which takes in its modality. Attention is that of the Heterogeneous Graph
Transformer (arXiv:2003.01332, section 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from ..bundles.manifest import MANIFEST, WEIGHTS
from .head import HeadArgs, Query
from .parameters import names, whole

if TYPE_CHECKING:
    from ..bundles.reading import Bundle

GELU = (2 / np.pi) ** 0.5
NORM_EPSILON = 1e-5


class TsHead:
    """With W the width and H the heads that share it:

    Tensors: `own_weight` float[W, dimension], `own_bias` float[W], the query's state before it
    attends; `ask_weight`, `ask_bias`, the like, what it asks, over √(W/H); `task_keys`,
    `task_values` float[tasks, W]; `neighbour_keys`, `neighbour_values` float[points, W], and
    `points` float[points, dimension]; `history_keys`, `history_values` float[past, W], a user's
    after another's, and `history_starts` int[users + 1], where each one's begin; `update_weight`
    float[W, W], `update_bias` float[W] and `kept` float[1], the share of the state that stays;
    `hidden_weight` float[W, W], `hidden_models` float[labels, W], `score_weight` float[W].

    Parameters: `users`: their names, in the order of the histories; `heads`; `neighbours`, how many
    points are looked at. Users whom training didn't know have no past.
    """

    embeds = True
    blocking = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        take = bundle.weights.take
        users = names(bundle, "users")
        self._own = take("own_weight", "F", "width", "dimension"), take("own_bias", "F", "width")
        self._ask = take("ask_weight", "F", "width", "dimension"), take("ask_bias", "F", "width")
        self._points = take("points", "F", "points", "dimension")
        self._nearest = whole(bundle, "neighbours", 1, len(self._points))
        width = len(self._own[1])
        self._heads = whole(bundle, "heads", 1, width)
        if width % self._heads:
            raise BundleError(f"{MANIFEST}: parameters.heads must divide the width, {width}")
        self._tasks = self._seen(bundle, "task", "tasks")
        self._neighbours = self._seen(bundle, "neighbour", "points")
        self._past = self._histories(bundle, users)
        self._update = (
            take("update_weight", "F", "width", "width"),
            take("update_bias", "F", "width"),
        )
        self._kept = take("kept", "F", 1)
        self._hidden = take("hidden_weight", "F", "width", "width")
        self._models = take("hidden_models", "F", "labels", "width")
        self._score = take("score_weight", "F", "width")

    def scores(self, query: Query) -> np.ndarray:
        """The logit of each model to be the one to choose, but for what is the same for all."""
        assert query.embedding is not None
        state = self._own[0] @ query.embedding + self._own[1]
        found = self._attended(query.embedding, query.user)
        moved = self._update[0] @ _gelu(found) + self._update[1] + self._kept * state
        moved -= moved.mean()
        normal = moved / np.sqrt((moved * moved).mean() + NORM_EPSILON)
        scores: np.ndarray = np.maximum(self._hidden @ normal + self._models, 0) @ self._score
        return scores

    def _attended(self, embedding: np.ndarray, user: str) -> np.ndarray:
        """float[W], of everything that the query is told."""
        near = self._points @ embedding
        if self._nearest < len(near):
            near = np.argpartition(near, -self._nearest)[-self._nearest :]
        else:
            near = np.arange(len(near))
        told = [self._tasks, (self._neighbours[0][near], self._neighbours[1][near])]
        if user in self._past:
            told.append(self._past[user])
        keys = np.concatenate([keys for keys, _ in told])
        values = np.concatenate([values for _, values in told])
        asked = (self._ask[0] @ embedding + self._ask[1]).reshape(self._heads, -1)
        logits = np.einsum("nhd,hd->nh", keys, asked)
        weights = np.exp(logits - logits.max(axis=0))
        weights /= weights.sum(axis=0)
        found: np.ndarray = np.einsum("nh,nhd->hd", weights, values).ravel()
        return found

    def _seen(self, bundle: Bundle, name: str, size: str) -> tuple[np.ndarray, np.ndarray]:
        keys = bundle.weights.take(f"{name}_keys", "F", size, "width")
        values = bundle.weights.take(f"{name}_values", "F", size, "width")
        shape = (len(keys), self._heads, -1)
        return keys.reshape(shape), values.reshape(shape)

    def _histories(
        self, bundle: Bundle, users: tuple[str, ...]
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        if not users:
            return {}
        starts = bundle.weights.take("history_starts", "I", len(users) + 1).astype(np.int64)
        keys, values = self._seen(bundle, "history", "past")
        if starts[0] != 0 or starts[-1] != len(keys) or (np.diff(starts) < 0).any():
            raise BundleError(f"{WEIGHTS}: 'history_starts' must rise from 0 to {len(keys)}")
        return {
            user: (keys[start:end], values[start:end])
            for user, start, end in zip(users, starts[:-1], starts[1:], strict=True)
            if end > start
        }


def _gelu(x: np.ndarray) -> np.ndarray:
    """The tanh form of Hendrycks and Gimpel (arXiv:1606.08415, section 2)."""
    found: np.ndarray = 0.5 * x * (1 + np.tanh(GELU * (x + 0.044715 * x * x * x)))
    return found
