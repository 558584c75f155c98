"""The ledger: a row of every call, on its way to the database.

Before an answer ends, its row is in two places of which no single failure takes both: in this
process's memory, and in Redis or, without Redis, on the local disk.

    the gateway is killed     its rows are in Redis, or in its journal, and others bring them
    Redis loses its data      the rows are in the processes' memory
    the database is away      the rows wait in both

A row that comes to the database twice counts once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

from ..state.contract import Stream
from ..store.database import Database, StoreUnavailable
from .drain import MOST, Drain, Kept
from .journal import Journal
from .recovery import Recovery
from .row import SpendRow
from .tasks import repeat
from .upkeep import Upkeep

log = logging.getLogger("trunkline.ledger")

FOLDER = "ledger"
"""In the data directory."""

PAUSE = 0.5
"""Seconds in which rows come together."""
LOOK = 5.0
"""Seconds between two looks for rows that dead processes left."""
CLOSE_SECONDS = 10.0


class Ledger:
    """Keeps rows of calls. Used in one event loop; `start` before the first row."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        upkeep: Upkeep,
        *,
        stream: Stream | None = None,
        logs: bool = True,
        waits: bool = False,
    ) -> None:
        """folder: the data directory. stream: where settled calls leave their rows, if they do.
        logs: whether rows are kept in the database; without, only sums are.
        waits: see `Journal`."""
        self._journal = Journal(folder / FOLDER, waits=waits)
        self._drain = Drain(database, self._journal, stream, upkeep.reset, logs=logs)
        self._recovery = Recovery(self._drain, self._journal, stream)
        self._upkeep = upkeep
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to bring rows to the database, and to keep its tables in order."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(each)
            for each in (
                repeat("writing the ledger", self._write, PAUSE, self._pause),
                repeat("looking for rows of the ledger", self._recovery.run, LOOK),
                *self._upkeep.tasks(),
            )
        ]

    async def record(self, row: SpendRow) -> None:
        """Returns when the row is on the disk.

        Never fails: where the disk can't be written, the row is in memory, and that is told.
        """
        await self.take(row.encoded())

    def note(self, row: SpendRow) -> None:
        """The same without waiting for the disk."""
        self.take(row.encoded())

    def hold(self, row: bytes, stream_id: str) -> None:
        """Keeps an encoded row in memory that is in the stream; without room, it rests there."""
        self._drain.add(Kept(row, stream_id))

    def take(self, row: bytes) -> asyncio.Future[Any]:
        """Begins to keep an encoded row; the future is done when it outlives this process, or when
        nothing can be done for that. Where the loop waits for the disk, rows are done in order."""
        segment, written = self._journal.append(row)
        kept = self._drain.add(Kept(row, segment=segment))
        if not kept:
            if segment is not None:
                segment.resting = True
            written.add_done_callback(
                lambda done: None if done.result() else self._without_copy(row)
            )
        return written

    def _without_copy(self, row: bytes) -> None:
        if not self._drain.add(Kept(row), most=MOST):
            self._drain.lose()

    @property
    def waiting(self) -> int:
        """Rows in memory that the database hasn't."""
        return len(self._drain)

    @property
    def written(self) -> int:
        """Rows that this process has inserted."""
        return self._drain.written

    @property
    def failures(self) -> int:
        """Writes to the journal that failed."""
        return self._journal.failures

    @property
    def lost(self) -> int:
        """Rows for which there was no place at all."""
        return self._drain.lost

    async def flush(self) -> None:
        """Returns when the database has every row that this process has taken so far.

        Raises StoreUnavailable.
        """
        await self._write()
        await self._recovery.rest()

    @property
    def upkeep(self) -> Upkeep:
        """For who does it in a process of its own, beside or in the place of `start`."""
        return self._upkeep

    async def replay(self) -> None:
        """Brings the rows that others left. Raises StoreUnavailable, CountersUnavailable."""
        await self._recovery.run()

    async def close(self) -> None:
        """Ends the background work. Rows that the database doesn't take now are left on the disk
        or in Redis, from where the next process brings them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.flush()
        if self.waiting:
            log.warning("rows of the ledger are left for later", extra={"rows": self.waiting})
        await self._journal.close()

    async def _write(self) -> None:
        await self._drain.run()
        self._recovery.tidy()

    async def _pause(self, seconds: float) -> None:
        """Waits for rows to come together."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._drain.full.wait()
