"""Trains `trunkline-cluster`: k-means of the queries, and each label's mean quality in each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from tqdm import tqdm

from ..dataset import Dataset
from .blend import distance, splits
from .configured import AUTO, check_dataset, configured, default_cost_weight
from .features import computed, shaped
from .quality import kmeans, shrunk_means
from .trainer import Job, Trained

STRATEGY = "trunkline-cluster"
DEFAULTS: Mapping[str, Any] = {"clusters": AUTO, "cost_weight": AUTO, "folds": 5}
"""clusters: how many; "auto" is what tells the labels of a query apart best in cross-validation.
cost_weight, folds: as those of `trunkline-scores`."""

CLUSTERS = (4, 8, 16, 32, 64, 128, 256)
FEWEST_IN_A_CLUSTER = 10


def train(dataset: Dataset, job: Job) -> Trained:
    """Needs 10 queries and 2 labels. Raises ValueError as `Trainer` says."""
    options = configured(STRATEGY, job.config, DEFAULTS, {})
    check_dataset(STRATEGY, dataset, options["cost_weight"])
    shaping = shaped(dataset.queries)
    features = computed(shaping, dataset.queries, dataset.embeddings)
    most = max(len(dataset) // FEWEST_IN_A_CLUSTER, 1)
    counts = CLUSTERS if options["clusters"] == AUTO else (max(int(options["clusters"]), 1),)
    counts = tuple(sorted({min(each, most) for each in counts}))
    quality = dataset.performance
    expected = np.zeros((len(counts), *quality.shape))
    folds = splits(len(dataset), options["folds"], job.seed)
    with tqdm(total=len(counts) * len(folds) + 1, desc=STRATEGY, unit="fit") as bar:
        for place, count in enumerate(counts):
            for rows, held in folds:
                centres, means = _fitted(features[rows], quality[rows], count, job.seed)
                expected[place, held] = means[_nearest(centres, features[held])]
                bar.update()
        best = int(np.argmin([distance(each, quality) for each in expected]))
        centres, means = _fitted(features, quality, counts[best], job.seed)
        bar.update()
    weight = options["cost_weight"]
    if weight == AUTO:
        weight = default_cost_weight(dataset, expected[best])
    return Trained(
        {"centres": centres, "cluster_quality": means.astype(np.float32)} | shaping.tensors,
        {"cost_weight": float(weight), "clusters": len(centres)},
        libraries={name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
    )


def _fitted(
    features: np.ndarray, quality: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """float32[clusters, d] centres, and float[clusters, L] mean qualities."""
    centres, assigned = kmeans(features, count, seed)
    return centres, shrunk_means(quality, assigned, len(centres))


def _nearest(centres: np.ndarray, features: np.ndarray) -> np.ndarray:
    """int[N], as the head decides it."""
    halves = np.vecdot(centres, centres) / 2
    return np.argmax(features @ centres.T - halves, axis=1)
