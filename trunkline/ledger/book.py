"""The prices of all deployments, each worked out when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..call import Deployment
from .prices import Prices

REMEMBERED = 4096
"""Deployments whose prices are kept: a wildcard stands for any number of them."""

Facts = Callable[[Deployment], Mapping[str, Any]]


class PriceBook:
    """What deployments cost by what is known about them, until it is known anew."""

    def __init__(self, facts_of: Facts) -> None:
        self._facts_of = facts_of
        self._known: dict[Deployment, Prices | None] = {}

    def __call__(self, deployment: Deployment) -> Prices | None:
        """None where no price is known."""
        try:
            return self._known[deployment]
        except KeyError:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            prices = self._known[deployment] = Prices.of(deployment, self._facts_of(deployment))
            return prices

    def turn_to(self, facts_of: Facts) -> None:
        """From now on, prices are those of other facts."""
        self._facts_of, self._known = facts_of, {}
