"""Users: people and services who own keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ...dataclass import dataclass
from ...errors import InvalidRequest, PermissionDenied
from ...store import tables
from ..identity import Principal
from ..registry import Registry
from ..roles import Role
from ..scopes import Level
from . import members
from .grantors import by, grantor, teams_of
from .keys import insert_key, own_key
from .records import (
    TEAM,
    USER,
    Row,
    Values,
    change,
    changing,
    found,
    make,
    missing,
    need,
    new_id,
    remove,
    with_metadata,
    with_reset,
)

MOST_KEYS = 1000
"""Keys of a user or a team that are told with it; /key/list tells all, by pages."""

SORTED_BY = frozenset(
    "user_id user_email user_alias user_role spend max_budget created_at updated_at".split()
)
_MONEY = frozenset({"spend", "max_budget", "budget_duration", "model_max_budget"})
_c = USER.table.c


@dataclass(frozen=True, slots=True)
class Joining:
    """A team that a new user is to belong to."""

    team_id: str
    role: str = "user"
    max_budget: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """key: shown this once; empty where none was made."""

    row: Row
    teams: list[str]
    key: str = ""
    key_row: Row | None = None


async def new(
    registry: Registry,
    caller: Principal,
    asked: Values,
    joining: Sequence[Joining],
    key_asked: Values | None,
) -> Made:
    """A new user, with a key unless `key_asked` is None. Raises GatewayError."""
    key = own_key(None)
    async with changing(registry.database) as connection:
        row = await insert_user(connection, registry.customary.new_user(asked), by(caller))
        for each in joining:
            await _join(connection, each, row["user_id"], by(caller))
        key_row = None
        if key_asked is not None:
            who = await grantor(connection, caller)
            wanted = {"models": row["models"], **key_asked, "user_id": row["user_id"]}
            key_row = await insert_key(
                connection, registry, who, key, wanted, by(caller), "/key/generate"
            )
    await registry.changed(Level.USER, row["user_id"])
    teams = [each.team_id for each in joining]
    return Made(row, teams, key if key_row else "", key_row)


async def insert_user(connection: AsyncConnection, asked: Values, author: str) -> Row:
    """Raises Taken."""
    values = {
        **with_reset(with_metadata({}, asked)),
        "user_id": asked.get("user_id") or new_id(),
        "user_role": asked.get("user_role") or Role.USER,
    }
    return await make(connection, USER, values, author)


async def _join(connection: AsyncConnection, each: Joining, user_id: str, author: str) -> None:
    team = await need(connection, TEAM, each.team_id, param="teams", lock=True)
    await members.insert_member(
        connection, team, user_id, each.role, {"max_budget": each.max_budget}, author
    )


async def update(registry: Registry, caller: Principal, asked: Values) -> Row:
    """Raises NotFound, Taken. asked: names the user by `user_id`, or else by `user_email`."""
    async with changing(registry.database) as connection:
        row = await _named(connection, asked)
        values = with_metadata(row["metadata"], registry.customary.changed_user(asked))
        values.pop("user_id", None)
        row = await change(connection, USER, row["user_id"], with_reset(values), by(caller))
    if _MONEY & asked.keys():
        await registry.budgets_changed(Level.USER, [row["user_id"]])
    else:
        await registry.changed(Level.USER, row["user_id"])
    return row


async def _named(connection: AsyncConnection, asked: Values) -> Row:
    if asked.get("user_id"):
        return await need(connection, USER, asked["user_id"], lock=True)
    row = await by_email(connection, asked["user_email"])
    if row is None:
        raise missing(USER, "user_email")
    return row


async def by_email(connection: AsyncConnection, email: str) -> Row | None:
    rows = await connection.execute(select(USER.table).where(_c.user_email == email))
    row = rows.mappings().first()
    return dict(row) if row is not None else None


async def remove_users(registry: Registry, user_ids: Sequence[str]) -> int:
    """With their keys and memberships; all, or none. Raises NotFound."""
    async with changing(registry.database) as connection:
        await found(connection, USER, user_ids, param="user_ids")
        gone = await connection.scalars(
            delete(tables.keys)
            .where(tables.keys.c.user_id.in_(user_ids))
            .returning(tables.keys.c.token)
        )
        tokens = list(gone)
        for table in (tables.team_members, tables.organization_members):
            await connection.execute(delete(table).where(table.c.user_id.in_(user_ids)))
        count = await remove(connection, USER, user_ids)
    await registry.changed(Level.KEY, *tokens)
    await registry.changed(Level.USER, *user_ids)
    return count


async def all_ids(registry: Registry, most: int, param: str = "all_users") -> list[str]:
    """Of all users. Raises InvalidRequest where there are more, or none."""
    async with registry.database.reading() as connection:
        ids = list(
            await connection.scalars(select(_c.user_id).order_by(_c.user_id).limit(most + 1))
        )
    if not 0 < len(ids) <= most:
        raise InvalidRequest(f"There must be 1 to {most} users for that.", param=param)
    return ids


@dataclass(frozen=True, slots=True)
class About:
    """teams: with their members by team."""

    row: Row | None
    keys: list[Row]
    teams: list[Row]
    members: Mapping[str, list[Row]] = field(default_factory=dict)


async def info(registry: Registry, caller: Principal, user_id: str) -> About:
    """A user whom the caller may see. Raises NotFound, PermissionDenied."""
    async with registry.database.reading() as connection:
        await _check_sight(connection, caller, user_id)
        row = await need(connection, USER, user_id)
        teams = list(await teams_of(connection, user_id))
        rows = await found(connection, TEAM, teams) if teams else []
        keys = await keys_of(connection, tables.keys.c.user_id == user_id)
        return About(row, keys, rows, await members.of_teams(connection, teams))


async def nobody(registry: Registry) -> About:
    """What an admin who names no user is told: teams, and keys, as many as are told at once."""
    async with registry.database.reading() as connection:
        query = select(TEAM.table).order_by(TEAM.table.c.created_at.desc()).limit(MOST_KEYS)
        teams = [dict(row) for row in (await connection.execute(query)).mappings()]
        keys = await keys_of(connection)
        ids = [team["team_id"] for team in teams]
        return About(None, keys, teams, await members.of_teams(connection, ids))


async def keys_of(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> list[Row]:
    """The latest keys, as many as are told at once."""
    query = select(tables.keys).where(*conditions)
    latest = query.order_by(tables.keys.c.created_at.desc(), tables.keys.c.token.desc())
    rows = await connection.execute(latest.limit(MOST_KEYS))
    return [dict(row) for row in rows.mappings()]


async def _check_sight(connection: AsyncConnection, caller: Principal, user_id: str) -> None:
    """A user sees themselves, the admin of a team its members."""
    if caller.role.sees_all or (caller.user_id and caller.user_id == user_id):
        return
    who = await grantor(connection, caller)
    administered = [team for team in who.teams if who.administers(team)]
    theirs = await teams_of(connection, user_id)
    if not any(team in theirs for team in administered):
        raise PermissionDenied("You may see yourself only.", param="user_id", code="not_yours")


async def page(
    registry: Registry, conditions: Sequence[ColumnElement[bool]], order: Any, page: int, size: int
) -> tuple[list[Row], dict[str, int], dict[str, list[str]], int]:
    """Users, how many keys each has, the teams of each, and how many users there are."""
    async with registry.database.reading() as connection:
        query = select(USER.table).where(*conditions).order_by(order, _c.user_id.desc())
        rows = await connection.execute(query.limit(size).offset((page - 1) * size))
        users = [dict(row) for row in rows.mappings()]
        ids = [user["user_id"] for user in users]
        key = tables.keys.c
        counts = await connection.execute(
            select(key.user_id, func.count()).where(key.user_id.in_(ids)).group_by(key.user_id)
        )
        total = await connection.scalar(
            select(func.count()).select_from(USER.table).where(*conditions)
        )
        teams = await members.teams_of_users(connection, ids)
        return users, {row[0]: row[1] for row in counts}, teams, int(total or 0)


def matching(
    equal: Mapping[str, str],
    *,
    ids: Sequence[str] = (),
    sso_ids: Sequence[str] = (),
    email: str = "",
    team: str = "",
) -> list[ColumnElement[bool]]:
    """Conditions of a list. email: part of it."""
    conditions: list[ColumnElement[bool]] = [_c[name] == value for name, value in equal.items()]
    if ids:
        conditions.append(_c.user_id.in_(ids))
    if sso_ids:
        conditions.append(_c.sso_user_id.in_(sso_ids))
    if email:
        conditions.append(_c.user_email.icontains(email, autoescape=True))
    if team:
        of_team = tables.team_members.c
        conditions.append(_c.user_id.in_(select(of_team.user_id).where(of_team.team_id == team)))
    return conditions


def ordered(sort_by: str, *, ascending: bool) -> Any:
    column = _c[sort_by or "created_at"]
    return column.asc() if ascending else column.desc()
