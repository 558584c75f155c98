"""Begins budgets anew whose period has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    func,
    literal,
    null,
    select,
    text,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ..dataclass import dataclass
from ..errors import InvalidRequest
from .database import Database
from .spend import LOCK
from .tables import (
    budgets,
    customers,
    keys,
    organizations,
    tags,
    team_members,
    teams,
    users,
)

NextReset = Callable[[str, datetime], datetime]
"""When a budget of a duration ("30d") that began at a moment begins anew. Raises InvalidRequest."""

AT_ONCE = 5_000
"""Rows in a transaction."""
MOST_STEPS = 1_000
"""Periods that are gone through, where several have ended."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Whose budgets began anew. level, ids: as scopes have them; of a member `team:user`."""

    level: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Holder:
    level: str
    table: Table
    id: tuple[str, ...]
    own_duration: bool = False


_HOLDERS = (
    _Holder("key", keys, ("token",), own_duration=True),
    _Holder("user", users, ("user_id",), own_duration=True),
    _Holder("team", teams, ("team_id",), own_duration=True),
    _Holder("member", team_members, ("team_id", "user_id")),
    _Holder("organization", organizations, ("organization_id",)),
    _Holder("customer", customers, ("user_id",)),
    _Holder("tag", tags, ("name",)),
)
_BY_LEVEL = {holder.level: holder for holder in _HOLDERS}


async def reset_due(database: Database, now: datetime, next_reset: NextReset) -> list[Reset]:
    """Sets to 0 what was spent in periods that have ended by now, and says when the next ones do.

    Call it before inserting rows that were gathered before `now`, and none is lost: they belong to
    the periods that run then.

    Raises StoreUnavailable.
    """
    found: list[Reset] = []
    while True:
        async with database.reading() as connection:
            due = (await connection.execute(_due(), {"now": now})).all()
        if not due:
            return found
        async with database.writing() as connection:
            if database.dialect == "postgresql":
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            found += await _reset(connection, due, now, next_reset)


@lru_cache(maxsize=1)
def _due() -> Any:
    """Whose periods have ended by `now`; put together once, as every batch of rows asks it."""
    return union_all(*map(_due_of, _HOLDERS)).limit(AT_ONCE)


def _due_of(holder: _Holder) -> Select[Any]:
    table = holder.table
    second = table.c[holder.id[1]] if len(holder.id) > 1 else literal("")
    own = table.c.budget_duration if holder.own_duration else null()
    source: Any = table
    duration: ColumnElement[Any] = own
    named: Any = table.c.budget_id if "budget_id" in table.c else None
    if holder.level == "member":
        source = source.outerjoin(teams, teams.c.team_id == table.c.team_id)
        named = func.coalesce(table.c.budget_id, teams.c.team_member_budget_id)
    if named is not None:
        source = source.outerjoin(budgets, budgets.c.budget_id == named)
        duration = func.coalesce(own, budgets.c.budget_duration)
    return (
        select(
            literal(holder.level).label("level"),
            table.c[holder.id[0]].label("id"),
            second.label("second"),
            table.c.budget_reset_at.label("ended"),
            duration.label("duration"),
        )
        .select_from(source)
        .where(table.c.budget_reset_at <= bindparam("now"))
    )


async def _reset(
    connection: AsyncConnection, due: Sequence[Any], now: datetime, next_reset: NextReset
) -> list[Reset]:
    groups: dict[tuple[str, datetime, str | None], list[tuple[str, ...]]] = {}
    for level, first, second, ended, duration in due:
        identity = (first, second) if second else (first,)
        groups.setdefault((level, ended, duration), []).append(identity)
    found = []
    for (level, ended, duration), ids in groups.items():
        began, ends = _period(ended, duration, now, next_reset)
        await connection.execute(_begin(_BY_LEVEL[level], ids, ended, began, ends))
        found.append(Reset(level, tuple(":".join(each) for each in ids)))
    return found


def _begin(
    holder: _Holder,
    ids: Sequence[tuple[str, ...]],
    ended: datetime,
    began: datetime,
    ends: datetime | None,
) -> Any:
    columns = holder.table.c
    same = (
        columns[holder.id[0]].in_([each[0] for each in ids])
        if len(holder.id) == 1
        else tuple_(*(columns[name] for name in holder.id)).in_(ids)
    )
    # Another process may have done it since.
    still = and_(columns.budget_reset_at == ended, same)
    values: dict[str, Any] = {"budget_reset_at": ends}
    if ends is not None:
        values |= {"spend": 0, "budget_started_at": began}
    return update(holder.table).where(still).values(values)


def _period(
    ended: datetime, duration: str | None, now: datetime, next_reset: NextReset
) -> tuple[datetime, datetime | None]:
    """The beginning and the end of the period that runs now; None for one that never ends."""
    duration = duration or ""
    try:
        began, ends = ended, next_reset(duration, ended)
    except InvalidRequest:  # nobody can say when: it is as if there were no period
        return ended, None
    for _ in range(MOST_STEPS):
        if ends > now:
            return began, ends
        began, ends = ends, next_reset(duration, ends)
    return now, next_reset(duration, now)
