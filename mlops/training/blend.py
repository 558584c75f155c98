"""Estimates of quality by cross-validation, and how much each should count in a blend of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from trunkline.routing.bundles.manifest import WEIGHTS as FILE
from trunkline.routing.bundles.manifest import FileEntry, Manifest
from trunkline.routing.bundles.reading import Bundle
from trunkline.routing.bundles.weights import Weights
from trunkline.routing.heads.quality import Neighbours, TaskNetwork

from ..dataset import Dataset
from .quality import means, neighbours, ridge, shrunk_means
from .task_network import NetworkOptions, train_network

ALPHAS = (100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0)
NEIGHBOURS = (10, 20, 40, 80, 160)


@dataclass(frozen=True, slots=True, eq=False)
class Fitting:
    """Fits the parts of a blend to some of the queries of a dataset.

    features: float32[N, d]. tasks: int[N]. points: of the nearest queries, at most.
    """

    dataset: Dataset
    features: np.ndarray
    tasks: np.ndarray
    network: NetworkOptions
    points: int
    seed: int

    def ridge(self, rows: np.ndarray, alpha: float) -> dict[str, np.ndarray]:
        return ridge(self.features[rows], self.dataset.performance[rows], alpha)

    def neighbours(self, rows: np.ndarray, alpha: float) -> dict[str, np.ndarray]:
        """What wasn't measured stands there as ridge regression expects it."""
        quality = self.dataset.performance[rows]
        if np.isnan(quality).any():
            expected = linear(self.ridge(rows, alpha), self.features[rows])
            quality = np.where(np.isnan(quality), expected, quality)
        return neighbours(self.features[rows], quality, self.points, self.seed)

    def networks(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        quality, tasks = self.dataset.performance[rows], self.tasks[rows]
        found = train_network(self.features[rows], quality, tasks, self.network, self.seed)
        of_tasks = shrunk_means(quality, tasks, found["net_tasks"].shape[1])
        return {**found, "task_quality": np.ascontiguousarray(of_tasks.T)}

    def bundle(self, tensors: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Bundle:
        """What the serving code is built from."""
        manifest = Manifest(
            format_version=1,
            strategy="trunkline-scores",
            version="0",
            created=self.dataset.created,
            labels=self.dataset.labels,
            embedder=self.dataset.embedder,
            parameters=parameters,
            training=self.dataset.training,
            files={FILE: FileEntry(sha256="0" * 64, size=0)},
        )
        sizes = {"labels": len(self.dataset.labels), "features": self.features.shape[1]}
        stored = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
        return Bundle(manifest, Weights(stored, sizes), "")


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """What queries were expected to be answered like by fits that hadn't seen them.

    parts: float[N, L] by the name of the part. alpha, neighbours: with which these came out best.
    """

    parts: Mapping[str, np.ndarray]
    alpha: float
    neighbours: int


def linear(tensors: Mapping[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    """float[N, L] in [0, 1]: what `ridge` expects."""
    return np.clip(features @ tensors["ridge_weights"].T + tensors["ridge_bias"], 0, 1)


def cross_validated(
    fitting: Fitting,
    parts: tuple[str, ...],
    folds: int,
    alphas: tuple[float, ...],
    counts: tuple[int, ...],
    told: Callable[[], None],
) -> Estimates:
    """The parts' estimates of every query. told: called after each step of `steps`."""
    quality = fitting.dataset.performance
    splits = _splits(len(quality), folds, fitting.seed)
    smallest = min(len(rows) for rows, _ in splits)
    counts = tuple(sorted({min(each, smallest, fitting.points) for each in counts}))
    by_alpha = np.zeros((len(alphas), *quality.shape))
    for rows, held in splits:
        for place, alpha in enumerate(alphas):
            by_alpha[place, held] = linear(fitting.ridge(rows, alpha), fitting.features[held])
        told()
    best = int(np.argmin([distance(each, quality) for each in by_alpha]))
    found = {"ridge": by_alpha[best]}
    alpha, count = alphas[best], counts[0]
    if "neighbours" in parts:
        by_count = np.zeros((len(counts), *quality.shape))
        for rows, held in splits:
            tensors = fitting.neighbours(rows, alpha)
            for place, each in enumerate(counts):
                part = Neighbours(fitting.bundle(tensors, {"neighbours": each}))
                by_count[place, held] = [part(row) for row in fitting.features[held]]
            told()
        nearest = int(np.argmin([distance(each, quality) for each in by_count]))
        found["neighbours"], count = by_count[nearest], counts[nearest]
    if "network" in parts:
        pairs = np.zeros((2, *quality.shape))
        for rows, held in splits:
            network = TaskNetwork(fitting.bundle(fitting.networks(rows), {}))
            pairs[:, held] = np.array([network(row) for row in fitting.features[held]]).swapaxes(
                0, 1
            )
            told()
        found["network"], found["tasks"] = pairs
    return Estimates({part: found[part] for part in parts}, alpha, count)


def steps(parts: tuple[str, ...], folds: int) -> int:
    """How often `cross_validated` tells that it got on."""
    return folds * (1 + ("neighbours" in parts) + ("network" in parts))


def shares(estimates: Estimates, quality: np.ndarray) -> dict[str, float]:
    """How much each part counts: at least 0, by least squares.

    Breiman 1996, "Stacked Regressions".

    What is fitted is how the labels' qualities differ within a query, which is what decides.
    """
    mean = means(quality)
    measured = ~np.isnan(quality)
    wanted = _differences(quality - mean, measured)[measured]
    columns = [_differences(each - mean, measured)[measured] for each in estimates.parts.values()]
    found, _ = nnls(np.column_stack(columns), wanted)
    if not found.any():
        found[0] = 1.0
    return {
        part: round(float(min(share, 2.0)), 4)
        for part, share in zip(estimates.parts, found, strict=True)
    }


def blend(
    parts: Mapping[str, np.ndarray], counting: Mapping[str, float], mean: np.ndarray
) -> np.ndarray:
    """float[N, L]: the quality that the head expects."""
    expected = mean + sum(counting[part] * (each - mean) for part, each in parts.items())
    return np.clip(expected, 0, 1)


def distance(expected: np.ndarray, quality: np.ndarray) -> float:
    """Mean squared error of the differences between labels within a query."""
    measured = ~np.isnan(quality)
    wrong = _differences(expected, measured) - _differences(quality, measured)
    return float(np.mean(wrong[measured] ** 2))


def _differences(values: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """float[N, L]: less the mean of the measured labels of each query."""
    known = np.where(measured, values, 0.0)
    return values - known.sum(axis=1, keepdims=True) / measured.sum(axis=1, keepdims=True).clip(1)


def _splits(count: int, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    order = np.random.default_rng(seed).permutation(count)
    return [
        (np.sort(np.concatenate([*parts[:place], *parts[place + 1 :]])), np.sort(held))
        for parts in [np.array_split(order, folds)]
        for place, held in enumerate(parts)
    ]
