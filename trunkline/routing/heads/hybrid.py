"""A small model or a large one, by how well the small one should do.

Hybrid LLM (Ding et al., ICLR 2024, arXiv:2404.14618), as LLMRouter has it: a perceptron estimates
whether the small model's answer is as good as the large one's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .head import HeadArgs, Query
from .network import Network
from .parameters import choice, number

if TYPE_CHECKING:
    from ..bundles.reading import Bundle


class HybridHead:
    """Tensors: those of `Network`, with one output.

    Parameters: those of `Network`; `small`, `large`: names of labels; `threshold`: the small model
    answers where the output, clipped to [0, 1], reaches it.
    """

    embeds = True
    blocking = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        self._network = Network(bundle, 1)
        self._threshold = number(bundle, "threshold")
        small = bundle.labels.index(choice(bundle, "small", bundle.labels))
        large = bundle.labels.index(choice(bundle, "large", bundle.labels))
        self._small, self._large = (
            self._ranked(len(bundle.labels), *pair) for pair in ((small, large), (large, small))
        )

    @staticmethod
    def _ranked(labels: int, best: int, second: int) -> np.ndarray:
        scores = np.full(labels, -1.0)
        scores[second] = 0.0
        scores[best] = 1.0
        return scores

    def scores(self, query: Query) -> np.ndarray:
        """1 for the model that is chosen, 0 for the other, -1 for labels that are neither."""
        assert query.embedding is not None
        suits = min(max(float(self._network(query.embedding)[0]), 0.0), 1.0)
        return (self._small if suits >= self._threshold else self._large).copy()
