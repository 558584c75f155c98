"""A multilayer perceptron that classifies the query's embedding: LLMRouter's `MLPRouter`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .head import HeadArgs, Query
from .network import Network

if TYPE_CHECKING:
    from ..bundles.reading import Bundle


class MlpHead:
    """Tensors and parameters: those of `Network`, with an output for each label."""

    embeds = True
    blocking = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        self._network = Network(bundle, "labels")

    def scores(self, query: Query) -> np.ndarray:
        assert query.embedding is not None
        return self._network(query.embedding)
