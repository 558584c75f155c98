"""Begins anew what keys and teams have spent."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import update

from ..registry import Registry
from ..scopes import budget_counter
from .budgets import ALL_CHANGED
from .records import KEY, TEAM, changing

AT_ONCE = 1_000
"""Counters that are forgotten together."""


async def reset(registry: Registry) -> None:
    """Sets the spend of all keys and teams to 0; rows of calls and their sums stay."""
    counters: list[str] = []
    async with changing(registry.database) as connection:
        for kind in (KEY, TEAM):
            begun = {"spend": 0, "budget_started_at": datetime.now(UTC)}
            ids = await connection.scalars(
                update(kind.table).where(kind.table.c.spend != 0).values(begun).returning(kind.id)
            )
            counters += [budget_counter(f"{kind.level}:{id}") for id in ids]
    for start in range(0, len(counters), AT_ONCE):
        await registry.counters.forget(counters[start : start + AT_ONCE])
    await registry.bus.publish(ALL_CHANGED)
