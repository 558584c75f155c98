"""Whether a bundle may take another's place: by what both decide for queries with known answers.

The evaluation set is LLMRouter's routing data as JSON lines: `query`, `model_name`, `performance`
in [0, 1], and where they are known `user_id` and `output_tokens`. As in `trunkline-mlops compare`,
it may where with confidence it isn't worse by more than a margin (a one-sided test of
non-inferiority on paired differences) and doesn't cost more than is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from .. import json_text
from ..dataclass import dataclass
from ..routing.loading import Loaded
from .margins import Margins
from .outcomes import Refused, RolloutError

LEVEL = 0.95
ROUNDS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """N queries, L models. performance, tokens: float[N, L]; NaN where nobody measured."""

    queries: tuple[tuple[str, str], ...]
    models: tuple[str, ...]
    performance: np.ndarray
    tokens: np.ndarray


def read(files: Iterable[Path]) -> Evaluation:
    """Raises RolloutError for files that can't be used."""
    rows = [row for file in files for row in _rows(file)]
    if not rows:
        raise RolloutError("the evaluation set holds no rows")
    queries = {key: number for number, key in enumerate(dict.fromkeys(_key(row) for row in rows))}
    models = {
        name: number for number, name in enumerate(dict.fromkeys(r["model_name"] for r in rows))
    }
    performance = np.full((len(queries), len(models)), np.nan)
    tokens = performance.copy()
    for row in rows:
        place = queries[_key(row)], models[row["model_name"]]
        performance[place] = row["performance"]
        tokens[place] = row.get("output_tokens") or np.nan
    return Evaluation(tuple(queries), tuple(models), performance, tokens)


def check(evaluation: Evaluation, current: Loaded, candidate: Loaded, margins: Margins) -> str:
    """What was found, in words. Raises Refused for a candidate that is worse."""
    a, b = _choices(evaluation, current), _choices(evaluation, candidate)
    everyone = np.arange(len(a))
    difference = evaluation.performance[everyone, b] - evaluation.performance[everyone, a]
    difference = difference[~np.isnan(difference)]
    if not len(difference):
        raise Refused("the evaluation set says nothing of the models that it chooses")
    mean, low = float(difference.mean()), _at_least(difference)
    if low < -margins.quality:
        raise Refused(
            f"its quality may be worse than that of {current.version} by more than"
            f" {margins.quality:g}: over {len(difference)} queries the difference is {mean:+.4f},"
            f" at {LEVEL:.0%} confidence at least {low:+.4f}"
        )
    before, after = _cost(evaluation, current, a), _cost(evaluation, candidate, b)
    if before and after and after > before * (1 + margins.cost):
        raise Refused(f"it costs {after / before - 1:.0%} more than {current.version}")
    return f"quality {mean:+.4f} over {len(difference)} queries"


def _choices(evaluation: Evaluation, loaded: Loaded) -> np.ndarray:
    """int[N]: the model that each query goes to."""
    columns = {name: number for number, name in enumerate(evaluation.models)}
    strange = [label for label in loaded.labels if label not in columns]
    if strange:
        raise Refused(
            f"the evaluation set has no answers of {', '.join(strange)}, which {loaded.version}"
            " names"
        )
    places = np.array([columns[label] for label in loaded.labels])
    best = [int(np.argmax(loaded.scores(text, user))) for text, user in evaluation.queries]
    return places[best]


def _cost(evaluation: Evaluation, loaded: Loaded, choice: np.ndarray) -> float | None:
    """Dollars per million answers; None where prices or tokens aren't known."""
    described = {name: each.label for name, each in loaded.described.items()}
    prices = np.array(
        [
            getattr(described.get(model), "output_price", None) or np.nan
            for model in evaluation.models
        ]
    )
    costs = prices[choice] * evaluation.tokens[np.arange(len(choice)), choice]
    known = costs[~np.isnan(costs)]
    return float(known.mean()) if len(known) == len(choice) else None


def _at_least(difference: np.ndarray) -> float:
    """The lower end of the mean's bootstrap interval (percentiles)."""
    generator = np.random.default_rng(0)
    means = [
        difference[generator.integers(0, len(difference), len(difference))].mean()
        for _ in range(ROUNDS)
    ]
    return float(np.quantile(means, 1 - LEVEL))


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["query"], str(row.get("user_id") or "")


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json_text.loads(line)
            except ValueError:
                row = None
            if not _is_row(row):
                raise RolloutError(
                    f"the evaluation set, {file.name}:{number}: expected an object with query,"
                    " model_name, and performance from 0 to 1"
                )
            yield row


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict):
        return False
    score, tokens = row.get("performance"), row.get("output_tokens")
    return (
        isinstance(row.get("query"), str)
        and isinstance(row.get("model_name"), str)
        and _is_number(score)
        and 0 <= score <= 1
        and (tokens is None or _is_number(tokens))
    )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
