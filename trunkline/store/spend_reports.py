"""Questions to the ledger: sums of days, and the rows of calls.

Sums come from `daily_spend` and `daily_tag_spend`, so that a month costs what its days cost,
however many calls there were. Money is in nano-dollars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, func, literal, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..dataclass import dataclass
from .tables import daily_spend, daily_tag_spend, spend_logs

COUNTED = 100_000
"""How far rows are counted."""

SUMS = tuple(column.name for column in daily_spend.columns if not column.primary_key)

Row = dict[str, Any]
Conditions = Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose calls are asked for: anybody's who is one of these.

    api_key: hash of a key. user_id: of a user. teams: of which all calls.
    """

    api_key: str = ""
    user_id: str = ""
    teams: tuple[str, ...] = ()

    def of(self, table: Table) -> ColumnElement[bool]:
        """Whether a row of a table is theirs."""
        own = table.c.user_id == self.user_id if self.user_id else table.c.api_key == self.api_key
        return or_(own, table.c.team_id.in_(self.teams)) if self.teams else own


def equal(table: Table, values: Mapping[str, str | None]) -> list[ColumnElement[bool]]:
    """That columns have values; None stands for any."""
    return [table.c[name] == value for name, value in values.items() if value is not None]


def days(table: Table, first: date, last: date) -> list[ColumnElement[bool]]:
    return [table.c.date >= first, table.c.date <= last]


async def sums(
    connection: AsyncConnection,
    by: Sequence[str],
    conditions: Conditions,
    *,
    table: Table = daily_spend,
    order: Sequence[str] = (),
    limit: int | None = None,
    offset: int = 0,
) -> list[Row]:
    """The sums of `daily_spend`'s rows, by some of its columns.

    order: columns, `-` before those that fall.
    """
    query = _summed(table, by, conditions)
    for name in order or by:
        column: ColumnElement[Any] = literal_column(name.removeprefix("-"))
        query = query.order_by(column.desc() if name.startswith("-") else column)
    rows = await connection.execute(query.limit(limit).offset(offset))
    return [_whole(row) for row in rows.mappings()]


async def count_of(connection: AsyncConnection, by: Sequence[str], conditions: Conditions) -> int:
    """How many rows `sums` has, up to COUNTED."""
    some = _summed(daily_spend, by, conditions).limit(COUNTED).subquery()
    return int(await connection.scalar(select(func.count()).select_from(some)) or 0)


async def more_than(connection: AsyncConnection, count: int, conditions: Conditions) -> bool:
    """Whether more rows of `daily_spend` are asked for."""
    some = select(literal(1)).select_from(daily_spend).where(*conditions).limit(count + 1)
    found = await connection.scalar(select(func.count()).select_from(some.subquery()))
    return int(found or 0) > count


def _summed(table: Table, by: Sequence[str], conditions: Conditions) -> Select[Any]:
    keys = [table.c[name] for name in by]
    totals = [func.coalesce(func.sum(table.c[name]), 0).label(name) for name in SUMS]
    return select(*keys, *totals).where(*conditions).group_by(*keys)


def _whole(row: Mapping[str, Any]) -> Row:
    """PostgreSQL gives sums of whole numbers as decimals."""
    return {name: int(value) if name in SUMS else value for name, value in row.items()}


async def tag_sums(
    connection: AsyncConnection,
    first: date | None,
    last: date | None,
    tags: Sequence[str],
    owner: Owner | None,
    limit: int,
) -> list[Row]:
    """`tag`, `api_requests` and `spend`, the dearest first.

    owner: whose calls alone; these are counted in the rows of calls, since days have no owners.
    """
    if owner is not None:
        return await _tags_of(connection, first, last, tags, owner, limit)
    table = daily_tag_spend
    conditions = days(table, first or date.min, last or date.max)
    if tags:
        conditions.append(table.c.tag.in_(tags))
    return await sums(
        connection, ["tag"], conditions, table=table, order=["-spend", "tag"], limit=limit
    )


async def _tags_of(
    connection: AsyncConnection,
    first: date | None,
    last: date | None,
    tags: Sequence[str],
    owner: Owner,
    limit: int,
) -> list[Row]:
    unnest = (
        func.jsonb_array_elements_text
        if connection.dialect.name == "postgresql"
        else func.json_each
    )
    each = unnest(spend_logs.c.request_tags).table_valued("value")
    tag, spend = each.c.value.label("tag"), func.coalesce(func.sum(spend_logs.c.spend), 0)
    query = (
        select(tag, func.count().label("api_requests"), spend.label("spend"))
        .select_from(spend_logs)
        .join(each, literal_column("true"))
        .where(owner.of(spend_logs), *_between(first, last))
        .group_by(tag)
        .order_by(spend.desc(), tag)
        .limit(limit)
    )
    if tags:
        query = query.where(each.c.value.in_(tags))
    rows = await connection.execute(query)
    return [_whole(dict(row)) for row in rows.mappings()]


def _between(first: date | None, last: date | None) -> list[ColumnElement[bool]]:
    found = []
    if first is not None:
        found.append(spend_logs.c.started_at >= datetime.combine(first, time(), UTC))
    if last is not None:
        end = datetime.combine(last, time(), UTC) + timedelta(days=1)
        found.append(spend_logs.c.started_at < end)
    return found


_TOTAL = func.coalesce(spend_logs.c.prompt_tokens, 0) + func.coalesce(
    spend_logs.c.completion_tokens, 0
)
_ORDERS: Mapping[str, ColumnElement[Any]] = {
    "startTime": spend_logs.c.started_at,
    "endTime": spend_logs.c.ended_at,
    "spend": func.coalesce(spend_logs.c.spend, 0),
    "total_tokens": _TOTAL,
    "model": spend_logs.c.model,
}
_HEAVY = frozenset({"messages", "response"})


async def calls(
    connection: AsyncConnection,
    conditions: Conditions,
    *,
    limit: int,
    offset: int = 0,
    order: str = "startTime",
    ascending: bool = False,
    content: bool = True,
) -> list[Row]:
    """Rows of calls. content: with what was asked and answered, where that is kept."""
    columns = [each for each in spend_logs.columns if content or each.name not in _HEAVY]
    keys = dict.fromkeys((_ORDERS[order], spend_logs.c.started_at, spend_logs.c.request_id))
    ordered = [key.asc() if ascending else key.desc() for key in keys]
    query = select(*columns).where(*conditions).order_by(*ordered)
    rows = await connection.execute(query.limit(limit).offset(offset))
    return [dict(row) for row in rows.mappings()]


async def count_calls(connection: AsyncConnection, conditions: Conditions) -> int:
    """How many rows of calls there are, up to COUNTED."""
    some = select(spend_logs.c.request_id).where(*conditions).limit(COUNTED).subquery()
    return int(await connection.scalar(select(func.count()).select_from(some)) or 0)
