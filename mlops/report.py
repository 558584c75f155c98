"""What the decisions of a bundle were worth: every figure of the report."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import frontier
from .costs import Costs
from .dataset import Dataset
from .frontier import Baseline, Frontier

DIGITS = 6
THRESHOLDS = (0.5, 0.8)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """Decisions over a dataset. choice: int[N]. scores: float[N, L]."""

    dataset: Dataset
    costs: Costs
    choice: np.ndarray
    scores: np.ndarray
    resamples: int
    seed: int


def figures(found: Evaluated) -> dict[str, Any]:
    """Everything about the decisions but how long they took; the same for the same decisions."""
    quality, cost = found.dataset.performance, found.costs.values
    measured = ~np.isnan(quality[np.arange(len(found.choice)), found.choice])
    simple = frontier.baselines(quality, cost)
    return rounded(
        {
            "queries": len(found.dataset),
            "measured": int(measured.sum()),
            "data_sha256": found.dataset.training.sha256,
            "cost_unit": found.costs.unit or None,
            "router": _router(found, simple["best_single"]),
            "baselines": {name: _baseline(found, baseline) for name, baseline in simple.items()},
            "tasks": _tasks(found),
            **_two_models(found),
        }
    )


def curve(points: Frontier) -> list[dict[str, float]]:
    """The frontier, a point for each cost weight whose decisions differ from the one before."""
    told: list[dict[str, float]] = []
    for weight, quality, cost in zip(points.weights, points.quality, points.cost, strict=True):
        point = {"weight": float(weight), "quality": float(quality), "cost": float(cost)}
        if not told or (told[-1]["quality"], told[-1]["cost"]) != (quality, cost):
            told.append(point)
    return rounded(told)


def latency(seconds: np.ndarray) -> dict[str, float]:
    """Milliseconds of a decision, of the process that evaluates."""
    values = np.quantile(seconds, (0.5, 0.95, 0.99)) * 1000
    names = ("p50", "p95", "p99")
    return rounded(
        {**dict(zip(names, map(float, values), strict=True)), "mean": float(seconds.mean()) * 1000}
    )


def rounded(value: Any) -> Any:
    """Floats to a few digits, and NaN to None, which is what JSON has for it."""
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, DIGITS)
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value


def _router(found: Evaluated, single: Baseline) -> dict[str, Any]:
    quality, cost, choice = found.dataset.performance, found.costs.values, found.choice
    told: dict[str, Any] = {
        "quality": _interval(found, lambda at: frontier.mean_quality(quality[at], choice[at])),
        "accuracy": _interval(found, lambda at: frontier.oracle_accuracy(quality[at], choice[at])),
        "regret": _interval(found, lambda at: frontier.regret(quality[at], choice[at])),
        "calls": _calls(found.dataset.names, choice),
    }
    if found.costs.known:
        told["cost"] = _interval(found, lambda at: frontier.mean_cost(cost[at], choice[at]))
        told["cost_of_best_single"] = told["cost"]["value"] / single.cost if single.cost else None
    assert single.model is not None
    gain = quality[np.arange(len(choice)), choice].astype(float) - quality[:, single.model]
    told["gain_over_best_single"] = _interval(found, lambda at: _mean(gain[at]))
    return told


def _interval(found: Evaluated, statistic: Callable[[np.ndarray], float]) -> dict[str, float]:
    """A figure with the 95% bootstrap interval around it."""
    count = len(found.choice)
    value = statistic(np.arange(count))
    if not found.resamples:
        return {"value": value}
    low, high = frontier.bootstrap(statistic, count, seed=found.seed, rounds=found.resamples)
    return {"value": value, "low": low, "high": high}


def _baseline(found: Evaluated, baseline: Baseline) -> dict[str, Any]:
    told: dict[str, Any] = {"quality": baseline.quality}
    if found.costs.known:
        told["cost"] = baseline.cost
    if baseline.model is not None:
        told["model"] = found.dataset.names[baseline.model]
    return told


def _calls(names: Sequence[str], choice: np.ndarray) -> dict[str, int]:
    counts = np.bincount(choice, minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def _tasks(found: Evaluated) -> dict[str, Any]:
    """Quality and cost in each task, beside the model that is best over all tasks."""
    quality, cost, choice = found.dataset.performance, found.costs.values, found.choice
    single = frontier.baselines(quality, cost)["best_single"].model
    assert single is not None
    tasks = np.array(found.dataset.tasks)
    told: dict[str, Any] = {}
    for task in sorted(set(found.dataset.tasks) - {""}):
        at = np.flatnonzero(tasks == task)
        told[task] = {
            "queries": len(at),
            "quality": frontier.mean_quality(quality[at], choice[at]),
            "best_single": _mean(quality[at, single]),
            "oracle": _mean(np.max(np.nan_to_num(quality[at], nan=-1.0), axis=1)),
            **({"cost": frontier.mean_cost(cost[at], choice[at])} if found.costs.known else {}),
        }
    return told


def _two_models(found: Evaluated) -> dict[str, Any]:
    """APGR and CPT, which are defined between a weak model and a strong one."""
    quality = found.dataset.performance
    if quality.shape[1] != 2:
        return {}
    strong = int(np.nanargmax(np.nanmean(quality, axis=0)))
    both = ~np.isnan(quality).any(axis=1)
    pair = quality[both, 1 - strong], quality[both, strong]
    preference = found.scores[both, strong] - found.scores[both, 1 - strong]
    try:
        told = {"apgr": frontier.apgr(*pair, preference)}
    except ValueError:
        return {}
    for share in THRESHOLDS:
        told[f"cpt_{share:.0%}"] = frontier.cpt(*pair, preference, share)
    names = found.dataset.names
    return {"two_models": {"strong": names[strong], "weak": names[1 - strong], **told}}


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean(dtype=float)) if len(known) else math.nan
