"""Puts rows of the ledger into the database: each once, and in the same transaction what they add
to every sum.

Rows go into temporary tables first, on PostgreSQL by COPY. What is inserted already is taken out
there, and the sums are made of the rest: by the same statements on PostgreSQL and SQLite.
"""

# ruff: noqa: S608 - what is put into statements are names of our own

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..dataclass import dataclass
from . import spend_sums
from .database import Database, StoreUnavailable
from .tables import spend_logs

LOCK = 7_239_118_540_113
"""The advisory lock under which rows are inserted: writers that take turns can't lock each other
out, and a turn takes milliseconds."""

RECOVERY_LOCK = 7_239_118_540_114
"""The one under which rows of others are inserted."""

NULL = "\x01"
"""What stands for null in what is copied: no text that needs to be escaped."""

AT_A_TIME = 100
"""Rows that are gone through before calls get their turn."""

COLUMNS = tuple(column.name for column in spend_logs.columns)
"""Of the rows, in their order."""

_LISTED = ", ".join(COLUMNS)
_STARTED = COLUMNS.index("started_at")
_TAGS = COLUMNS.index("request_tags")
_MOMENTS = tuple(COLUMNS.index(name) for name in ("started_at", "ended_at", "first_byte_at"))


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as they are inserted.

    rows: values in the order of COLUMNS, as JSON can hold them: moments are seconds since 1970.
        No two have the same `request_id`.
    tags: `request_id` and tag. shared: `request_id`, counter, period.
    """

    rows: Sequence[tuple[Any, ...]]
    tags: Sequence[tuple[str, str]] = ()
    shared: Sequence[tuple[str, str, int]] = ()


class Unfit(Exception):
    """A row holds what the database can't: its `__cause__` says what."""


async def insert(
    database: Database, batch: Batch, *, logs: bool = True, alone: bool = False
) -> int | None:
    """Inserts the rows that aren't there yet, and adds them up; how many those were.

    logs: whether rows are kept; without, only sums are, and for some days the calls' ids.
    alone: do nothing where another process inserts so now; then None.

    Raises StoreUnavailable and Unfit.
    """
    with _told():
        async with database.writing() as connection:
            if database.dialect == "sqlite":
                inserted = await _on_sqlite(connection, batch, logs)
            elif alone and not await _alone(connection):
                return None
            else:
                inserted = await _on_postgresql(connection, batch, logs)
            if inserted:
                await spend_sums.add(connection, batch.tags, batch.shared)
    if database.dialect == "sqlite":
        await asyncio.to_thread(_harden, f"{database.url.database}-wal")
    return inserted


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the driver raises by itself, of COPY, as the rest of the program knows it."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise StoreUnavailable from error
    except (psycopg.DataError, psycopg.IntegrityError, UnicodeError) as error:
        raise Unfit from error
    except (DataError, IntegrityError) as error:
        raise Unfit from error


async def _alone(connection: AsyncConnection) -> bool:
    found = await connection.execute(text(f"SELECT pg_try_advisory_xact_lock({RECOVERY_LOCK})"))
    return bool(found.scalar())


def _harden(log: str) -> None:
    """Brings what was committed to the disk: SQLite leaves that to the next checkpoint, but the
    other copy of the rows is about to be thrown away."""
    with contextlib.suppress(FileNotFoundError):  # a checkpoint has just done it
        descriptor = os.open(log, os.O_RDONLY)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


async def _on_postgresql(connection: AsyncConnection, batch: Batch, logs: bool) -> int:
    await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    for statement in _TEMPORARY:
        await connection.exec_driver_sql(statement)
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    async with driver.cursor() as cursor:
        for table, rows, written in (
            ("trunkline_incoming", batch.rows, _written),
            ("trunkline_incoming_tags", batch.tags, tuple),
            ("trunkline_incoming_shared", batch.shared, tuple),
        ):
            if rows:
                async with cursor.copy(f"COPY {table} FROM STDIN (NULL '{NULL}')") as copy:
                    for start in range(0, len(rows), AT_A_TIME):
                        some = rows[start : start + AT_A_TIME]
                        lines = [copied(written(row)) for row in some]
                        await copy.write("".join(lines).encode())
                        await asyncio.sleep(0)
    twice = await connection.exec_driver_sql(_FRESH_LOGS if logs else _FRESH_IDS)
    return len(batch.rows) - twice.rowcount


_TEMPORARY = (
    """
    CREATE TEMP TABLE IF NOT EXISTS trunkline_incoming
        (LIKE trunkline_spend_logs, day date NOT NULL) ON COMMIT DELETE ROWS
    """,
    """
    CREATE TEMP TABLE IF NOT EXISTS trunkline_incoming_tags
        (request_id text NOT NULL, tag text NOT NULL) ON COMMIT DELETE ROWS
    """,
    """
    CREATE TEMP TABLE IF NOT EXISTS trunkline_incoming_shared
        (request_id text NOT NULL, counter text NOT NULL, period bigint NOT NULL)
        ON COMMIT DELETE ROWS
    """,
)

_FRESH = """
    WITH fresh AS (
        INSERT INTO {into} ({columns}) SELECT {columns} FROM trunkline_incoming
        ON CONFLICT DO NOTHING RETURNING request_id
    )
    DELETE FROM trunkline_incoming AS known
    WHERE NOT EXISTS (SELECT FROM fresh WHERE fresh.request_id = known.request_id)
"""
_FRESH_LOGS = _FRESH.format(into="trunkline_spend_logs", columns=_LISTED)
_FRESH_IDS = _FRESH.format(into="trunkline_spend_seen", columns="request_id, started_at")


def copied(row: Sequence[Any]) -> str:
    """A row as COPY reads it; half of what the driver needs for that.

    https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
    """
    fields = [
        value if value.__class__ is str else NULL if value is None else str(value) for value in row
    ]
    line = "\t".join(fields)
    if (
        "\\" in line
        or "\n" in line
        or "\r" in line
        or line.count("\t") != len(fields) - 1
        or line.count(NULL) != row.count(None)
    ):
        line = "\t".join(
            field if value is None else field.translate(_ESCAPES)
            for field, value in zip(fields, row, strict=True)
        )
    return line + "\n"


def _written(row: Sequence[Any]) -> list[Any]:
    """A row as the columns of PostgreSQL have it, and its day. Raises ValueError for times that no
    calendar has."""
    values = list(row)
    for place in _MOMENTS:
        if values[place] is not None:
            values[place] = _moment(values[place])
    values[_TAGS] = orjson.dumps(values[_TAGS]).decode() if values[_TAGS] else "[]"
    values.append(values[_STARTED][:10])
    return values


def _moment(seconds: float) -> str:
    """As `Instant` has it; a fifth of the time that `datetime` takes for it."""
    whole, micro = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{micro:06d}+00:00"


@lru_cache(maxsize=1024)
def _second(whole: int) -> str:
    return datetime.fromtimestamp(whole, UTC).isoformat()[:19]


_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", NULL: r"\x01"})


async def _on_sqlite(connection: AsyncConnection, batch: Batch, logs: bool) -> int:
    for statement in _TEMPORARY_OF_SQLITE:
        await connection.exec_driver_sql(statement)
    for statement, rows in (
        (_INCOMING, batch.rows),
        (_INCOMING_TAGS, batch.tags),
        (_INCOMING_SHARED, batch.shared),
    ):
        if rows:
            await connection.exec_driver_sql(statement, (await _as_json(rows),))
    into = "trunkline_spend_logs" if logs else "trunkline_spend_seen"
    columns_ = _LISTED if logs else "request_id, started_at"
    same = f"FROM {into} AS known WHERE known.request_id = trunkline_incoming.request_id"
    same += " AND known.started_at = trunkline_incoming.started_at" if logs else ""
    twice = await connection.exec_driver_sql(
        f"DELETE FROM temp.trunkline_incoming WHERE EXISTS (SELECT 1 {same})"
    )
    await connection.exec_driver_sql(
        f"INSERT INTO {into} ({columns_}) SELECT {columns_} FROM temp.trunkline_incoming"
    )
    return len(batch.rows) - twice.rowcount


async def _as_json(rows: Sequence[Any]) -> str:
    """An array of all rows: one value for one statement.

    The driver lets other threads run for each statement, and binds values one by one: with rows
    as such it and the event loop would wait for each other again and again.
    """
    parts = []
    for start in range(0, len(rows), AT_A_TIME):
        try:
            parts.append(orjson.dumps(rows[start : start + AT_A_TIME])[1:-1])
        except TypeError as error:  # half a surrogate pair, or a number that no column holds
            raise Unfit from error
        await asyncio.sleep(0)
    return f"[{b','.join(parts).decode()}]"


def _taken(place: int) -> str:
    """SQLite's expression for a value of a row of JSON."""
    value = f"value->>{place}"
    if place not in _MOMENTS:
        return value
    micro = f"CAST(max(0, round({value} * 1000000)) AS INTEGER)"
    second = f"strftime('%Y-%m-%dT%H:%M:%S', {micro} / 1000000, 'unixepoch')"
    return f"{second} || printf('.%06d+00:00', {micro} % 1000000)"


def _incoming(table: str, values: Sequence[str]) -> str:
    return f"INSERT INTO temp.{table} SELECT {', '.join(values)} FROM json_each(?)"


_INCOMING = _incoming(
    "trunkline_incoming",
    [*map(_taken, range(len(COLUMNS))), f"substr({_taken(_STARTED)}, 1, 10)"],
)
_INCOMING_TAGS = _incoming("trunkline_incoming_tags", ["value->>0", "value->>1"])
_INCOMING_SHARED = _incoming("trunkline_incoming_shared", ["value->>0", "value->>1", "value->>2"])


_TEMPORARY_OF_SQLITE = (
    """
    CREATE TEMP TABLE IF NOT EXISTS trunkline_incoming AS
        SELECT *, '' AS day FROM trunkline_spend_logs WHERE 0
    """,
    "CREATE TEMP TABLE IF NOT EXISTS trunkline_incoming_tags (request_id TEXT, tag TEXT)",
    """
    CREATE TEMP TABLE IF NOT EXISTS trunkline_incoming_shared
        (request_id TEXT, counter TEXT, period INTEGER)
    """,
    "DELETE FROM temp.trunkline_incoming",
    "DELETE FROM temp.trunkline_incoming_tags",
    "DELETE FROM temp.trunkline_incoming_shared",
)
