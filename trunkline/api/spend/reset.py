"""/global/spend/reset: begins anew what keys and teams have spent."""

from __future__ import annotations

from typing import Any

from ...access.management import spend
from ..management.endpoints import Call, Endpoint, Nothing


async def reset_spend(call: Call[Nothing]) -> Any:
    await spend.reset(call.registry)
    return {"message": "Spend for all API Keys and Teams reset successfully", "status": "success"}


ENDPOINTS = (
    Endpoint(
        *("POST", ("/global/spend/reset",), Nothing, reset_spend),
        "Begin anew what keys and teams have spent",
    ),
)
