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
from itertools import chain
from typing import Any

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
"""Rows that are gone through, some 5 µs each, before calls get their turn."""

COLUMNS = tuple(column.name for column in spend_logs.columns)
"""Of the rows, in their order."""

_LISTED = ", ".join(COLUMNS)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as they are inserted.

    rows: values in the order of COLUMNS, then the day in UTC on which the call started. Moments
        are text as `Instant` keeps it, days and tags too. No two have the same `request_id`.
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
        for table, rows in (
            ("trunkline_incoming", batch.rows),
            ("trunkline_incoming_tags", batch.tags),
            ("trunkline_incoming_shared", batch.shared),
        ):
            if rows:
                async with cursor.copy(f"COPY {table} FROM STDIN (NULL '{NULL}')") as copy:
                    for start in range(0, len(rows), AT_A_TIME):
                        lines = map(copied, rows[start : start + AT_A_TIME])
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


_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", NULL: r"\x01"})


async def _on_sqlite(connection: AsyncConnection, batch: Batch, logs: bool) -> int:
    for statement in _TEMPORARY_OF_SQLITE:
        await connection.exec_driver_sql(statement)
    width = len(COLUMNS) + 1
    for table, columns, rows in (
        ("trunkline_incoming", width, list(batch.rows)),
        ("trunkline_incoming_tags", 2, list(batch.tags)),
        ("trunkline_incoming_shared", 3, list(batch.shared)),
    ):
        place = f"({', '.join('?' * columns)})"
        for several in _together(rows):
            places = ", ".join([place] * len(several))
            values = tuple(chain.from_iterable(several))
            await connection.exec_driver_sql(f"INSERT INTO temp.{table} VALUES {places}", values)
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


def _together(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Rows that one statement inserts, in few different numbers, so that few are prepared.

    The driver lets other threads run for each statement, or for each row of `executemany`: it
    would wait for the event loop a thousand times, and the event loop for it.
    """
    start = 0
    for size in (200, 50, 10, 1):
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


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
