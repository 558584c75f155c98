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
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import orjson
import psycopg
from sqlalchemy import Dialect, text
from sqlalchemy.dialects import postgresql
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

AT_A_TIME = 100
"""Rows that are gone through before calls get their turn."""

COLUMNS = (
    *("request_id", "parent_id", "started_at", "ended_at", "first_byte_at"),
    *("api_key", "key_alias", "user_id", "team_id", "organization_id", "end_user"),
    *("request_tags", "call_type", "model_group", "model", "model_id"),
    *("custom_llm_provider", "api_base", "prompt_tokens", "completion_tokens"),
    *("cached_tokens", "cache_creation_tokens", "reasoning_tokens", "spend"),
    *("cache_hit", "stream", "status", "error", "strategy", "bundle", "trace_id"),
    *("requester_ip_address", "messages", "response"),
)
"""Of the rows, in the order in which their values come."""

_LISTED = ", ".join(COLUMNS)
_TAGS = COLUMNS.index("request_tags")
_POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_MOMENTS = tuple(name for name in COLUMNS if name.endswith("_at"))


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as they are inserted.

    rows: each a JSON array of values in the order of COLUMNS, and of one more that isn't kept.
        Moments are seconds since 1970. No two have the same `request_id`.
    tags: `request_id` and tag. shared: `request_id`, counter, period.
    """

    rows: Sequence[bytes]
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
        for table, rows in (
            (_INCOMING, map(_copied, batch.rows)),
            ("trunkline_incoming_tags", map(_csv, batch.tags)),
            ("trunkline_incoming_shared", map(_csv, batch.shared)),
        ):
            lines = b"".join(islice(rows, AT_A_TIME))
            if lines:
                async with cursor.copy(
                    f"COPY {table} FROM STDIN (FORMAT csv, NULL 'null')"
                ) as copy:
                    while lines:
                        await copy.write(lines)
                        await asyncio.sleep(0)
                        lines = b"".join(islice(rows, AT_A_TIME))
    twice = await connection.exec_driver_sql(_FRESH_LOGS if logs else _FRESH_IDS)
    return len(batch.rows) - twice.rowcount


def is_plain(row: bytes) -> bool:
    """Whether nothing is escaped in a row, and the arrays in it, in the middle and at the end, are
    empty; as most are."""
    return b"\\" not in row and b',[],"' in row and row.endswith(b",[]]")


def _copied(row: bytes) -> bytes:
    """A row as COPY reads it: a plain one is a line of CSV, but for its brackets.

    https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
    """
    return row[1:-1] + b"\n" if is_plain(row) else _csv(orjson.loads(row))


def _csv(values: Iterable[Any]) -> bytes:
    return b",".join(map(_csv_value, values)) + b"\n"


def _csv_value(value: Any) -> bytes:
    if isinstance(value, list):
        value = orjson.dumps(value).decode()
    if isinstance(value, str):
        value = value.replace('"', '""')
        return f'"{value}"'.encode()
    return orjson.dumps(value)


def _made(name: str) -> str:
    """A column of the rows that come in, as PostgreSQL makes it."""
    if name in _MOMENTS:
        return f"{name} timestamptz GENERATED ALWAYS AS (to_timestamp({name}_seconds)) STORED"
    kind = spend_logs.columns[name].type.compile(dialect=_POSTGRESQL)
    return f"{name} {kind}"


_INCOMING = "trunkline_incoming ({}, more)".format(
    ", ".join(f"{name}_seconds" if name in _MOMENTS else name for name in COLUMNS)
)
_TEMPORARY = (
    f"""
    CREATE TEMP TABLE IF NOT EXISTS trunkline_incoming (
        {", ".join(map(_made, COLUMNS))},
        {", ".join(f"{name}_seconds double precision" for name in _MOMENTS)},
        more text,
        day date GENERATED ALWAYS AS
            ((to_timestamp(started_at_seconds) AT TIME ZONE 'UTC')::date) STORED
    ) ON COMMIT DELETE ROWS
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


async def _on_sqlite(connection: AsyncConnection, batch: Batch, logs: bool) -> int:
    for statement in _TEMPORARY_OF_SQLITE:
        await connection.exec_driver_sql(statement)
    for statement, values in (
        (_INTO_INCOMING, await _values(batch.rows)),
        (_INTO_TAGS, list(batch.tags)),
        (_INTO_SHARED, list(batch.shared)),
    ):
        if values:
            await connection.exec_driver_sql(statement, values)
    into = "trunkline_spend_logs" if logs else "trunkline_spend_seen"
    columns = _LISTED if logs else "request_id, started_at"
    same = f"FROM {into} AS known WHERE known.request_id = trunkline_incoming.request_id"
    same += " AND known.started_at = trunkline_incoming.started_at" if logs else ""
    twice = await connection.exec_driver_sql(
        f"DELETE FROM temp.trunkline_incoming WHERE EXISTS (SELECT 1 {same})"
    )
    await connection.exec_driver_sql(
        f"INSERT INTO {into} ({columns}) SELECT {columns} FROM temp.trunkline_incoming"
    )
    return len(batch.rows) - twice.rowcount


async def _values(rows: Sequence[bytes]) -> list[tuple[Any, ...]]:
    found = []
    for number, row in enumerate(rows, 1):
        if number % AT_A_TIME == 0:
            await asyncio.sleep(0)
        values = orjson.loads(row)[: len(COLUMNS)]
        values[_TAGS] = orjson.dumps(values[_TAGS]).decode()
        found.append(tuple(values))
    return found


def _taken(place: int) -> str:
    """SQLite's expression for a value of a row."""
    value = f"?{place + 1}"
    if COLUMNS[place] not in _MOMENTS:
        return value
    micro = f"CAST(max(0, round({value} * 1000000)) AS INTEGER)"
    second = f"strftime('%Y-%m-%dT%H:%M:%S', {micro} / 1000000, 'unixepoch')"
    return f"{second} || printf('.%06d+00:00', {micro} % 1000000)"


_DAY = f"substr({_taken(COLUMNS.index('started_at'))}, 1, 10)"
_INTO_INCOMING = f"""
    INSERT INTO temp.trunkline_incoming ({_LISTED}, day)
    VALUES ({", ".join(map(_taken, range(len(COLUMNS))))}, {_DAY})
"""
_INTO_TAGS = "INSERT INTO temp.trunkline_incoming_tags VALUES (?, ?)"
_INTO_SHARED = "INSERT INTO temp.trunkline_incoming_shared VALUES (?, ?, ?)"

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
