"""The price map, read anew while the gateway runs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends

from ..errors import InvalidRequest
from ..gateway import Gateway
from ..ledger.book import PriceBook
from ..live.snapshot import Snapshot
from ..settings.price_map import PriceMapInvalid
from .access import required

_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"description": "The file is no price map; the one in use stays so"}
}


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["models"], dependencies=[Depends(required(gateway))])

    @routes.post("/model/cost_map/reload", summary="Read the price map anew", responses=_REFUSED)
    async def reload() -> dict[str, Any]:
        before = gateway.serving.snapshot
        try:
            prices = await asyncio.to_thread(before.reread)
        except PriceMapInvalid as error:
            raise InvalidRequest(
                f"The price map isn't taken: {error}.", code="bad_cost_map"
            ) from None
        _swap(gateway, gateway.serving.snapshot.priced(prices))
        return {
            "status": "success",
            "message": "The prices of new calls are those of the file.",
            "models_count": len(prices.entries),
        }

    return routes


def _swap(gateway: Gateway, snapshot: Snapshot) -> None:
    """From now on, calls cost what the snapshot knows; those under way too, once they end."""
    serving = gateway.serving
    charges = serving.charges
    if charges is not None and isinstance(charges.prices_of, PriceBook):
        charges.prices_of.turn_to(snapshot.facts_of)
    gateway.serving = replace(serving, snapshot=snapshot)
