"""Teams: what they may use, who belongs to them, and what their members may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ...dataclass import dataclass
from ...errors import InvalidRequest
from ...store import tables
from .. import granting
from ..granting import ADMIN_OF_TEAM, Grantor
from ..identity import Principal
from ..registry import Registry
from ..scopes import Level
from . import members
from .budgets import ALL_CHANGED, by_id, given, reset_of
from .grantors import by, grantor
from .records import (
    ORGANIZATION,
    TEAM,
    USER,
    Row,
    Values,
    change,
    changing,
    find,
    found,
    make,
    need,
    new_id,
    remove,
    with_metadata,
    with_reset,
)
from .users import by_email, insert_user, keys_of

SORTED_BY = frozenset(
    "team_id team_alias organization_id spend max_budget created_at updated_at".split()
)
_MONEY = frozenset({"spend", "max_budget", "budget_duration", "model_max_budget"})
_MEMBER_LIMITS: Mapping[str, str] = {
    "team_member_budget": "max_budget",
    "team_member_budget_duration": "budget_duration",
    "team_member_rpm_limit": "rpm_limit",
    "team_member_tpm_limit": "tpm_limit",
}
_c = TEAM.table.c


@dataclass(frozen=True, slots=True)
class Member:
    """Who is to belong to a team, by id or by email."""

    role: str
    user_id: str | None = None
    user_email: str | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """A team with all that is told of it. budgets: by id, of its members."""

    row: Row
    members: list[Row] = field(default_factory=list)
    keys: list[Row] = field(default_factory=list)
    budgets: Mapping[str, Row] = field(default_factory=dict)


async def new(
    registry: Registry, caller: Principal, asked: Values, joining: Sequence[Member]
) -> Team:
    """Raises GatewayError."""
    async with changing(registry.database) as connection:
        values = with_reset(with_metadata({}, registry.customary.new_team(asked)))
        values["team_id"] = asked.get("team_id") or new_id()
        if values.get("organization_id"):
            await need(connection, ORGANIZATION, values["organization_id"])
        values["team_member_budget_id"] = await _member_budget(connection, asked, None, by(caller))
        row = await make(connection, TEAM, values, by(caller))
        for each in _with_caller(caller, joining):
            await _add(connection, row, each, {}, by(caller))
        team = await _whole(connection, row)
    await registry.changed(Level.TEAM, row["team_id"])
    return team


def _with_caller(caller: Principal, joining: Sequence[Member]) -> list[Member]:
    """Whoever makes a team administers it; the master key is nobody's."""
    if not caller.user_id or any(each.user_id == caller.user_id for each in joining):
        return list(joining)
    return [*joining, Member(ADMIN_OF_TEAM, caller.user_id)]


async def change_team(registry: Registry, caller: Principal, team_id: str, asked: Values) -> Team:
    """Raises NotFound, PermissionDenied."""
    async with changing(registry.database) as connection:
        old = await need(connection, TEAM, team_id, lock=True)
        who = await grantor(connection, caller)
        values = with_metadata(old["metadata"], asked)
        values.pop("team_id", None)
        if "metadata" in values:
            values["metadata"] = granting.kept_metadata(who, old["metadata"], values["metadata"])
        granting.check_team_change(who, values, old)
        row = await _change(connection, who, old, values, by(caller))
        team = await _whole(connection, row)
    if _MEMBER_LIMITS.keys() & asked.keys():
        await registry.bus.publish(ALL_CHANGED)
    if _MONEY & asked.keys():
        await registry.budgets_changed(Level.TEAM, [team_id])
    else:
        await registry.changed(Level.TEAM, team_id)
    return team


async def _change(
    connection: AsyncConnection, who: Grantor, old: Row, values: Row, author: str
) -> Row:
    if values.get("organization_id"):
        await need(connection, ORGANIZATION, values["organization_id"])
    held = old["team_member_budget_id"]
    budget_id = await _member_budget(connection, values, held, author)
    if budget_id != held:
        values["team_member_budget_id"] = budget_id
        of_team = tables.team_members
        await connection.execute(
            update(of_team)
            .where(of_team.c.team_id == old["team_id"], of_team.c.budget_id.is_(None))
            .values(budget_id=budget_id, budget_reset_at=await reset_of(connection, budget_id))
        )
    if values.get("blocked") is not None:
        values["blocked_by"] = who.user_id if values["blocked"] else ""
    return await change(connection, TEAM, old["team_id"], with_reset(values), author)


async def _member_budget(
    connection: AsyncConnection, asked: Values, held: str | None, author: str
) -> str | None:
    """The budget that members get who have none of their own."""
    limits = {own: asked[name] for name, own in _MEMBER_LIMITS.items() if name in asked}
    budget_id, _ = await given(connection, limits, held, author)
    return budget_id


async def block(registry: Registry, caller: Principal, team_id: str, *, blocked: bool) -> Team:
    """Raises NotFound, PermissionDenied."""
    async with changing(registry.database) as connection:
        old = await need(connection, TEAM, team_id, lock=True)
        who = await grantor(connection, caller)
        granting.check_team_admin(who, team_id)
        if not blocked:
            granting.check_unblock(who, old)
        keeps = blocked and old["blocked"]
        blocker = old["blocked_by"] if keeps else who.user_id if blocked else ""
        values = {"blocked": blocked, "blocked_by": blocker}
        team = await _whole(connection, await change(connection, TEAM, team_id, values, by(caller)))
    await registry.changed(Level.TEAM, team_id)
    return team


async def remove_teams(registry: Registry, caller: Principal, team_ids: Sequence[str]) -> None:
    """With their keys and members; all, or none. Raises NotFound, PermissionDenied."""
    async with changing(registry.database) as connection:
        await found(connection, TEAM, team_ids, param="team_ids")
        who = await grantor(connection, caller)
        for team_id in team_ids:
            granting.check_team_admin(who, team_id)
        tokens = await drop_teams(connection, team_ids)
    await registry.changed(Level.KEY, *tokens)
    await registry.changed(Level.TEAM, *team_ids)


async def drop_teams(connection: AsyncConnection, team_ids: Sequence[str]) -> list[str]:
    """The hashes of the keys that went with them."""
    keys, of_team = tables.keys, tables.team_members
    gone = await connection.scalars(
        delete(keys).where(keys.c.team_id.in_(team_ids)).returning(keys.c.token)
    )
    tokens = list(gone)
    await connection.execute(delete(of_team).where(of_team.c.team_id.in_(team_ids)))
    await remove(connection, TEAM, team_ids)
    return tokens


async def add_members(
    registry: Registry,
    caller: Principal,
    team_id: str,
    joining: Sequence[Member],
    limits: Values,
) -> tuple[Team, list[Row]]:
    """The team, and the users who joined; those who aren't there yet are made. Raises."""
    async with changing(registry.database) as connection:
        row = await need(connection, TEAM, team_id, lock=True)
        who = await grantor(connection, caller)
        granting.check_team_admin(who, team_id)
        granting.check_member_limits(who, limits, row)
        users = [await _add(connection, row, each, limits, by(caller)) for each in joining]
        team = await _whole(connection, row)
    await _told(registry, team_id, [user["user_id"] for user in users])
    return team, users


async def _add(
    connection: AsyncConnection, team: Row, member: Member, limits: Values, author: str
) -> Row:
    user = await _user_of(connection, member)
    if user is None:
        asked = {"user_id": member.user_id, "user_email": member.user_email}
        user = await insert_user(connection, asked, author)
    await members.insert_member(connection, team, user["user_id"], member.role, limits, author)
    return user


async def _user_of(connection: AsyncConnection, member: Member) -> Row | None:
    if member.user_id is None:
        return await by_email(connection, member.user_email or "")
    user = await find(connection, USER, member.user_id)
    if user is None or member.user_email is None or user["user_email"] == member.user_email:
        return user
    raise InvalidRequest("The user_id and the user_email are of different users.", param="member")


async def change_member(
    registry: Registry, caller: Principal, team_id: str, member: Member, limits: Values
) -> tuple[Row, Row]:
    """A member, with the role and the limits that are given; gives the user and the budget."""
    async with changing(registry.database) as connection:
        team, held, user = await _membership(connection, caller, team_id, member)
        who = await grantor(connection, caller)
        granting.check_member_limits(who, limits, team)
        role = member.role or None
        await members.change_member(connection, team, held, role, limits, by(caller))
        now = await members.find_member(connection, team_id, held["user_id"]) or held
        budget = (await by_id(connection, [now["budget_id"]])).get(now["budget_id"]) or {}
    await _told(registry, team_id, [held["user_id"]])
    return user, budget


async def remove_member(
    registry: Registry, caller: Principal, team_id: str, member: Member
) -> Team:
    """With the keys that they have in the team. Raises NotFound, PermissionDenied."""
    async with changing(registry.database) as connection:
        team, held, _ = await _membership(connection, caller, team_id, member)
        tokens = await members.remove_member(connection, team_id, held["user_id"])
        left = await _whole(connection, team)
    await registry.changed(Level.KEY, *tokens)
    await _told(registry, team_id, [held["user_id"]])
    return left


async def _membership(
    connection: AsyncConnection, caller: Principal, team_id: str, member: Member
) -> tuple[Row, Row, Row]:
    """A team that the caller administers, a member of it, and the member's user."""
    team = await need(connection, TEAM, team_id, lock=True)
    granting.check_team_admin(await grantor(connection, caller), team_id)
    user = await _user_of(connection, member)
    user_id = user["user_id"] if user is not None else member.user_id or ""
    held = await members.find_member(connection, team_id, user_id)
    if held is None:
        raise InvalidRequest(
            "The user doesn't belong to the team.", param="user_id", code="member_not_found"
        )
    return team, held, user or {"user_id": user_id, "user_email": None}


async def change_models(
    registry: Registry, caller: Principal, team_id: str, models: Sequence[str], *, add: bool
) -> Team:
    """Adds models to those of a team, or takes some away. Raises NotFound, PermissionDenied.

    A team that may use all models keeps all when one is added, as with LiteLLM.
    """
    async with changing(registry.database) as connection:
        old = await need(connection, TEAM, team_id, lock=True)
        who = await grantor(connection, caller)
        held = list(old["models"])
        if add:
            left = list(dict.fromkeys([*(held or ["all-proxy-models"]), *models]))
        else:
            left = [each for each in held if each not in models]
            if held and not left:  # nothing listed would be everything
                left = [granting.NO_MODEL]
        granting.check_team_change(who, {"models": left}, old)
        team = await _whole(
            connection, await change(connection, TEAM, team_id, {"models": left}, by(caller))
        )
    await registry.changed(Level.TEAM, team_id)
    return team


async def permissions(registry: Registry, caller: Principal, team_id: str) -> Row:
    """The team's row, for whoever may see it."""
    async with registry.database.reading() as connection:
        row = await need(connection, TEAM, team_id)
        granting.check_team_member(await grantor(connection, caller), team_id)
    return row


async def info(registry: Registry, caller: Principal, team_id: str) -> Team:
    """Raises NotFound, PermissionDenied."""
    async with registry.database.reading() as connection:
        row = await need(connection, TEAM, team_id)
        who = await grantor(connection, caller)
        granting.check_team_member(who, team_id)
        team = await _whole(connection, row)
        conditions = [tables.keys.c.team_id == team_id]
        if not (caller.role.sees_all or who.administers(team_id)):
            conditions.append(tables.keys.c.user_id == who.user_id)
        keys = await keys_of(connection, *conditions)
        ids = [each["budget_id"] for each in (*team.members, *keys)]
        budgets = await by_id(connection, [*ids, row["team_member_budget_id"]])
        return Team(row, team.members, keys, budgets)


async def page(
    registry: Registry,
    caller: Principal,
    equal: Mapping[str, str],
    *,
    alias: str = "",
    user_id: str = "",
    order: Any = None,
    page: int = 1,
    size: int = 1000,
) -> tuple[list[Team], int]:
    """Teams that the caller may see, and how many there are. user_id: who belongs to them."""
    conditions: list[ColumnElement[bool]] = [_c[name] == value for name, value in equal.items()]
    if alias:
        conditions.append(_c.team_alias.icontains(alias, autoescape=True))
    async with registry.database.reading() as connection:
        if user_id:
            conditions.append(_with_member(user_id))
        if not caller.role.sees_all:
            who = await grantor(connection, caller)
            conditions.append(_c.team_id.in_([each for each in who.teams if who.reaches(each)]))
        query = select(TEAM.table).where(*conditions)
        ordered = query.order_by(_c.created_at.desc() if order is None else order, _c.team_id)
        rows = await connection.execute(ordered.limit(size).offset((page - 1) * size))
        found = [dict(row) for row in rows.mappings()]
        total = await connection.scalar(
            select(func.count()).select_from(TEAM.table).where(*conditions)
        )
        theirs = await members.of_teams(connection, [row["team_id"] for row in found])
        return [Team(row, theirs[row["team_id"]]) for row in found], int(total or 0)


def _with_member(user_id: str) -> ColumnElement[bool]:
    of_team = tables.team_members.c
    return _c.team_id.in_(select(of_team.team_id).where(of_team.user_id == user_id))


def ordered(sort_by: str, *, ascending: bool) -> Any:
    column = _c[sort_by or "created_at"]
    return column.asc() if ascending else column.desc()


async def _whole(connection: AsyncConnection, row: Row) -> Team:
    theirs = await members.of_teams(connection, [row["team_id"]])
    return Team(row, theirs[row["team_id"]])


async def _told(registry: Registry, team_id: str, user_ids: Sequence[str]) -> None:
    await registry.budgets_changed(Level.MEMBER, [f"{team_id}:{user}" for user in user_ids])
