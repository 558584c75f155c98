"""k nearest neighbours: the labels of the nearest training queries vote.

As scikit-learn's `KNeighborsClassifier.predict` decides: by the mode of the neighbours' classes,
or by the sum of their inverse distances; among equals the class whose name sorts first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .head import HeadArgs, Query
from .network import product
from .parameters import choice, label_numbers, whole

if TYPE_CHECKING:
    from ..bundles.reading import Bundle

TIE = 2.0**-40
"""What one place in the order of names is worth: too little to outweigh anything but equality."""


def by_name(labels: tuple[str, ...]) -> np.ndarray:
    """int[labels]: each label's place in the order of names, which is that of sklearn's classes."""
    return np.argsort(np.argsort(np.array(labels)))


class KnnHead:
    """Tensors: `points` float[points, dimension], `point_labels` int[points].

    Parameters: `n_neighbors`; `weights` (uniform, distance); `metric` (euclidean, cosine).

    A float32 product finds the few points that can be among the nearest, whatever its rounding;
    float64 orders those.
    """

    embeds = True
    blocking = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        self._points = bundle.weights.take("points", "F", "points", "dimension")
        self._labels = label_numbers(bundle, "point_labels", "points")
        count, dimension = self._points.shape
        self._k = whole(bundle, "n_neighbors", 1, count)
        self._inverse = choice(bundle, "weights", ("uniform", "distance")) == "distance"
        self._cosine = choice(bundle, "metric", ("euclidean", "cosine")) == "cosine"
        self._ties = by_name(bundle.labels) * TIE
        squares = np.einsum("ij,ij->i", self._points, self._points, dtype=np.float64)
        self._lengths = np.sqrt(squares)
        self._lengths[self._lengths == 0] = 1.0
        self._squares = squares.astype(np.float32)
        self._shares = (1.0 / self._lengths).astype(np.float32)
        # Twice the worst rounding of a float32 product of `dimension` terms (Higham, Accuracy and
        # Stability of Numerical Algorithms, 3.1), for a query of length 1.
        longest = 1.0 if self._cosine else 2.0 * float(self._lengths.max())
        self._slack = 2.0 * longest * (dimension + 4) * 2.0**-24

    def scores(self, query: Query) -> np.ndarray:
        assert query.embedding is not None
        nearest, distances = self._nearest(query.embedding)
        weights = None
        if self._inverse:
            exact = distances == 0
            weights = exact.astype(float) if exact.any() else 1.0 / distances
        votes = np.bincount(self._labels[nearest], weights, minlength=len(self._ties))
        scores: np.ndarray = votes / votes.sum() - self._ties
        return scores

    def _nearest(self, embedding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest points and their distances, nearest first; equals in their order."""
        products = product(self._points, embedding)
        length = float(np.sqrt(embedding @ embedding)) or 1.0
        k = self._k
        rough = products * -self._shares if self._cosine else self._squares - 2.0 * products
        bound = np.partition(rough, k - 1)[k - 1] + self._slack * max(length, 1.0)
        near = np.flatnonzero(rough <= bound)
        exact = self._distances(near, embedding.astype(np.float64), length)
        order = np.argsort(exact, kind="stable")[:k]
        return near[order], exact[order]

    def _distances(self, near: np.ndarray, embedding: np.ndarray, length: float) -> np.ndarray:
        points = self._points[near].astype(np.float64)
        if self._cosine:
            cosines = points @ embedding / (self._lengths[near] * length)
            clipped: np.ndarray = np.clip(1.0 - cosines, 0.0, 2.0)
            return clipped
        difference = points - embedding
        distances: np.ndarray = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        return distances
