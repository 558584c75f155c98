"""Trains `trunkline-scores`: each label's expected quality, from a blend of estimates.

A network that tells quality and task, ridge regression, the nearest queries. How much each counts
is chosen by cross-validation, and so are the ridge penalty and the number of neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from tqdm import tqdm

from trunkline.routing.heads.scores import PARTS

from ..dataset import Dataset
from .blend import ALPHAS, NEIGHBOURS, Fitting, Validation, blend, shares, splits
from .configured import AUTO, check_dataset, configured, default_cost_weight
from .features import computed, shaped
from .quality import means, task_classes
from .task_network import NetworkOptions
from .trainer import Job, Trained

STRATEGY = "trunkline-scores"
MODELS: Mapping[str, tuple[str, ...]] = {
    "mlp": ("network", "tasks"),
    "ridge": ("ridge",),
    "knn": ("neighbours",),
    "ensemble": PARTS,
}
DEFAULTS: Mapping[str, Any] = {
    "model": "mlp",
    "cost_weight": AUTO,
    "alpha": AUTO,
    "neighbours": AUTO,
    "points": 4096,
    "folds": 5,
    "units": 128,
    "dropout": 0.5,
    "task_weight": 0.25,
    "epochs": 15,
}
"""model: mlp, ridge, knn or ensemble. cost_weight: for queries that name none; "auto" is the
highest that gives up no more than 0.01 of quality in cross-validation. alpha: the ridge penalty.
neighbours: how many count. points: among how many, at most. folds: of the cross-validation. The
others are those of `NetworkOptions`."""


def train(dataset: Dataset, job: Job) -> Trained:
    """Needs 10 queries and 2 labels. Raises ValueError as `Trainer` says."""
    options = configured(STRATEGY, job.config, DEFAULTS, {"model": MODELS})
    if options["dropout"] >= 1:
        raise ValueError(f"{STRATEGY}: dropout must be below 1, not {options['dropout']!r}")
    check_dataset(STRATEGY, dataset, options["cost_weight"])
    shaping = shaped(dataset.queries)
    features = computed(shaping, dataset.queries, dataset.embeddings)
    fitting = Fitting(
        dataset,
        features,
        task_classes(dataset.tasks, features, job.seed),
        NetworkOptions(**{name: options[name] for name in NetworkOptions.__slots__}),
        options["points"],
        job.seed,
    )
    parts = MODELS[options["model"]]
    alphas = ALPHAS if options["alpha"] == AUTO else (float(options["alpha"]),)
    counts = NEIGHBOURS if options["neighbours"] == AUTO else (int(options["neighbours"]),)
    folds = splits(len(dataset), options["folds"], job.seed)
    with tqdm(desc=STRATEGY, unit="fit") as bar:
        validation = Validation(fitting, folds, alphas, counts, bar.update)
        bar.reset(validation.steps(parts) + 1)
        estimates = validation.estimates(parts)
        counting = shares(estimates, dataset.performance)
        tensors = _fitted(fitting, {part for part in parts if counting[part]}, estimates.alpha)
        bar.update()
    mean = means(dataset.performance)
    weight = options["cost_weight"]
    if weight == AUTO:
        expected = blend(estimates.parts, counting, mean)
        weight = default_cost_weight(dataset, expected)
    return Trained(
        {name: _stored(each) for name, each in ({"mean_quality": mean} | tensors).items()}
        | shaping.tensors,
        {f"share_{part}": counting.get(part, 0.0) for part in PARTS}
        | {
            "cost_weight": float(weight),
            "neighbours": estimates.neighbours,
            "alpha": estimates.alpha,
            "model": options["model"],
        },
        libraries={name: version(name) for name in ("numpy", "scipy", "scikit-learn", "torch")},
    )


def _fitted(fitting: Fitting, parts: set[str], alpha: float) -> dict[str, np.ndarray]:
    """The tensors of the parts that count, fitted to all queries."""
    rows = np.arange(len(fitting.dataset))
    tensors: dict[str, np.ndarray] = {}
    if "ridge" in parts:
        tensors |= fitting.ridge(rows, alpha)
    if "neighbours" in parts:
        tensors |= fitting.neighbours(rows, alpha)
    if parts & {"network", "tasks"}:
        tensors |= fitting.network_of(rows)
    return tensors


def _stored(tensor: np.ndarray) -> np.ndarray:
    return tensor if tensor.dtype == np.float16 else tensor.astype(np.float32)
