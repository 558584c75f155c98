"""What a trainer is given and what it gives, and which trainer each strategy has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a bundle is made of, beside what the dataset says.

    tensors: by name, as the strategy's head takes them. parameters: JSON.
    embeds: whether the head needs the dataset's embedder.
    libraries: versions, by package name. others: further files of the bundle, by name.
    """

    tensors: Mapping[str, np.ndarray]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    embeds: bool = True
    libraries: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """One training.

    config: the strategy's hyperparameters, as the configuration file gives them; each trainer has
        defaults for all of them. seed: of everything random. folder: for files that come and go.
    """

    config: Mapping[str, Any]
    seed: int
    folder: Path


Trainer = Callable[[Dataset, Job], Trained]
"""Raises ValueError, with a text for the user, for a wrong hyperparameter or unsuitable data."""

_LIBRARY = "library:train"
TRAINERS: Mapping[str, str] = {
    "trunkline-scores": "scores:train",
    "trunkline-cluster": "cluster:train",
    "llmrouter-gmt": "gmt:train",
    "llmrouter-ts": "ts:train",
    "llmrouter-routerdc": "routerdc:train",
    "llmrouter-causallm": "causallm:train",
    "llmrouter-automix": "automix:train",
}
"""Module and function by strategy; the others are trained by `library`, which takes their name."""


def trainer(strategy: str) -> Trainer:
    """The trainer of a strategy, by its full name."""
    module, _, function = TRAINERS.get(strategy, _LIBRARY).partition(":")
    found = getattr(import_module(f"{__package__}.{module}"), function)
    if strategy in TRAINERS:
        return found
    return lambda dataset, job: found(dataset, job, strategy)
