"""Brings rows from memory to the database, in batches, and lets go of their other copies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from ..dataclass import dataclass
from ..state.contract import CountersUnavailable, Stream
from ..store import spend
from ..store.database import Database
from .batches import batch_of, call_id_of
from .journal import Journal, Segment, line

log = logging.getLogger("trunkline.ledger")

AT_ONCE = 2_000
"""Rows in a transaction."""
KEPT = 50_000
"""Rows in memory; more rest in the stream or in the journal."""
MOST = 4 * KEPT
"""Rows in memory, where those above KEPT are nowhere else."""
REFUSED = "refused.rows"
"""The file of rows that the database can't hold."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An encoded row in memory. stream_id, segment: where its copy is; None where it has none."""

    row: bytes
    stream_id: str | None = None
    segment: Segment | None = None


class Drain:
    """Rows that wait for the database.

    written: rows that were inserted, by this process. lost: rows that found no place.
    full: set while so many wait that nobody should wait longer.
    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        stream: Stream | None,
        before: Callable[[], Awaitable[None]],
        *,
        logs: bool = True,
    ) -> None:
        """before: awaited before rows are inserted that were gathered by then.
        logs: see `store.spend.insert`."""
        self._database = database
        self._journal = journal
        self._stream = stream
        self._before = before
        self._logs = logs
        self._waiting: deque[Kept] = deque()
        self._taken = 0
        self._turn = asyncio.Lock()
        self.stream_ids: set[str] = set()
        self.full = asyncio.Event()
        self.written = 0
        self.lost = 0

    def __len__(self) -> int:
        """Rows that the database hasn't, or of which nobody knows yet that it has."""
        return len(self._waiting) + self._taken

    def add(self, kept: Kept, *, most: int = KEPT) -> bool:
        """Whether there was room for a row."""
        if len(self) >= most:
            return False
        self._waiting.append(kept)
        if kept.stream_id is not None:
            self.stream_ids.add(kept.stream_id)
        if kept.segment is not None:
            kept.segment.kept += 1
        if len(self._waiting) >= AT_ONCE:
            self.full.set()
        return True

    def lose(self) -> None:
        self.lost += 1
        if self.lost & (self.lost - 1) == 0:
            log.error("rows of the ledger were lost", extra={"lost": self.lost})

    async def run(self) -> None:
        """Inserts what waits now. Raises StoreUnavailable, and keeps what it couldn't insert."""
        async with self._turn:
            left = len(self._waiting)
            while left > 0:
                batch = [self._waiting.popleft() for _ in range(min(left, AT_ONCE))]
                left -= len(batch)
                self._taken = len(batch)
                try:
                    await self.insert([kept.row for kept in batch])
                except BaseException:
                    self._waiting.extendleft(reversed(batch))
                    raise
                finally:
                    self._taken = 0
                await self._let_go(batch)
            if len(self._waiting) < AT_ONCE:
                self.full.clear()

    async def insert(self, rows: Sequence[bytes], *, alone: bool = False) -> bool:
        """Inserts encoded rows that aren't there yet; those that can't be held are put aside.

        alone: only if no other process does so now; whether it was done.
        """
        await self._before()
        try:
            count = await spend.insert(
                self._database, await batch_of(rows), logs=self._logs, alone=alone
            )
        except (spend.Unfit, ValueError, OverflowError) as error:
            await self._apart(rows, error)
            return True
        self.written += count or 0
        return count is not None

    async def _apart(self, rows: Sequence[bytes], error: Exception) -> None:
        """Inserts the rows without the one that is to blame."""
        if len(rows) > 1:
            middle = len(rows) // 2
            await self.insert(rows[:middle])
            await self.insert(rows[middle:])
            return
        reason = str(error.__cause__ or error).partition("\n")[0]
        log.error(
            "a row can't be inserted", extra={"call_id": call_id_of(rows[0]), "error": reason}
        )
        await asyncio.to_thread(_put_aside, self._journal.folder, rows[0])

    async def _let_go(self, batch: Sequence[Kept]) -> None:
        for kept in batch:
            if kept.segment is not None:
                kept.segment.kept -= 1
        ids = [kept.stream_id for kept in batch if kept.stream_id is not None]
        if ids and self._stream is not None:
            # Left there, they are found to be inserted later.
            with contextlib.suppress(CountersUnavailable):
                await self._stream.delete(ids)
            self.stream_ids.difference_update(ids)


def _put_aside(folder: Path, row: bytes) -> None:
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / REFUSED).open("ab") as file:
            file.write(line(row))
