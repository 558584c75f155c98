"""Members of teams, with roles and budgets of their own in the team."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ...errors import InvalidRequest
from ...store import tables
from .budgets import FIELDS, given, reset_of
from .records import BUDGET, Row, Values, find

_c = tables.team_members.c


async def insert_member(
    connection: AsyncConnection,
    team: Row,
    user_id: str,
    role: str,
    limits: Values,
    author: str,
) -> None:
    """A new member, with limits of their own, else those that the team has for its members.

    Raises InvalidRequest for one who belongs to the team already.
    """
    if await find_member(connection, team["team_id"], user_id) is not None:
        raise InvalidRequest(
            f"'{user_id}' belongs to the team already.", param="member", code="already_exists"
        )
    own = {name: value for name, value in limits.items() if name in FIELDS and value is not None}
    budget_id = team["team_member_budget_id"]
    if own:
        budget_id, _ = await given(connection, own, None, author)
    await connection.execute(
        insert(tables.team_members).values(
            team_id=team["team_id"],
            user_id=user_id,
            role=role,
            budget_id=budget_id,
            budget_reset_at=await reset_of(connection, budget_id),
        )
    )


async def change_member(
    connection: AsyncConnection, team: Row, member: Row, role: str | None, limits: Values, by: str
) -> None:
    """Limits in a budget that the whole team shares give way to one of the member's own."""
    shared = (
        member["budget_id"] is not None and member["budget_id"] == team["team_member_budget_id"]
    )
    held = None if shared else member["budget_id"]
    asked = {name: value for name, value in limits.items() if name in FIELDS}
    if shared and asked:
        common = await find(connection, BUDGET, member["budget_id"]) or {}
        asked = {**{name: common[name] for name in FIELDS if name in common}, **asked}
    budget_id, changed = await given(connection, asked, held, by)
    values: dict[str, Any] = {}
    if changed:
        values |= {"budget_id": budget_id, "budget_reset_at": await reset_of(connection, budget_id)}
    if role is not None:
        values["role"] = role
    if values:
        await connection.execute(
            update(tables.team_members)
            .where(_is(member["team_id"], member["user_id"]))
            .values(values)
        )


async def remove_member(connection: AsyncConnection, team_id: str, user_id: str) -> list[str]:
    """With their keys in the team, whose hashes it gives."""
    await connection.execute(delete(tables.team_members).where(_is(team_id, user_id)))
    keys = tables.keys
    gone = await connection.scalars(
        delete(keys)
        .where(and_(keys.c.team_id == team_id, keys.c.user_id == user_id))
        .returning(keys.c.token)
    )
    return list(gone)


async def find_member(connection: AsyncConnection, team_id: str, user_id: str) -> Row | None:
    query = select(tables.team_members).where(_is(team_id, user_id))
    row = (await connection.execute(query)).mappings().first()
    return dict(row) if row is not None else None


async def of_teams(connection: AsyncConnection, team_ids: Sequence[str]) -> dict[str, list[Row]]:
    """Members by team, with their emails."""
    user = tables.users.c
    query = (
        select(tables.team_members, user.user_email)
        .outerjoin(tables.users, user.user_id == _c.user_id)
        .where(_c.team_id.in_(team_ids))
        .order_by(_c.team_id, _c.user_id)
    )
    members: dict[str, list[Row]] = {team_id: [] for team_id in team_ids}
    for row in (await connection.execute(query)).mappings():
        members[row["team_id"]].append(dict(row))
    return members


async def teams_of_users(
    connection: AsyncConnection, user_ids: Sequence[str]
) -> dict[str, list[str]]:
    """The teams of each user."""
    teams: dict[str, list[str]] = {user_id: [] for user_id in user_ids}
    query = select(_c.user_id, _c.team_id).where(_c.user_id.in_(user_ids)).order_by(_c.team_id)
    for row in await connection.execute(query):
        teams[row.user_id].append(row.team_id)
    return teams


def _is(team_id: str, user_id: str) -> Any:
    return and_(_c.team_id == team_id, _c.user_id == user_id)
