"""What an answer of each label is expected to cost, as a share of the dearest label's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import BundleError
from ..bundles.manifest import MANIFEST
from .head import HeadArgs, Query
from .parameters import number

if TYPE_CHECKING:
    from ..bundles.reading import Bundle

TOKEN_CHARACTERS = 4.0
"""Characters of text to a token, about."""


class Costs:
    """What cost takes off the labels' scores: the cost weight times their relative cost.

    Prices and tokens are those of the manifest's labels. Where `output_tokens` is known of every
    label, an answer costs the query's tokens at the input price and those at the output price;
    otherwise the mean of both prices. The weight is the query's, else `routing_strategy_args`',
    else the bundle's `parameters.cost_weight`. A query's weight counts for nothing in a bundle
    without prices; any other weight but 0 is refused there.
    """

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        """Raises BundleError."""
        self._weight = number(bundle, "cost_weight", 0, 1000)
        if args.cost_weight is not None:
            self._weight = args.cost_weight
        if not math.isfinite(self._weight) or self._weight < 0:
            raise BundleError(f"cost_weight must be 0 or more, not {self._weight}")
        labels = bundle.manifest.labels
        unpriced = [each.name for each in labels if None in (each.input_price, each.output_price)]
        if unpriced and self._weight:
            raise BundleError(
                f"{MANIFEST}: the label {unpriced[0]!r} needs input_price and output_price, because"
                f" the cost weight is {self._weight:g}"
            )
        self._known = not unpriced
        input_prices = _numbers([each.input_price for each in labels])
        output_prices = _numbers([each.output_price for each in labels])
        self._by_tokens = self._known and all(each.output_tokens is not None for each in labels)
        self._input = input_prices / TOKEN_CHARACTERS
        self._output = output_prices * _numbers([each.output_tokens for each in labels])
        self._mean = _relative((input_prices + output_prices) / 2)
        self._usual = np.float32(self._weight) * self._mean

    def of(self, query: Query) -> np.ndarray | float:
        """float[labels] to subtract from expected qualities; 0.0 where cost counts for nothing."""
        weight = self._weight if query.cost_weight is None else query.cost_weight
        if not weight or not self._known:
            return 0.0
        if self._by_tokens:
            return np.float32(weight) * _relative(self._input * len(query.text) + self._output)
        return self._usual if query.cost_weight is None else np.float32(weight) * self._mean


def _numbers(values: list[Any]) -> np.ndarray:
    return np.array([value or 0.0 for value in values], dtype=np.float32)


def _relative(costs: np.ndarray) -> np.ndarray:
    relative: np.ndarray = costs / (np.maximum.reduce(costs) or 1.0)
    return relative
