"""Rows of accounts, whatever they are of; faults of what was asked in the words of the API."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Column, ColumnElement, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ...dataclass import dataclass
from ...errors import InvalidRequest, NotFound
from ...store import tables
from ...store.columns import Json
from ...store.database import Database
from ..periods import next_reset
from ..scopes import Level

Row = dict[str, Any]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a row is of.

    column: of its id. what: what errors call it. param: what requests call its id.
    taken: the status for one that is there already; LiteLLM's is 409 for users alone.
    """

    table: Table
    column: str
    what: str
    param: str
    level: Level | None = None
    taken: int = 400

    @property
    def id(self) -> Column[Any]:
        return self.table.c[self.column]


KEY = Kind(tables.keys, "token", "key", "key", Level.KEY)
USER = Kind(tables.users, "user_id", "user", "user_id", Level.USER, 409)
TEAM = Kind(tables.teams, "team_id", "team", "team_id", Level.TEAM)
ORGANIZATION = Kind(
    tables.organizations, "organization_id", "organization", "organization_id", Level.ORGANIZATION
)
CUSTOMER = Kind(tables.customers, "user_id", "customer", "user_id", Level.CUSTOMER)
TAG = Kind(tables.tags, "name", "tag", "name", Level.TAG)
BUDGET = Kind(tables.budgets, "budget_id", "budget", "budget_id")

_KINDS = (KEY, USER, TEAM, ORGANIZATION, CUSTOMER, TAG, BUDGET)
_ALSO_UNIQUE = ("key_alias", "user_email")


class Taken(InvalidRequest):
    """There is one already that is called so."""

    def __init__(self, what: str, param: str, status: int) -> None:
        super().__init__(
            f"There is a {what} with this {param} already.", param=param, code="already_exists"
        )
        self.status = status


def new_id() -> str:
    """For what the request gives none."""
    return str(uuid.uuid4())


@contextlib.asynccontextmanager
async def changing(database: Database) -> AsyncIterator[AsyncConnection]:
    """A transaction. Raises Taken for an id or a name that another row has."""
    try:
        async with database.writing() as connection:
            yield connection
    except IntegrityError as error:
        raise _taken(error) from None


def _taken(error: IntegrityError) -> Exception:
    """PostgreSQL names the constraint, SQLite the column; neither message holds a value."""
    diagnosis = getattr(error.orig, "diag", None)
    told = str(getattr(diagnosis, "constraint_name", None) or error.orig)
    kind = next((kind for kind in _KINDS if told.find(kind.table.name) >= 0), None)
    if kind is None:
        return error
    param = next((name for name in _ALSO_UNIQUE if name in told), kind.param)
    return Taken(kind.what, param, kind.taken)


async def find(
    connection: AsyncConnection, kind: Kind, id: str | None, *, lock: bool = False
) -> Row | None:
    """The row with an id. lock: nobody else changes it before the transaction ends."""
    if id is None:
        return None
    query = select(kind.table).where(kind.id == id)
    found = await connection.execute(query.with_for_update() if lock else query)
    row = found.mappings().first()
    return dict(row) if row is not None else None


async def need(
    connection: AsyncConnection, kind: Kind, id: str, *, param: str = "", lock: bool = False
) -> Row:
    """The same. Raises NotFound, which names the parameter."""
    row = await find(connection, kind, id, lock=lock)
    if row is None:
        raise missing(kind, param)
    return row


def missing(kind: Kind, param: str = "") -> NotFound:
    return NotFound(
        f"There is no such {kind.what}.", param=param or kind.param, code=f"{kind.what}_not_found"
    )


async def found(
    connection: AsyncConnection, kind: Kind, ids: Sequence[str], *, param: str = ""
) -> list[Row]:
    """The rows of several ids, in their order. Raises NotFound where one is missing."""
    query = select(kind.table).where(kind.id.in_(ids))
    rows = {row[kind.column]: dict(row) for row in (await connection.execute(query)).mappings()}
    if any(id not in rows for id in ids):
        raise missing(kind, param)
    return [rows[id] for id in dict.fromkeys(ids)]


async def listed(
    connection: AsyncConnection,
    kind: Kind,
    *conditions: ColumnElement[bool],
    page: int = 1,
    size: int = 1000,
) -> list[Row]:
    """Rows, by their ids."""
    query = select(kind.table).where(*conditions).order_by(kind.id)
    rows = await connection.execute(query.limit(size).offset((page - 1) * size))
    return [dict(row) for row in rows.mappings()]


async def make(connection: AsyncConnection, kind: Kind, values: Values, by: str) -> Row:
    """A new row. values: other names than the table's columns are left out."""
    now = datetime.now(UTC)
    made = {
        **_fitting(kind.table, values),
        **{"created_at": now, "updated_at": now, "created_by": by, "updated_by": by},
    }
    rows = await connection.execute(insert(kind.table).values(made).returning(kind.table))
    return dict(rows.mappings().one())


async def change(connection: AsyncConnection, kind: Kind, id: str, values: Values, by: str) -> Row:
    """The row as it is now. Raises NotFound."""
    changed = {**_fitting(kind.table, values), "updated_at": datetime.now(UTC), "updated_by": by}
    rows = await connection.execute(
        update(kind.table).where(kind.id == id).values(changed).returning(kind.table)
    )
    row = rows.mappings().first()
    if row is None:
        raise missing(kind)
    return dict(row)


async def remove(connection: AsyncConnection, kind: Kind, ids: Sequence[str]) -> int:
    """How many there were."""
    return (await connection.execute(delete(kind.table).where(kind.id.in_(ids)))).rowcount


def _fitting(table: Table, values: Values) -> Row:
    """What the table has columns for; null is emptiness where a column takes none."""
    return {
        name: _empty(table.c[name]) if value is None else value
        for name, value in values.items()
        if name in table.c
    }


def _empty(column: Column[Any]) -> Any:
    if column.nullable:
        return None
    if isinstance(column.type, type(Json)):
        default: Any = column.server_default
        return json.loads(str(default.arg).strip("'"))
    if isinstance(column.type, Boolean):
        return False
    return 0 if column.name == "spend" else ""


def with_reset(values: Values, now: datetime | None = None) -> Row:
    """The same, with the moment at which a budget begins anew, where its period is set."""
    if "budget_duration" not in values:
        return dict(values)
    duration = values["budget_duration"]
    resets = next_reset(duration, now or datetime.now(UTC)) if duration else None
    return {**values, "budget_duration": duration or None, "budget_reset_at": resets}


def with_metadata(old: Values, values: Values) -> Row:
    """The same with the metadata that a row gets: what is given replaces all that there was.

    old: the metadata so far. values: `metadata_fields` are fields of a request that LiteLLM keeps
        among the metadata; each replaces its own there, null takes it away.
    """
    wanted = dict(values)
    fields: Values = wanted.pop("metadata_fields", {})
    if not fields and "metadata" not in wanted:
        return wanted
    base = wanted["metadata"] or {} if "metadata" in wanted else old
    merged = {**base, **fields}
    kept = {
        name: value for name, value in merged.items() if name not in fields or value is not None
    }
    return {**wanted, "metadata": kept}
