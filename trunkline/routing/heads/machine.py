"""The decisions of a support vector machine that has one for each pair of classes.

As libsvm holds it, with support vectors class by class (Chang and Lin, LIBSVM, section 7).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .network import product

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From float32[support] products with the query, and the query, to float64[support]."""


class Machine:
    """vectors: float32[support, dimension]. own: int[support], the class of each; those of a class
    stand together.

    coefficients: float64[classes - 1, support]. A pair (i, j) sums over i's support vectors with
    those against j, which stand in row j - 1, and over j's with those against i, in row i.
    intercepts: float64[pairs], (0, 1) first, then (0, 2).
    """

    def __init__(
        self,
        vectors: np.ndarray,
        own: np.ndarray,
        coefficients: np.ndarray,
        intercepts: np.ndarray,
        kernel: Kernel,
    ) -> None:
        self.vectors = vectors
        self.own = own
        self.coefficients = coefficients
        self.intercepts = intercepts
        self._kernel = kernel
        self._starts = np.diff(own, prepend=-1).nonzero()[0]
        count, place = len(self._starts), own[self._starts].argsort()
        first, second = pairs(count)
        against = (second - 1) * count + place[first], first * count + place[second]
        self._places = np.array(against)

    def decisions(self, embedding: np.ndarray) -> np.ndarray:
        """float64[pairs]: above 0 for the first class of a pair, else for the second."""
        similar = self._kernel(product(self.vectors, embedding), embedding)
        decisions: np.ndarray = self.summed(self.coefficients * similar) + self.intercepts
        return decisions

    def summed(self, terms: np.ndarray) -> np.ndarray:
        """float64[pairs] of what stands in the places of the coefficients."""
        sums: np.ndarray = np.add.reduceat(terms, self._starts, axis=1).take(self._places).sum(0)
        return sums


def pairs(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The first and the second class of each pair."""
    first, second = np.triu_indices(classes, 1)
    return first, second


def lengths_squared(vectors: np.ndarray) -> np.ndarray:
    squares: np.ndarray = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return squares


def linear() -> Kernel:
    return lambda products, query: products.astype(np.float64)


def poly(gamma: float, offset: float, degree: int) -> Kernel:
    def kernel(products: np.ndarray, query: np.ndarray) -> np.ndarray:
        powers: np.ndarray = (gamma * products.astype(np.float64) + offset) ** degree
        return powers

    return kernel


def rbf(gamma: float, squares: np.ndarray) -> Kernel:
    """squares: float64[support], the squared lengths of the support vectors."""
    scaled = gamma * squares

    def kernel(products: np.ndarray, query: np.ndarray) -> np.ndarray:
        exponents = np.multiply(products, 2.0 * gamma, dtype=np.float64)
        exponents -= scaled + gamma * float(query @ query)
        np.minimum(exponents, 0.0, out=exponents)
        similar: np.ndarray = np.exp(exponents, out=exponents)
        return similar

    return kernel


def sigmoid(gamma: float, offset: float) -> Kernel:
    return lambda products, query: np.tanh(gamma * products.astype(np.float64) + offset)
