"""A small machine that stands in for a large one where one class has most support vectors.

Of a class, each decision has a sum of α · exp(-γ · distance²), with no α below 0. As exp is convex,
a group of such terms is no less than the sum of its α times exp of the mean exponent, weighted by
α (Jensen's inequality); and that of -γ · distance² takes the mean of the support vectors and of
their squared lengths alone. So where these means win a pair for their class, the class wins it.
"""

from __future__ import annotations

import math

import numpy as np

from .machine import Machine, lengths_squared, pairs, rbf
from .network import aligned, product

GROUPS = 32
"""Of the largest class. They tell of four in five held-out queries of `bench` who wins them."""
ROUNDS = 8
LONGEST = 1.01
"""The squared length of the longest query that this is right for; embeddings have 1."""


def understated(machine: Machine, gamma: float) -> tuple[Machine | None, Machine]:
    """A small machine of the same classes, and the one that is given; both with an RBF kernel.

    Where the small one has the largest class win all its pairs, so does the other, and both decide
    every other pair alike. They hold the vectors of the other classes in common. There is no small
    one where it would have more than half the support vectors, or where the coefficients aren't
    those of a machine that was trained.
    """
    counts = np.bincount(machine.own)
    largest = int(counts.argmax())
    its = machine.own == largest
    others = len(its) - counts[largest]
    # Its coefficients are above 0 against a class that comes later, below against an earlier.
    side = np.where(np.arange(len(counts) - 1) < largest, -1.0, 1.0)[:, np.newaxis]
    strengths = machine.coefficients[:, its] * side
    few = 2 * (others + GROUPS * (len(counts) - 1)) <= len(its)
    if not few or strengths.min() < 0 or strengths.max() == 0:
        return None, machine
    squares = lengths_squared(machine.vectors)
    means, mean_squares, totals = _means(machine.vectors[its], squares[its], strengths)

    first, second = pairs(len(counts))
    against = (first == largest) * 1.0 - (second == largest)
    slack = machine.summed(np.abs(machine.coefficients)) * _rounding(machine, gamma, squares.max())

    order = its.argsort(kind="stable")
    own = np.concatenate((np.full(len(means), largest), machine.own[order]))
    vectors = aligned(np.concatenate((means, machine.vectors[order])))
    coefficients = np.concatenate((totals * side, machine.coefficients[:, order]), axis=1)
    squares = np.concatenate((mean_squares, squares[order]))

    def part(of: slice, intercepts: np.ndarray) -> Machine:
        # Copied, as decisions with views of longer rows take a seventh more time.
        rows, kernel = np.ascontiguousarray(coefficients[:, of]), rbf(gamma, squares[of])
        return Machine(vectors[of], own[of], rows, intercepts, kernel)

    small = part(slice(len(means) + others), machine.intercepts - against * slack)
    return small, part(slice(len(means), None), machine.intercepts)


def _rounding(machine: Machine, gamma: float, square: float) -> float:
    """How far apart, at most, two kernels of one exponent are for the rounding of float32 products.

    Higham, Accuracy and Stability of Numerical Algorithms, 3.1. From an exponent that is wrong by
    1 on, that is more than any kernel, which is 1 at most.
    """
    length = machine.vectors.shape[1] + 8
    exponent = 2.0 * gamma * math.sqrt(square * LONGEST) * length * 2.0**-24
    return 2.0 * math.expm1(min(exponent, 1.0)) + 2.0**-40


def _means(
    points: np.ndarray, squares: np.ndarray, strengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each group, against each class: the mean point, the mean square, and the strength.

    float32[means, dimension], float64[means] and float64[classes - 1, means], 0 but for that class.
    """
    order, starts = _groups(points)
    points, squares, strengths = points[order], squares[order], strengths[:, order]
    totals = np.add.reduceat(strengths, starts, axis=1)
    spread = np.kron(np.eye(len(totals)), np.ones(len(starts))) * totals.ravel()
    held = totals > 0
    sums = np.array([np.add.reduceat(row[:, np.newaxis] * points, starts) for row in strengths])
    means = sums[held] / totals[held, np.newaxis]
    mean_squares = np.add.reduceat(strengths * squares, starts, axis=1)[held] / totals[held]
    return means.astype(np.float32), mean_squares, spread[:, held.ravel()]


def _groups(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of points in which groups follow each other, and where each starts; by k-means."""
    centres = points[np.linspace(0, len(points) - 1, GROUPS).astype(int)]
    for _ in range(ROUNDS):
        near = np.array([product(points, centre) - centre @ centre / 2 for centre in centres])
        nearest = near.argmax(axis=0)
        order = nearest.argsort(kind="stable")
        starts = np.unique(nearest[order], return_index=True)[1]
        sizes = np.diff(starts, append=len(points))
        centres = np.add.reduceat(points[order], starts) / sizes[:, np.newaxis].astype(np.float32)
    return order, starts
