"""Answers in an SQLite file, which the processes of one machine share and which outlives them."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .stores import StoreFailed

T = TypeVar("T")

FILE = "answers.db"
LARGEST = 1024 * 1024 * 1024
BUSY_SECONDS = 5.0
PRUNED_EVERY = 256
"""Writes between two looks for what has expired, or is too much."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    expires REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_expires ON answers (expires);
"""


class DiskStore:
    """See `Store`. What expires first makes room. largest: bytes of all values together."""

    kind = "disk"

    def __init__(
        self, folder: Path, largest: int = LARGEST, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = folder / FILE
        self._largest = largest
        self._clock = clock
        self._writes = 0
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "trunkline-answers")

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        return await self._run(self._get, keys)

    def _get(self, keys: Sequence[str]) -> list[bytes | None]:
        now, connection = self._clock(), self._connected()
        asked = "SELECT value FROM answers WHERE key = ? AND expires > ?"
        found = [connection.execute(asked, (key, now)).fetchone() for key in keys]
        return [row[0] if row else None for row in found]

    async def put(self, values: Sequence[tuple[str, bytes]], ttl: float) -> None:
        await self._run(self._put, values, ttl)

    def _put(self, values: Sequence[tuple[str, bytes]], ttl: float) -> None:
        until = self._clock() + ttl
        with self._connected() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)",
                [(key, value, until) for key, value in values],
            )
            if self._writes % PRUNED_EVERY == 0:
                self._prune(connection)
        self._writes += 1

    def _prune(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM answers WHERE expires <= ?", (self._clock(),))
        (size,) = connection.execute("SELECT total(length(value)) FROM answers").fetchone()
        if size > self._largest:
            connection.execute(
                "DELETE FROM answers WHERE key IN (SELECT key FROM (SELECT key, sum(length(value))"
                " OVER (ORDER BY expires DESC, key) AS so_far FROM answers) WHERE so_far > ?)",
                (self._largest,),
            )

    async def delete(self, keys: Sequence[str]) -> int:
        return await self._run(self._delete, keys)

    def _delete(self, keys: Sequence[str]) -> int:
        with self._connected() as connection:
            found = connection.executemany(
                "DELETE FROM answers WHERE key = ?", [(key,) for key in keys]
            )
        return found.rowcount

    async def flush(self, prefix: str) -> int:
        return await self._run(self._flush, prefix)

    def _flush(self, prefix: str) -> int:
        with self._connected() as connection:
            found = connection.execute(
                "DELETE FROM answers WHERE substr(key, 1, ?) = ?", (len(prefix), prefix)
            )
        return found.rowcount

    async def ping(self) -> None:
        await self._run(lambda: self._connected().execute("SELECT 1"))

    async def close(self) -> None:
        await self._run(self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS)
            connection.execute("PRAGMA journal_mode=WAL")
            # What a power cut takes was kept elsewhere: with the provider.
            connection.execute("PRAGMA synchronous=OFF")
            connection.executescript(_SCHEMA)
            self._connection = connection
        return self._connection

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        except (OSError, sqlite3.Error) as error:
            raise StoreFailed(f"{self._path}: {error}") from None
