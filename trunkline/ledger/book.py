"""The prices of all deployments, each worked out when it is first asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ..call import Deployment
from ..live.facts import facts_of
from ..settings.price_map import PriceMap, PriceMapInvalid
from .prices import Prices

REMEMBERED = 4096
"""Deployments whose prices are kept: a wildcard stands for any number of them."""

Facts = Callable[[Deployment], Mapping[str, Any]]


def unconfigured(
    provider: str, model: str = "", facts: Mapping[str, Any] | None = None
) -> Deployment:
    """What stands for a provider's model that no deployment does.

    model: the provider's name; empty where it isn't known. facts: what is known of it.
    """
    return Deployment(
        id="",
        group="",
        model=f"{provider}/{model}" if model else "",
        provider=provider,
        upstream_model=model,
        params={},
        info=facts or {},
    )


nameless = lru_cache(maxsize=REMEMBERED)(unconfigured)
"""The same, once for each provider: `nameless(provider)`."""


class PriceBook:
    """What deployments cost by what is known about them, until it is known anew."""

    def __init__(self, facts_of: Facts, whole: Callable[[], PriceMap] = PriceMap.whole) -> None:
        """whole: the price map, with the models that no deployment stands for."""
        self._facts_of = facts_of
        self._known: dict[Deployment, Prices | None] = {}
        self._whole = whole
        self._map: asyncio.Future[PriceMap] | None = None
        self._named: dict[tuple[str, str], Deployment] = {}

    def __call__(self, deployment: Deployment) -> Prices | None:
        """None where no price is known."""
        try:
            return self._known[deployment]
        except KeyError:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            prices = self._known[deployment] = Prices.of(deployment, self._facts_of(deployment))
            return prices

    async def stand_in(self, provider: str, model: str) -> Deployment:
        """What stands for a provider's model that no deployment does, with what the price map
        knows of it. model: the provider's name.

        The map is read when it is first asked for, and kept.
        """
        named, name = self._named, (provider, model)
        if name not in named:
            made = unconfigured(provider, model)
            facts = facts_of(made, await self._whole_map()) if model else {}
            if len(named) >= REMEMBERED:
                named.clear()
            named[name] = unconfigured(provider, model, facts)
        return named[name]

    async def _whole_map(self) -> PriceMap:
        reading = self._map
        if reading is None:
            reading = self._map = asyncio.ensure_future(asyncio.to_thread(self._whole))
        try:
            return await asyncio.shield(reading)
        except PriceMapInvalid:
            self._map = None  # it may have been mended when it is asked for again
            return PriceMap({})

    def turn_to(self, facts_of: Facts) -> None:
        """From now on, prices are those of other facts."""
        self._facts_of, self._known = facts_of, {}
        self._map, self._named = None, {}
