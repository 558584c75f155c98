"""The mean quality in the query's cluster less weighted cost: the strategy `trunkline-cluster`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .costs import Costs
from .features import Features
from .head import HeadArgs, Query
from .network import product

if TYPE_CHECKING:
    from ..bundles.reading import Bundle


class ClusterHead:
    """A label's score is its mean quality in the nearest cluster minus what `Costs` takes off.

    Tensors: those of `Features`; `centres` float[clusters, features]; `cluster_quality`
    float[clusters, labels], in [0, 1]. Nearest is by Euclidean distance. Among labels of equal
    score the first one in the manifest wins.
    """

    embeds = True
    blocking = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        self._costs = Costs(bundle, args)
        self._features = Features.of_bundle(bundle.weights)
        self._centres = bundle.weights.take("centres", "F", "clusters", "features")
        self._halves = np.vecdot(self._centres, self._centres) / 2
        self._quality = bundle.weights.take("cluster_quality", "F", "clusters", "labels")

    def scores(self, query: Query) -> np.ndarray:
        assert query.embedding is not None
        features = self._features(query.text, query.embedding)
        cluster = int(np.argmax(product(self._centres, features) - self._halves))
        scores: np.ndarray = self._quality[cluster] - self._costs.of(query)
        return scores
