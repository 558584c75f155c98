"""Estimates of quality by cross-validation, and how much each should count in a blend of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
NEIGHBOURS = (10, 20, 40, 80, 160, 320)


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

    def network_of(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        quality, tasks = self.dataset.performance[rows], self.tasks[rows]
        found = train_network(self.features[rows], quality, tasks, self.network, self.seed)
        of_tasks = shrunk_means(quality, tasks, len(found["net_tasks"]))
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


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """Cross-validates the parts of a blend.

    splits: see `splits`. alphas, counts: ridge penalties and numbers of neighbours to choose from.
    told: called after each of the `steps`.
    """

    fitting: Fitting
    splits: Sequence[tuple[np.ndarray, np.ndarray]]
    alphas: tuple[float, ...]
    counts: tuple[int, ...]
    told: Callable[[], object]

    def steps(self, parts: tuple[str, ...]) -> int:
        return len(self.splits) * (1 + ("neighbours" in parts) + ("network" in parts))

    def estimates(self, parts: tuple[str, ...]) -> Estimates:
        """The parts' estimates of every query."""
        ridges, place = self._best(self._ridges())
        found, alpha, count = {"ridge": ridges}, self.alphas[place], self.counts[0]
        if "neighbours" in parts:
            counts = self._counts()
            found["neighbours"], place = self._best(self._neighbours(alpha, counts))
            count = counts[place]
        if "network" in parts:
            found["network"], found["tasks"] = self._networks()
        return Estimates({part: found[part] for part in parts}, alpha, count)

    def _best(self, candidates: np.ndarray) -> tuple[np.ndarray, int]:
        quality = self.fitting.dataset.performance
        best = int(np.argmin([distance(each, quality) for each in candidates]))
        return candidates[best], best

    def _blank(self, candidates: int) -> np.ndarray:
        return np.zeros((candidates, *self.fitting.dataset.performance.shape))

    def _counts(self) -> tuple[int, ...]:
        most = min(self.fitting.points, *(len(rows) for rows, _ in self.splits))
        return tuple(sorted({max(min(each, most), 1) for each in self.counts}))

    def _ridges(self) -> np.ndarray:
        found = self._blank(len(self.alphas))
        for rows, held in self.splits:
            for place, alpha in enumerate(self.alphas):
                tensors = self.fitting.ridge(rows, alpha)
                found[place, held] = linear(tensors, self.fitting.features[held])
            self.told()
        return found

    def _neighbours(self, alpha: float, counts: tuple[int, ...]) -> np.ndarray:
        found = self._blank(len(counts))
        for rows, held in self.splits:
            tensors = self.fitting.neighbours(rows, alpha)
            for place, count in enumerate(counts):
                part = Neighbours(self.fitting.bundle(tensors, {"neighbours": count}))
                found[place, held] = [part(each) for each in self.fitting.features[held]]
            self.told()
        return found

    def _networks(self) -> np.ndarray:
        found = self._blank(2)
        for rows, held in self.splits:
            bundle = self.fitting.bundle(self.fitting.network_of(rows), {})
            for place, counting in enumerate(((1.0, 0.0), (0.0, 1.0))):
                part = TaskNetwork(bundle, *counting)
                found[place, held] = [part(each) for each in self.fitting.features[held]]
            self.told()
        return found


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
    return mean + sum(counting[part] * (each - mean) for part, each in parts.items())


def distance(expected: np.ndarray, quality: np.ndarray) -> float:
    """Mean squared error of the differences between labels within a query."""
    measured = ~np.isnan(quality)
    wrong = _differences(expected, measured) - _differences(quality, measured)
    return float(np.mean(wrong[measured] ** 2))


def _differences(values: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """float[N, L]: less the mean of the measured labels of each query."""
    known = np.where(measured, values, 0.0)
    return values - known.sum(axis=1, keepdims=True) / measured.sum(axis=1, keepdims=True).clip(1)


def splits(count: int, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rows to fit to, and those held out, of each fold of a cross-validation."""
    folds = min(max(folds, 2), count)
    order = np.random.default_rng(seed).permutation(count)
    return [
        (np.sort(np.concatenate([*parts[:place], *parts[place + 1 :]])), np.sort(held))
        for parts in [np.array_split(order, folds)]
        for place, held in enumerate(parts)
    ]
