"""A support vector machine, one class against another, as libsvm and sklearn's SVC predict.

Each pair of classes has a decision function; the winner of a pair gets a vote, the most votes win,
and among equals the class whose name sorts first (Chang and Lin, LIBSVM, section 7). With
`break_ties`, the sums of the decisions come to the votes (sklearn's `_ovr_decision_function`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from ..bundles.manifest import WEIGHTS
from .head import HeadArgs, Query
from .knn import TIE
from .network import product
from .parameters import choice, label_numbers, number, switch, whole

if TYPE_CHECKING:
    from ..bundles.reading import Bundle

KERNELS = ("linear", "poly", "rbf", "sigmoid")


class SvmHead:
    """Tensors, with the classes in the order of their names and support vectors class by class:

    `classes` int[classes]: their labels; `support_counts` int[classes]; `support_vectors`
    float[support, dimension]; `dual_coefficients` float[classes - 1, support] and `intercepts`
    float[classes · (classes - 1) / 2], as libsvm holds them.

    Parameters: `kernel` (linear, poly, rbf, sigmoid), `gamma`, `coef0`, `degree`, `break_ties`.
    """

    embeds = True
    blocking = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        take = bundle.weights.take
        self._classes = label_numbers(bundle, "classes", "classes")
        count = len(self._classes)
        if count < 2 or len(set(self._classes.tolist())) < count:
            raise BundleError(f"{WEIGHTS}: 'classes' must name two labels or more, each once")
        self._vectors = take("support_vectors", "F", "support", "dimension")
        counts = take("support_counts", "I", "classes").astype(np.intp)
        if counts.min() < 1 or counts.sum() != len(self._vectors):
            raise BundleError(
                f"{WEIGHTS}: 'support_counts' must be one or more for each class, and"
                f" {len(self._vectors)} together, as 'support_vectors' has"
            )
        self._starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
        coefficients = take("dual_coefficients", "F", count - 1, "support")
        self._coefficients = coefficients.astype(np.float64)
        first, second = np.triu_indices(count, 1)
        self._intercepts = take("intercepts", "F", len(first)).astype(np.float64)
        self._first, self._second = first, second
        self._labels = len(bundle.labels)
        self._ties = np.arange(count) * TIE
        self._break_ties = switch(bundle, "break_ties") and count > 2
        self._kernel = _kernel(bundle, self._vectors)

    def scores(self, query: Query) -> np.ndarray:
        assert query.embedding is not None
        decisions = self._decisions(query.embedding)
        count = len(self._classes)
        wins = decisions > 0
        votes = np.bincount(np.where(wins, self._first, self._second), minlength=count) - self._ties
        if self._break_ties:
            sums = np.bincount(self._first, decisions, count)
            sums -= np.bincount(self._second, decisions, count)
            votes += sums / (3 * (np.abs(sums) + 1))
        scores = np.full(self._labels, -1.0)
        scores[self._classes] = votes
        return scores

    def _decisions(self, embedding: np.ndarray) -> np.ndarray:
        """float[pairs]. A pair (i, j) sums over i's support vectors with the coefficients against
        j, which stand in row j - 1, and over j's with those against i, in row i."""
        similar = self._kernel(product(self._vectors, embedding), embedding)
        sums = np.add.reduceat(self._coefficients * similar, self._starts, axis=1)
        first, second = self._first, self._second
        decisions: np.ndarray = sums[second - 1, first] + sums[first, second] + self._intercepts
        return decisions


Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From float32[support] products with the query, and the query, to float64[support]."""


def _kernel(bundle: Bundle, vectors: np.ndarray) -> Kernel:
    kind = choice(bundle, "kernel", KERNELS)
    gamma, offset = number(bundle, "gamma", 0.0), number(bundle, "coef0")
    degree = whole(bundle, "degree", 0, 100)
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)

    def linear(products: np.ndarray, query: np.ndarray) -> np.ndarray:
        return products.astype(np.float64)

    def poly(products: np.ndarray, query: np.ndarray) -> np.ndarray:
        powers: np.ndarray = (gamma * products.astype(np.float64) + offset) ** degree
        return powers

    def rbf(products: np.ndarray, query: np.ndarray) -> np.ndarray:
        distances = squares + float(query @ query) - 2.0 * products
        similar: np.ndarray = np.exp(-gamma * np.maximum(distances, 0.0))
        return similar

    def sigmoid(products: np.ndarray, query: np.ndarray) -> np.ndarray:
        return np.tanh(gamma * products.astype(np.float64) + offset)

    return {"linear": linear, "poly": poly, "rbf": rbf, "sigmoid": sigmoid}[kind]
