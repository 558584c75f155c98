"""Expected quality less weighted cost: the strategy `trunkline-scores`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from ..bundles.manifest import MANIFEST
from .costs import Costs
from .features import Features
from .head import HeadArgs, Query
from .parameters import number
from .quality import Neighbours, Ridge, TaskNetwork

if TYPE_CHECKING:
    from ..bundles.reading import Bundle

PARTS = ("ridge", "neighbours", "network", "tasks")


class ScoresHead:
    """A label's score is its expected quality, about 0 to 1, minus what `Costs` takes off.

    The expected quality is the label's mean quality, tensor `mean_quality` float[labels], plus a
    weighted sum of how far each part (`quality.py`) lies from it. Parameters: `share_ridge`,
    `share_neighbours`, `share_network`, `share_tasks`, from 0 to 2; a part whose share is 0 has no
    tensors. Among labels of equal score the first one in the manifest wins.
    """

    embeds = True
    blocking = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        self._costs = Costs(bundle, args)
        self._features = Features.of_bundle(bundle.weights)
        ridge, near, network, tasks = (number(bundle, f"share_{part}", 0, 2) for part in PARTS)
        if not ridge + near + network + tasks:
            raise BundleError(f"{MANIFEST}: one of parameters.share_… must be above 0")
        self._ridge_share, self._near_share = np.float32(ridge), np.float32(near)
        self._ridge = Ridge(bundle) if ridge else None
        self._neighbours = Neighbours(bundle) if near else None
        self._network = TaskNetwork(bundle, network, tasks) if network + tasks else None
        mean = bundle.weights.take("mean_quality", "F", "labels")
        self._rest = mean * np.float32(1 - ridge - near - network - tasks)

    def scores(self, query: Query) -> np.ndarray:
        assert query.embedding is not None
        scores = self.quality(self._features(query.text, query.embedding))
        scores -= self._costs.of(query)
        return scores

    def quality(self, features: np.ndarray) -> np.ndarray:
        """The expected quality of each label, float[labels], from float32[features]."""
        if self._network is not None:
            quality = self._network(features)
            quality += self._rest
        else:
            quality = self._rest.copy()
        if self._ridge is not None:
            quality += self._ridge_share * _limited(self._ridge(features))
        if self._neighbours is not None:
            quality += self._near_share * self._neighbours(features)
        return quality


def _limited(quality: np.ndarray) -> np.ndarray:
    limited: np.ndarray = np.minimum(np.maximum(quality, 0), 1)
    return limited
