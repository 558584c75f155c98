"""What the `trunkline-…` trainers ask of their configuration and of a dataset."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..dataset import Dataset
from ..frontier import frontier_of

FEWEST_QUERIES = 10
AUTO = "auto"
QUALITY_GIVEN_UP = 0.01


def configured(
    strategy: str,
    config: Mapping[str, Any],
    defaults: Mapping[str, Any],
    choices: Mapping[str, Collection[str]],
) -> dict[str, Any]:
    """The defaults with what the configuration says instead.

    A number from 0 may stand where the default is one or "auto", a whole one from 1 where it is
    whole.

    Raises ValueError for an unknown name or a wrong value.
    """
    for name, value in config.items():
        if name not in defaults:
            known = ", ".join(defaults)
            raise ValueError(f"{strategy} has no hyperparameter {name!r}; it has {known}")
        if name in choices:
            fits, wanted = value in choices[name], f"one of {', '.join(choices[name])}"
        else:
            fits, wanted = _fits(value, defaults[name])
        if not fits:
            raise ValueError(f"{strategy}: {name} must be {wanted}, not {value!r}")
    return {**defaults, **config}


def check_dataset(strategy: str, dataset: Dataset, cost_weight: Any) -> None:
    """Raises ValueError where there is too little to learn from, or a price that costs need."""
    if len(dataset) < FEWEST_QUERIES or len(dataset.labels) < 2:
        raise ValueError(
            f"{strategy} needs {FEWEST_QUERIES} queries and 2 models to learn from, not"
            f" {len(dataset)} and {len(dataset.labels)}"
        )
    for name, column in zip(dataset.names, dataset.performance.T, strict=True):
        if np.isnan(column).all():
            raise ValueError(f"{strategy}: no answer of the model {name!r} was measured")
    if cost_weight not in (0, AUTO) and mean_prices(dataset) is None:
        raise ValueError(f"{strategy}: cost_weight needs the prices of every model")


def mean_prices(dataset: Dataset) -> np.ndarray | None:
    """float[L], means of the prices of input and output; None where one isn't known."""
    prices = [(label.input_price, label.output_price) for label in dataset.labels]
    if any(None in pair for pair in prices):
        return None
    return np.array(prices, dtype=float).mean(axis=1)


def default_cost_weight(dataset: Dataset, expected: np.ndarray) -> float:
    """The highest weight that gives up no more than 0.01 of quality; 0 where prices are unknown.

    expected: float[N, L] by cross-validation.
    """
    prices = mean_prices(dataset)
    if prices is None:
        return 0.0
    points = frontier_of(dataset.performance, prices, expected)
    enough = points.quality >= points.quality.max() - QUALITY_GIVEN_UP
    return round(float(points.weights[enough].max()), 4)


def _fits(value: Any, default: Any) -> tuple[bool, str]:
    if value == default:
        return True, ""
    whole = isinstance(default, int)
    kinds, least = (int, 1) if whole else ((int, float), 0)
    number = isinstance(value, kinds) and not isinstance(value, bool) and least <= value < 1e9
    kind = "a whole number" if whole else "a number"
    return number, f"{kind} from {least}" + (f" or {AUTO!r}" if default == AUTO else "")
