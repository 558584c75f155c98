"""Scores that are linear in the query's embedding.

LLMRouter's matrix factorisation is: a model's score, wᵀ (v ⊙ W q) with v its normalised vector
(RouteLLM, arXiv:2406.18665, section 4.2, without the bias), is a row of A q. So is its graph
network: no edge leads to a query's node, so that a trained graph's model nodes are constants, and a
score is a model node times a linear map of the query, scaled as in training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .head import HeadArgs, Query
from .network import product

if TYPE_CHECKING:
    from ..bundles.reading import Bundle


class LinearHead:
    """Tensors: `weights` float[labels, dimension], `bias` float[labels]."""

    embeds = True
    blocking = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        self._weights = bundle.weights.take("weights", "F", "labels", "dimension")
        self._bias = bundle.weights.take("bias", "F", "labels")

    def scores(self, query: Query) -> np.ndarray:
        assert query.embedding is not None
        scores: np.ndarray = product(self._weights, query.embedding) + self._bias
        return scores
