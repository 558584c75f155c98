"""Fits the parts that `trunkline-scores` blends, as `trunkline.routing.heads.quality` has them."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans

AXES = 64
"""Of the space in which neighbours are near."""

PSEUDO_TASKS = 16
FEWEST_OF_A_TASK, FEWEST_OF_A_CLUSTER = 5, 20
SHRINKAGE = 20.0
"""Queries' worth of the labels' overall means in the means of a task or a cluster."""


def means(quality: np.ndarray) -> np.ndarray:
    """float[L] over what was measured. quality: float[N, L], NaN where it wasn't."""
    return np.nanmean(quality, axis=0, dtype=float)


def shrunk_means(quality: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """float[count, L]: means within groups int[N], shrunk towards the means over all."""
    member = np.zeros((count, len(groups)))
    member[groups, np.arange(len(groups))] = 1
    sums = member @ np.nan_to_num(quality).astype(float)
    measured = member @ (~np.isnan(quality)).astype(float)
    return (sums + SHRINKAGE * means(quality)) / (measured + SHRINKAGE)


def ridge(features: np.ndarray, quality: np.ndarray, alpha: float) -> dict[str, np.ndarray]:
    """Ridge regression of each label on the queries it was measured on."""
    measured = ~np.isnan(quality)
    weights = np.zeros((quality.shape[1], features.shape[1]))
    bias = np.zeros(quality.shape[1])
    patterns, of_label = np.unique(measured, axis=1, return_inverse=True)
    for pattern, rows in enumerate(patterns.T):
        labels = np.flatnonzero(of_label.reshape(-1) == pattern)
        x, y = features[rows].astype(float), quality[np.ix_(rows, labels)].astype(float)
        centre, mean = x.mean(axis=0), y.mean(axis=0)
        x -= centre
        gram = x.T @ x + alpha * np.eye(x.shape[1])
        found = np.linalg.solve(gram, x.T @ (y - mean)).T
        weights[labels], bias[labels] = found, mean - found @ centre
    return {"ridge_weights": weights, "ridge_bias": bias}


def neighbours(
    features: np.ndarray, quality: np.ndarray, most: int, seed: int
) -> dict[str, np.ndarray]:
    """Points on the unit sphere of the features' principal axes, with the quality at each.

    quality: float[N, L] without gaps. most: points; of more queries, the centres of k-means.
    """
    centre = features.mean(axis=0, dtype=float)
    centred = features - centre
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :AXES].T
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    points = centred @ axes.T
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
    if len(points) > most:
        points, quality = _prototypes(points, quality, most, seed)
    return {
        "near_centre": centre,
        "near_axes": axes,
        "near_points": points.astype(np.float16),
        "near_quality": quality.astype(np.float16),
    }


def task_classes(tasks: tuple[str, ...], features: np.ndarray, seed: int) -> np.ndarray:
    """int[N] from 0: the task of each query; clusters of the queries where tasks aren't told.

    Tasks of fewer than five queries are one class.
    """
    names, found, counts = np.unique(np.array(tasks), return_inverse=True, return_counts=True)
    common = counts >= FEWEST_OF_A_TASK
    if common[names != ""].sum() > 1:
        kept = np.where(common, np.arange(len(names)), len(names))
        return np.unique(kept[found], return_inverse=True)[1]
    clusters = min(PSEUDO_TASKS, len(features) // FEWEST_OF_A_CLUSTER)
    if clusters < 2:
        return np.zeros(len(features), np.intp)
    return kmeans(features, clusters, seed)[1]


def kmeans(points: np.ndarray, clusters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """float[clusters, d] centres and int[N], the cluster of each point. Every cluster has one."""
    method = KMeans(clusters, n_init=4, random_state=seed)
    if len(points) * clusters > 5_000_000:
        method = MiniBatchKMeans(clusters, n_init=1, batch_size=4096, random_state=seed)
    assigned = method.fit_predict(points.astype(np.float32))
    used, assigned = np.unique(assigned, return_inverse=True)
    return method.cluster_centers_[used], assigned


def _prototypes(
    points: np.ndarray, quality: np.ndarray, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    centres, assigned = kmeans(points, most, seed)
    counts = np.bincount(assigned)[:, None]
    sums = np.zeros((len(centres), quality.shape[1]))
    np.add.at(sums, assigned, quality)
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    return centres, sums / counts
