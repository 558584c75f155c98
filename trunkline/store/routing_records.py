"""What learned strategies decided, and what became of it: the material to train the next ones on.

Rows are handed to a thread, which writes what has come together in one transaction; when more come
than it can write, some are dropped, counted and told. Where: see `Place`. Here, an SQLite file in
write-ahead mode, which the processes of one gateway share; for PostgreSQL, `routing_tables.py`.

    routing_records  one row a call that a learned strategy routed
    feedback         one row a call that somebody judged; a later judgement replaces an earlier one
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from .rows import Feedback, RoutingRecord, Row, values

log = logging.getLogger("trunkline.store")

FILE = "routing.db"
VERSION = 1

MOST_WAITING = 20_000
"""Rows that wait to be written; more are dropped."""
AT_ONCE = 500
PAUSE = 0.25
"""Seconds in which rows come together."""
BUSY_SECONDS = 10.0
LONGEST_PAUSE = 60.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS routing_records (
    call_id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    strategy TEXT NOT NULL,
    bundle TEXT NOT NULL,
    query_text TEXT,
    embedding BLOB,
    embedder_sha256 TEXT,
    user_id TEXT NOT NULL,
    model TEXT NOT NULL,
    deployment TEXT NOT NULL,
    group_name TEXT NOT NULL,
    scores TEXT NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cost_nano INTEGER,
    latency_ms REAL NOT NULL,
    status TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS routing_records_at ON routing_records (at);
CREATE TABLE IF NOT EXISTS feedback (
    call_id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    score REAL NOT NULL,
    comment TEXT NOT NULL,
    source TEXT NOT NULL
) WITHOUT ROWID;
"""


_INTO: dict[type[Row], str] = {
    RoutingRecord: "INSERT OR REPLACE INTO routing_records"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    Feedback: "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?)",
}


class StoreError(Exception):
    """The file can't be used: why."""


class NotWritten(Exception):
    """Rows can't be written now: why."""


class Place(Protocol):
    """Where rows are kept."""

    def insert(self, rows: Sequence[Row]) -> None:
        """Writes rows, all or none; those of calls that have one take its place.

        Blocks. Raises NotWritten.
        """


class File:
    """The file of a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises StoreError where it can't be made or is of a newer program."""
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with closing(self._connected()) as connection:
                _prepare(connection)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self.path}: {error}") from None

    def insert(self, rows: Sequence[Row]) -> None:
        try:
            with closing(self._connected()) as connection:
                _insert(connection, rows)
        except sqlite3.Error as error:
            raise NotWritten(str(error)) from None

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)


class RoutingRecords:
    """Writes rows to a place, off the event loop.

    dropped: rows that found the queue full.
    """

    def __init__(self, place: Place) -> None:
        self.dropped = 0
        self._place = place
        self._queue: queue.Queue[Row | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._write, name="routing-records", daemon=True)
        self._thread.start()

    def add(self, row: Row) -> None:
        """Hands a row over; never waits."""
        try:
            self._queue.put_nowait(row)
        except queue.Full:
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:  # told at 1, 2, 4, 8 …
                log.warning("routing records dropped", extra={"dropped": self.dropped})

    def close(self, seconds: float = BUSY_SECONDS) -> None:
        """Writes what was handed over, for so many seconds at most."""
        self._queue.put(None)
        self._thread.join(seconds)

    def _write(self) -> None:
        """Writes until it is closed. What can't be written is kept and tried again."""
        pause = PAUSE
        rows: list[Row] = []
        open_ = True
        while open_ or rows:
            if open_ and len(rows) < MOST_WAITING:
                open_ = self._gather(rows)
            try:
                self._place.insert(rows)
            except NotWritten as error:
                log.warning("routing records can't be written", extra={"error": str(error)})
                if not open_:
                    return
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                rows, pause = [], PAUSE

    def _gather(self, rows: list[Row]) -> bool:
        """Adds what comes together within a pause; whether more may come."""
        row = self._queue.get()
        until = time.monotonic() + PAUSE
        while row is not None:
            rows.append(row)
            left = until - time.monotonic()
            if left <= 0 or len(rows) >= AT_ONCE:
                return True
            try:
                row = self._queue.get(timeout=left)
            except queue.Empty:
                return True
        return False


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise sqlite3.DatabaseError(
            f"it has schema {version}, and this program knows {VERSION}: it was made by a newer one"
        )
    connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version={VERSION};COMMIT;")


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    for row in rows:
        connection.execute(_INTO[type(row)], values(row))
    connection.execute("COMMIT")
