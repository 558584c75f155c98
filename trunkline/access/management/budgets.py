"""Budgets under a name, and those that customers, organizations, tags and members get."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ...errors import InvalidRequest
from ...store import tables
from ..periods import next_reset
from ..registry import Registry
from .records import (
    BUDGET,
    Row,
    Values,
    change,
    changing,
    find,
    listed,
    make,
    need,
    new_id,
    remove,
    with_reset,
)

FIELDS = (
    *("max_budget", "soft_budget", "budget_duration", "model_max_budget"),
    *("rpm_limit", "tpm_limit", "max_parallel_requests"),
)

_HOLDERS = (
    *(tables.team_members, tables.organizations, tables.customers, tables.tags),
    tables.keys,
)

ALL_CHANGED = ""
"""The message that whatever is remembered may be old: who shares a budget isn't told one by one."""


async def new(registry: Registry, values: Values, by: str) -> Row:
    """Raises Taken."""
    async with changing(registry.database) as connection:
        return await _make(connection, values, by)


async def update_budget(registry: Registry, values: Values, by: str) -> Row:
    """Raises NotFound."""
    async with changing(registry.database) as connection:
        await need(connection, BUDGET, values["budget_id"], lock=True)
        row = await _change(connection, values["budget_id"], values, by)
    await registry.bus.publish(ALL_CHANGED)
    return row


async def delete(registry: Registry, budget_id: str) -> Row:
    """Raises NotFound. Whoever had the budget has none then."""
    async with changing(registry.database) as connection:
        row = await need(connection, BUDGET, budget_id, param="id", lock=True)
        for table in _HOLDERS:
            freed: dict[str, Any] = {"budget_id": None}
            await connection.execute(
                update(table).where(table.c.budget_id == budget_id).values(freed)
            )
        await connection.execute(
            update(tables.teams)
            .where(tables.teams.c.team_member_budget_id == budget_id)
            .values(team_member_budget_id=None)
        )
        await remove(connection, BUDGET, [budget_id])
    await registry.bus.publish(ALL_CHANGED)
    return row


async def info(registry: Registry, budget_ids: list[str]) -> list[Row]:
    """Those of them that there are."""
    async with registry.database.reading() as connection:
        return await listed(connection, BUDGET, BUDGET.id.in_(budget_ids))


async def page(registry: Registry, page: int, size: int) -> list[Row]:
    async with registry.database.reading() as connection:
        return await listed(connection, BUDGET, page=page, size=size)


async def given(
    connection: AsyncConnection, asked: Values, held: str | None, by: str
) -> tuple[str | None, bool]:
    """The budget that somebody is to have, and whether it is another one, or has changed.

    asked: may name a budget or hold limits, of which one of their own is made, or the one that
        they hold is changed. held: the id of that.

    Raises NotFound for one that isn't there.
    """
    limits = {name: asked[name] for name in FIELDS if name in asked}
    if "budget_id" in asked and asked["budget_id"] != held:
        named: str | None = asked["budget_id"]
        if any(value is not None for value in limits.values()):
            raise InvalidRequest("Give a budget_id or limits, not both.", param="budget_id")
        if named is not None:
            await need(connection, BUDGET, named)
        return named, True
    if not limits or (held is None and all(value is None for value in limits.values())):
        return held, False
    if held is not None and await find(connection, BUDGET, held, lock=True) is not None:
        await _change(connection, held, limits, by)
        return held, True
    return (await _make(connection, limits, by))["budget_id"], True


async def reset_of(connection: AsyncConnection, budget_id: str | None) -> datetime | None:
    """When what is spent of a budget from now on begins anew."""
    row = await find(connection, BUDGET, budget_id)
    duration = row["budget_duration"] if row is not None else None
    return next_reset(duration, datetime.now(UTC)) if duration else None


async def by_id(connection: AsyncConnection, ids: list[str | None]) -> dict[str, Row]:
    """Budgets for those who have them."""
    wanted = [id for id in ids if id]
    if not wanted:
        return {}
    rows = await connection.execute(select(tables.budgets).where(BUDGET.id.in_(wanted)))
    return {row["budget_id"]: dict(row) for row in rows.mappings()}


async def _make(connection: AsyncConnection, values: Values, by: str) -> Row:
    named = {**values, "budget_id": values.get("budget_id") or new_id()}
    return await make(connection, BUDGET, with_reset(named), by)


async def _change(connection: AsyncConnection, budget_id: str, values: Values, by: str) -> Row:
    """Changes a budget; where its period does, that of all who share it begins anew."""
    row = await change(connection, BUDGET, budget_id, with_reset(values), by)
    if "budget_duration" in values:
        for table in _HOLDERS:
            own = [table.c.budget_duration.is_(None)] if "budget_duration" in table.c else []
            await connection.execute(
                update(table)
                .where(and_(table.c.budget_id == budget_id, *own))
                .values(budget_reset_at=row["budget_reset_at"])
            )
    return row
