"""What a router's decisions are worth: quality against cost, and against those who decide simply.

Pure functions on arrays. N queries, L models, W cost weights:
quality: float[N, L] in [0, 1], NaN where it wasn't measured. cost: float[L], or float[N, L], in any
one unit. choice: int[N], the model that each query went to. choices: int[W, N].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

WEIGHTS = np.concatenate(([0.0], np.geomspace(0.002, 2.0, 120)))
"""Cost weights that draw the whole frontier: from quality alone to the cheapest model alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """Mean quality and mean cost of the decisions at each of W cost weights: float[W] each."""

    weights: np.ndarray
    quality: np.ndarray
    cost: np.ndarray


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a router has to be better than. model: its column, where it is always the same."""

    quality: float
    cost: float
    model: int | None = None


def relative_cost(cost: np.ndarray) -> np.ndarray:
    """Costs as shares of the dearest model's, of the same shape as `cost`. Zeros where all are."""
    dearest = np.max(cost, axis=-1, keepdims=True)
    return np.divide(cost, dearest, out=np.zeros_like(cost, dtype=float), where=dearest > 0)


def choose(expected: np.ndarray, cost: np.ndarray, weight: float) -> np.ndarray:
    """int[N]: who answers, by expected quality float[N, L] less weight x relative cost."""
    return np.argmax(expected - weight * relative_cost(cost), axis=1)


def mean_quality(quality: np.ndarray, choice: np.ndarray) -> float:
    """Of the decisions whose quality was measured; NaN where none was."""
    chosen = quality[np.arange(len(choice)), choice]
    measured = chosen[~np.isnan(chosen)]
    return float(measured.mean(dtype=float)) if len(measured) else float("nan")


def mean_cost(cost: np.ndarray, choice: np.ndarray) -> float:
    return float(_taken(cost, choice).mean(dtype=float))


def frontier(
    quality: np.ndarray, cost: np.ndarray, choices: np.ndarray, weights: np.ndarray
) -> Frontier:
    """The frontier of decisions made at each weight; one point for a router without a weight."""
    return Frontier(
        np.asarray(weights, dtype=float),
        np.array([mean_quality(quality, choice) for choice in choices]),
        np.array([mean_cost(cost, choice) for choice in choices]),
    )


def frontier_of(
    quality: np.ndarray, cost: np.ndarray, expected: np.ndarray, weights: np.ndarray = WEIGHTS
) -> Frontier:
    """The frontier of a router that expects the quality float[N, L]."""
    choices = np.array([choose(expected, cost, weight) for weight in weights])
    return frontier(quality, cost, choices, weights)


def cost_at_quality(points: Frontier, quality: float) -> float:
    """The lowest cost of a measured point that is at least that good; NaN where none is."""
    costs = points.cost[points.quality >= quality]
    return float(costs.min()) if len(costs) else float("nan")


def quality_at_cost(points: Frontier, cost: float) -> float:
    """The best quality of a measured point that costs no more; NaN where all cost more."""
    found = points.quality[points.cost <= cost * (1 + 1e-9)]
    return float(found.max()) if len(found) else float("nan")


def baselines(
    quality: np.ndarray, cost: np.ndarray, best: int | None = None
) -> dict[str, Baseline]:
    """`random`, `best_single`, `cheapest` and `oracle`.

    best: the column of the best single model, as it was chosen on training data; that of the
    highest mean here where it is None. The oracle takes the cheapest of the best answers.
    """
    labels = quality.shape[1]
    means = np.array([_mean(quality[:, label]) for label in range(labels)])
    costs = np.broadcast_to(cost, quality.shape).mean(axis=0)
    single = int(np.nanargmax(means)) if best is None else best
    lowest = int(np.lexsort((-np.nan_to_num(means), costs))[0])
    perfect = oracle(quality, cost)
    return {
        "random": Baseline(float(np.nanmean(means)), float(costs.mean())),
        "best_single": Baseline(float(means[single]), float(costs[single]), single),
        "cheapest": Baseline(float(means[lowest]), float(costs[lowest]), lowest),
        "oracle": Baseline(mean_quality(quality, perfect), mean_cost(cost, perfect)),
    }


def oracle(quality: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """int[N]: the cheapest of the models with the best measured answer to each query."""
    known = np.where(np.isnan(quality), -np.inf, quality)
    best = known == known.max(axis=1, keepdims=True)
    return np.argmin(np.where(best, np.broadcast_to(cost, quality.shape), np.inf), axis=1)


def oracle_accuracy(quality: np.ndarray, choice: np.ndarray) -> float:
    """The share of the queries that went to a model than which no other answered better."""
    chosen, best = _against_best(quality, choice)
    return float(np.mean(chosen >= best)) if len(best) else float("nan")


def regret(quality: np.ndarray, choice: np.ndarray) -> float:
    """How much better the best answer was than the chosen one, on average."""
    chosen, best = _against_best(quality, choice)
    return float(np.mean(best - chosen, dtype=float)) if len(best) else float("nan")


def gap_recovered(
    weak: np.ndarray, strong: np.ndarray, preference: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The share of calls to the strong model, and the performance gap recovered (PGR) with it.

    PGR is (router - weak) / (strong - weak) of mean qualities, at every threshold on preference
    (Ong et al. 2024, "RouteLLM: Learning to Route LLMs with Preference Data", arXiv:2406.18665,
    section 2, "Metrics"). Queries of equal preference cross the threshold together.

    weak, strong: float[N], quality of their answers. preference: float[N], the higher the rather
    the strong one. Raises ValueError where both models are equally good.
    """
    gain = strong.astype(float) - weak.astype(float)
    total = gain.sum()
    if total == 0:
        raise ValueError("the two models are equally good: there is no gap to recover")
    order = np.argsort(-preference, kind="stable")
    ranked = preference[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    calls = np.arange(1, len(gain) + 1)[last] / len(gain)
    return np.append(0.0, calls), np.append(0.0, np.cumsum(gain[order])[last] / total)


def apgr(weak: np.ndarray, strong: np.ndarray, preference: np.ndarray) -> float:
    """Average performance gap recovered: the area below PGR over the share of calls.

    One half for random calls (Ong et al. 2024, as in `gap_recovered`).
    """
    calls, recovered = gap_recovered(weak, strong, preference)
    return float(np.sum(np.diff(calls) * (recovered[1:] + recovered[:-1]) / 2))


def cpt(weak: np.ndarray, strong: np.ndarray, preference: np.ndarray, share: float) -> float:
    """Call-performance threshold: the least share of strong calls that recovers so much of the gap.

    share: 0.5 for CPT(50%). Linear between measured points (Ong et al. 2024, as in
    `gap_recovered`).
    """
    calls, recovered = gap_recovered(weak, strong, preference)
    after = int(np.argmax(recovered >= share - 1e-12))
    if after == 0:
        return 0.0 if share <= 0 else 1.0
    step = recovered[after] - recovered[after - 1]
    part = min((share - recovered[after - 1]) / step, 1.0)
    return float(calls[after - 1] + part * (calls[after] - calls[after - 1]))


def bootstrap(
    statistic: Callable[[np.ndarray], float],
    count: int,
    *,
    seed: int = 0,
    rounds: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """A percentile bootstrap interval (Efron & Tibshirani 1993, section 13.3).

    statistic: of int[count] indices, drawn with replacement. Draws where it is NaN don't count.
    """
    generator = np.random.default_rng(seed)
    found = np.array(
        [statistic(generator.integers(0, count, size=count)) for _ in range(rounds)], dtype=float
    )
    found = found[~np.isnan(found)]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _taken(values: np.ndarray, choice: np.ndarray) -> np.ndarray:
    return values[choice] if values.ndim == 1 else values[np.arange(len(choice)), choice]


def _mean(column: np.ndarray) -> float:
    measured = column[~np.isnan(column)]
    return float(measured.mean(dtype=float)) if len(measured) else float("nan")


def _against_best(quality: np.ndarray, choice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chosen = quality[np.arange(len(choice)), choice]
    known = ~np.isnan(chosen)
    return chosen[known], np.nanmax(quality[known], axis=1, initial=-np.inf)
