"""A support vector machine, one class against another, as libsvm and sklearn's SVC predict.

Each pair of classes has a decision function; the winner of a pair gets a vote, the most votes win,
and among equals the class whose name sorts first (Chang and Lin, LIBSVM, section 7). With
`break_ties`, the sums of the decisions come to the votes (sklearn's `_ovr_decision_function`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from ..bundles.manifest import WEIGHTS
from .head import HeadArgs, Query
from .knn import TIE
from .machine import Kernel, Machine, lengths_squared, linear, pairs, poly, rbf, sigmoid
from .network import aligned
from .parameters import choice, label_numbers, number, switch, whole
from .understated import LONGEST, understated

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
        classes = label_numbers(bundle, "classes", "classes")
        count = len(classes)
        if count < 2 or len(set(classes.tolist())) < count:
            raise BundleError(f"{WEIGHTS}: 'classes' must name two labels or more, each once")
        vectors = take("support_vectors", "F", "support", "dimension")
        counts = take("support_counts", "I", "classes").astype(np.intp)
        if counts.min() < 1 or counts.sum() != len(vectors):
            raise BundleError(
                f"{WEIGHTS}: 'support_counts' must be one or more for each class, and"
                f" {len(vectors)} together, as 'support_vectors' has"
            )
        coefficients = take("dual_coefficients", "F", count - 1, "support").astype(np.float64)
        first, second = pairs(count)
        intercepts = take("intercepts", "F", len(first)).astype(np.float64)
        kernel = _kernel(bundle, vectors)
        own = np.arange(count).repeat(counts)
        self._machine = Machine(aligned(vectors), own, coefficients, intercepts, kernel)
        # A pair gives its second class a vote, and by its decision takes that to the first.
        self._moves = np.zeros((len(first), len(bundle.labels)))
        self._moves[np.arange(len(first)), classes[first]] = 1.0
        self._moves[np.arange(len(first)), classes[second]] = -1.0
        self._given = np.full(len(bundle.labels), -1.0)
        self._given[classes] = np.arange(count) - np.arange(count) * TIE
        self._break_ties = switch(bundle, "break_ties") and count > 2
        self._small = None
        if choice(bundle, "kernel", KERNELS) == "rbf" and not self._break_ties:
            gamma = number(bundle, "gamma", 0.0)
            self._small, self._machine = understated(self._machine, gamma)
        self._largest = classes[counts.argmax()]
        self._all_won = count - 1.5

    def scores(self, query: Query) -> np.ndarray:
        embedding = query.embedding
        assert embedding is not None
        if self._small is not None and embedding @ embedding <= LONGEST:
            votes = self._votes(self._small.decisions(embedding))
            if votes[self._largest] > self._all_won:
                return votes
        decisions = self._machine.decisions(embedding)
        votes = self._votes(decisions)
        if self._break_ties:
            sums = decisions @ self._moves
            votes += sums / (3 * (np.abs(sums) + 1))
        return votes

    def _votes(self, decisions: np.ndarray) -> np.ndarray:
        votes: np.ndarray = (decisions > 0) @ self._moves + self._given
        return votes


def _kernel(bundle: Bundle, vectors: np.ndarray) -> Kernel:
    kind = choice(bundle, "kernel", KERNELS)
    gamma, offset = number(bundle, "gamma", 0.0), number(bundle, "coef0")
    degree = whole(bundle, "degree", 0, 100)
    if kind == "linear":
        return linear()
    if kind == "poly":
        return poly(gamma, offset, degree)
    if kind == "rbf":
        return rbf(gamma, lengths_squared(vectors))
    return sigmoid(gamma, offset)
