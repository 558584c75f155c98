"""Pages of keys, out of many: the page comes from an index, and counting ends somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ...dataclass import dataclass
from ...store import tables
from ..granting import Grantor
from ..identity import Principal
from ..registry import Registry
from .budgets import by_id
from .grantors import grantor
from .records import KEY, Row

COUNTED = 100_000
"""How far keys are counted; a larger number is an estimate, or this one where there is none."""

SORTED_BY = frozenset(
    """
    token key_name key_alias user_id team_id organization_id spend max_budget created_at updated_at
    expires last_active rpm_limit tpm_limit budget_reset_at
    """.split()
)

_c = KEY.table.c


@dataclass(frozen=True, slots=True)
class Asked:
    """Which keys, and how. equal: values of columns. page: from 1."""

    equal: Mapping[str, str]
    page: int
    size: int
    team_keys: bool = False
    created_by_keys: bool = False
    sort_by: str = ""
    ascending: bool = False
    status: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Row]
    budgets: dict[str, Row]
    total: int


async def page(registry: Registry, caller: Principal, asked: Asked) -> Page:
    """Keys that the caller may see. Raises StoreUnavailable."""
    async with registry.database.reading() as connection:
        conditions = [_c[name] == value for name, value in asked.equal.items()]
        if asked.status:
            conditions.append(_status(asked.status))
        if not caller.role.sees_all:
            conditions.append(_visible(await grantor(connection, caller), asked))
        rows = await _rows(connection, asked, conditions)
        total = await _count(connection, conditions, registry.database.dialect)
        budgets = await by_id(connection, [row["budget_id"] for row in rows])
    return Page(rows, budgets, total)


async def aliases(
    registry: Registry, caller: Principal, search: str, team_id: str, page: int, size: int
) -> tuple[list[str], int]:
    """Aliases by their order, and how many there are."""
    conditions: list[ColumnElement[bool]] = [_c.key_alias.is_not(None)]
    if search:
        conditions.append(_c.key_alias.icontains(search, autoescape=True))
    if team_id:
        conditions.append(_c.team_id == team_id)
    async with registry.database.reading() as connection:
        if not caller.role.sees_all:
            who = await grantor(connection, caller)
            conditions.append(_visible(who, Asked({}, page, size, team_keys=True)))
        query = select(_c.key_alias).where(*conditions).order_by(_c.key_alias)
        rows = await connection.scalars(query.limit(size).offset((page - 1) * size))
        return list(rows), await _count(connection, conditions, registry.database.dialect)


def _visible(who: Grantor, asked: Asked) -> ColumnElement[bool]:
    """Keys of one's own, and on request those of teams that one administers."""
    own = _c.user_id == who.user_id if who.user_id else false()
    if who.key_team:
        own = and_(own, _c.team_id == who.key_team)
    teams = [team for team in who.teams if who.administers(team)]
    if not teams or not (asked.team_keys or asked.equal.get("team_id") in teams):
        return own
    return or_(own, _c.team_id.in_(teams))


def _status(status: str) -> ColumnElement[bool]:
    now = datetime.now(UTC)
    if status == "blocked":
        return _c.blocked.is_(True)
    if status == "expired":
        return _c.expires <= now
    return and_(_c.blocked.is_(False), or_(_c.expires.is_(None), _c.expires > now))


async def _rows(
    connection: AsyncConnection, asked: Asked, conditions: list[ColumnElement[bool]]
) -> list[Row]:
    """Their tokens first, which the index has: rows that are passed over aren't read."""
    column = _c[asked.sort_by or "created_at"]
    order = [each.asc() if asked.ascending else each.desc() for each in (column, _c.token)]
    tokens = select(_c.token).where(*conditions).order_by(*order)
    wanted = (
        await connection.scalars(tokens.limit(asked.size).offset((asked.page - 1) * asked.size))
    ).all()
    if not wanted:
        return []
    rows = await connection.execute(select(KEY.table).where(_c.token.in_(wanted)))
    found: dict[Any, Row] = {row["token"]: dict(row) for row in rows.mappings()}
    return [found[token] for token in wanted if token in found]


async def _count(
    connection: AsyncConnection, conditions: list[ColumnElement[bool]], dialect: str
) -> int:
    some = select(_c.token).where(*conditions).limit(COUNTED + 1).subquery()
    count = int(await connection.scalar(select(func.count()).select_from(some)) or 0)
    if count <= COUNTED or conditions or dialect != "postgresql":
        return min(count, COUNTED)
    estimate = await connection.scalar(
        text("SELECT reltuples::bigint FROM pg_class WHERE oid = CAST(:name AS regclass)"),
        {"name": tables.keys.name},
    )
    return max(count, int(estimate or 0))
