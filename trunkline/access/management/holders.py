"""Customers, organizations and tags: each may have a budget, shared or of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ...dataclass import dataclass
from ...errors import InvalidRequest
from ...store import tables
from ..registry import Registry
from .budgets import ALL_CHANGED, by_id, given, reset_of
from .records import (
    CUSTOMER,
    ORGANIZATION,
    TEAM,
    USER,
    Kind,
    Row,
    Values,
    change,
    changing,
    find,
    found,
    listed,
    make,
    need,
    new_id,
    remove,
    with_metadata,
)
from .teams import drop_teams
from .users import by_email, insert_user


@dataclass(frozen=True, slots=True)
class Holder:
    """A row with its budget."""

    row: Row
    budget: Row | None
    members: list[Row] = field(default_factory=list)
    teams: list[Row] = field(default_factory=list)


async def new(registry: Registry, kind: Kind, asked: Values, by: str) -> Holder:
    """Raises Taken, NotFound."""
    async with changing(registry.database) as connection:
        values = with_metadata({}, asked)
        values[kind.column] = asked.get(kind.column) or new_id()
        values["budget_id"], _ = await given(connection, asked, None, by)
        values["budget_reset_at"] = await reset_of(connection, values["budget_id"])
        row = await make(connection, kind, values, by)
        holder = await _with_budget(connection, row)
    await _told(registry, kind, [row[kind.column]])
    return holder


async def update_holder(registry: Registry, kind: Kind, id: str, asked: Values, by: str) -> Holder:
    """Raises NotFound."""
    async with changing(registry.database) as connection:
        old = await need(connection, kind, id, lock=True)
        values = with_metadata(old["metadata"], asked)
        values.pop(kind.column, None)
        budget_id, changed = await given(connection, values, old["budget_id"], by)
        if changed:
            values["budget_reset_at"] = await reset_of(connection, budget_id)
        values["budget_id"] = budget_id
        holder = await _with_budget(connection, await change(connection, kind, id, values, by))
    await _told(registry, kind, [id])
    if changed and budget_id == old["budget_id"]:
        await registry.bus.publish(ALL_CHANGED)
    return holder


async def info(registry: Registry, kind: Kind, ids: Sequence[str], param: str = "") -> list[Holder]:
    """Raises NotFound where one is missing."""
    async with registry.database.reading() as connection:
        rows = await found(connection, kind, ids, param=param)
        return await _all_with_budgets(connection, rows)


async def page(
    registry: Registry, kind: Kind, *conditions: ColumnElement[bool], page: int, size: int
) -> list[Holder]:
    async with registry.database.reading() as connection:
        rows = await listed(connection, kind, *conditions, page=page, size=size)
        return await _all_with_budgets(connection, rows)


async def remove_holders(registry: Registry, kind: Kind, ids: Sequence[str], param: str) -> int:
    """All, or none. Raises NotFound."""
    async with changing(registry.database) as connection:
        await found(connection, kind, ids, param=param)
        count = await remove(connection, kind, ids)
    await _told(registry, kind, ids)
    return count


async def block_customers(
    registry: Registry, user_ids: Sequence[str], by: str, *, blocked: bool
) -> list[Holder]:
    """Those who aren't known are made to be blocked."""
    async with changing(registry.database) as connection:
        holders = []
        for user_id in sorted(set(user_ids)):
            if blocked and await find(connection, CUSTOMER, user_id) is None:
                row = await make(connection, CUSTOMER, {"user_id": user_id, "blocked": True}, by)
            else:
                row = await change(connection, CUSTOMER, user_id, {"blocked": blocked}, by)
            holders.append(await _with_budget(connection, row))
    await _told(registry, CUSTOMER, user_ids)
    return holders


async def organizations(
    registry: Registry, *conditions: ColumnElement[bool], page: int, size: int
) -> list[Holder]:
    """With their members and teams."""
    async with registry.database.reading() as connection:
        rows = await listed(connection, ORGANIZATION, *conditions, page=page, size=size)
        return [await _whole(connection, row) for row in rows]


async def organization(registry: Registry, organization_id: str) -> Holder:
    """Raises NotFound."""
    async with registry.database.reading() as connection:
        return await _whole(connection, await need(connection, ORGANIZATION, organization_id))


async def remove_organizations(registry: Registry, ids: Sequence[str]) -> list[Holder]:
    """With their teams, keys and members, as they were. Raises NotFound."""
    async with changing(registry.database) as connection:
        rows = await found(connection, ORGANIZATION, ids, param="organization_ids")
        holders = [await _whole(connection, row) for row in rows]
        teams = [team["team_id"] for each in holders for team in each.teams]
        await drop_teams(connection, teams)
        for table in (tables.keys, tables.organization_members):
            await connection.execute(delete(table).where(table.c.organization_id.in_(ids)))
        await remove(connection, ORGANIZATION, ids)
    await registry.bus.publish(ALL_CHANGED)
    return holders


async def join_organization(
    registry: Registry, organization_id: str, joining: Sequence[Values], by: str
) -> tuple[list[Row], list[Row]]:
    """Users, who are made where they aren't there, and their memberships. Raises.

    joining: user_id or user_email, and role.
    """
    async with changing(registry.database) as connection:
        await need(connection, ORGANIZATION, organization_id, lock=True)
        users, joined = [], []
        for each in joining:
            user = await _user(connection, each, by)
            users.append(user)
            joined.append(await _join(connection, organization_id, user, each["role"]))
    return users, joined


async def _user(connection: AsyncConnection, asked: Values, by: str) -> Row:
    if asked.get("user_id"):
        user = await find(connection, USER, asked["user_id"])
    else:
        user = await by_email(connection, asked["user_email"])
    return user or await insert_user(connection, {**asked, "user_role": None}, by)


async def _join(connection: AsyncConnection, organization_id: str, user: Row, role: str) -> Row:
    table = tables.organization_members
    held = await connection.execute(
        select(table).where(
            table.c.organization_id == organization_id, table.c.user_id == user["user_id"]
        )
    )
    if held.first() is not None:
        raise InvalidRequest(
            "The user belongs to the organization already.", param="member", code="already_exists"
        )
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        **{"organization_id": organization_id, "user_id": user["user_id"], "user_role": role},
        **{"created_at": now, "updated_at": now},
    }
    await connection.execute(insert(table).values(values))
    return values


async def _whole(connection: AsyncConnection, row: Row) -> Holder:
    id = row["organization_id"]
    held = await _with_budget(connection, row)
    of = tables.organization_members
    members = await connection.execute(select(of).where(of.c.organization_id == id))
    teams = await listed(connection, TEAM, TEAM.table.c.organization_id == id)
    return Holder(row, held.budget, [dict(each) for each in members.mappings()], teams)


async def _with_budget(connection: AsyncConnection, row: Row) -> Holder:
    return (await _all_with_budgets(connection, [row]))[0]


async def _all_with_budgets(connection: AsyncConnection, rows: Sequence[Row]) -> list[Holder]:
    budgets = await by_id(connection, [row["budget_id"] for row in rows])
    return [Holder(row, budgets.get(row["budget_id"])) for row in rows]


async def _told(registry: Registry, kind: Kind, ids: Sequence[str]) -> None:
    if kind.level is not None:
        await registry.budgets_changed(kind.level, list(ids))
