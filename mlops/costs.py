"""What each model's answer to each query costs, as far as prices and tokens are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .dataset import Dataset
from .tokens import estimated

ANSWERS = "$ per 1,000 queries"
TOKENS = "$ per million tokens"
UNKNOWN = ""


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """values: float[N, L], zeros where no prices are known; unit: `UNKNOWN` there."""

    values: np.ndarray
    unit: str

    @property
    def known(self) -> bool:
        return self.unit != UNKNOWN


def costs(dataset: Dataset) -> Costs:
    """Costs in one unit for the whole dataset.

    With token counts, input price x tokens of the query + output price x tokens of the answer; an
    answer that nobody counted has its model's mean. Without any, the mean of both prices. None are
    known where a model has no price.
    """
    prices = [(label.input_price, label.output_price) for label in dataset.labels]
    if any(None in pair for pair in prices):
        return Costs(np.zeros(dataset.performance.shape), UNKNOWN)
    asked, answered = np.array(prices, dtype=float).T
    if np.isnan(dataset.tokens).all():
        return Costs(np.tile((asked + answered) / 2, (len(dataset), 1)), TOKENS)
    queries = np.array([estimated(query) for query in dataset.queries])
    dollars = queries[:, None] * asked + _filled(dataset.tokens) * answered
    return Costs(dollars / 1e6 * 1000, ANSWERS)


def _filled(tokens: np.ndarray) -> np.ndarray:
    """Tokens with means in the gaps: of the model, or of all where it was never counted."""
    known = ~np.isnan(tokens)
    sums, counts = np.where(known, tokens, 0).sum(axis=0, dtype=float), known.sum(axis=0)
    overall = sums.sum() / counts.sum()
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return np.where(known, tokens, means)
