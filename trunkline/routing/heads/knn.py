"""k nearest neighbours: the labels of the nearest training queries vote.

As scikit-learn's `KNeighborsClassifier.predict` decides: by the mode of the neighbours' classes,
or by the sum of their inverse distances; among equals the class whose name sorts first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .head import HeadArgs, Query
from .network import aligned, product
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
    float64 orders those, where that makes a difference.
    """

    embeds = True
    blocking = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        self._points = aligned(bundle.weights.take("points", "F", "points", "dimension"))
        self._labels = label_numbers(bundle, "point_labels", "points")
        count, dimension = self._points.shape
        self._k = whole(bundle, "n_neighbors", 1, count)
        self._inverse = choice(bundle, "weights", ("uniform", "distance")) == "distance"
        self._cosine = choice(bundle, "metric", ("euclidean", "cosine")) == "cosine"
        self._ties = by_name(bundle.labels) * TIE
        squares = np.einsum("ij,ij->i", self._points, self._points, dtype=np.float64)
        lengths = np.sqrt(squares)
        lengths[lengths == 0] = 1.0
        self._halves = (squares / 2.0).astype(np.float32)
        self._shares = (1.0 / lengths).astype(np.float32)
        # Twice the worst rounding of a float32 product of `dimension` terms (Higham, Accuracy and
        # Stability of Numerical Algorithms, 3.1), by the query's length, and of the halves.
        longest = 1.0 if self._cosine else float(lengths.max())
        self._slack = 2.0**-23 * longest * (dimension + 4)
        self._least_slack = 2.0**-21 * longest**2

    def scores(self, query: Query) -> np.ndarray:
        assert query.embedding is not None
        nearest, weights = self._nearest(query.embedding), None
        if self._inverse or len(nearest) > self._k:
            distances = self._distances(nearest, query.embedding.astype(np.float64))
            order = distances.argsort(kind="stable")[: self._k]
            nearest, distances = nearest[order], distances[order]
            if self._inverse:
                exact = distances == 0
                weights = exact.astype(float) if exact.any() else 1.0 / distances
        votes = np.bincount(self._labels[nearest], weights, len(self._ties))
        scores: np.ndarray = votes / votes.sum() - self._ties
        return scores

    def _nearest(self, embedding: np.ndarray) -> np.ndarray:
        """In their order, the points that can be among the k nearest: k, or more."""
        near = product(self._points, embedding)
        if self._cosine:
            near *= self._shares
        else:
            near -= self._halves
        place = len(near) - self._k
        slack = self._slack * math.sqrt(embedding @ embedding) + self._least_slack
        least = np.partition(near, place)[place] - slack
        found: np.ndarray = (near >= least).nonzero()[0]
        return found

    def _distances(self, near: np.ndarray, embedding: np.ndarray) -> np.ndarray:
        """float64[near], alike for equal points, as einsum sums each row in the same order."""
        points = self._points[near].astype(np.float64)
        if self._cosine:
            squares = np.einsum("ij,ij->i", points, points) * (embedding @ embedding)
            squares[squares == 0] = 1.0
            cosines = np.einsum("ij,j->i", points, embedding) / np.sqrt(squares)
            clipped: np.ndarray = np.clip(1.0 - cosines, 0.0, 2.0)
            return clipped
        difference = points - embedding
        distances: np.ndarray = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        return distances
