"""Finds the rows that dead processes left in Redis and on the disk, and brings them home."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import islice
from typing import BinaryIO

from ..state.contract import Stream
from .drain import AT_ONCE, Drain
from .journal import Journal, Segment, orphans, remove, rows
from .row import SpendRow

log = logging.getLogger("trunkline.ledger")

OLD = 10.0
"""Seconds after which a row of the stream is taken for one that nobody will bring."""


class Recovery:
    """Brings rows that no process holds in memory."""

    def __init__(self, drain: Drain, journal: Journal, stream: Stream | None) -> None:
        self._drain = drain
        self._journal = journal
        self._stream = stream
        self._resting: list[Segment] = []
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Brings all that is found. Raises StoreUnavailable, CountersUnavailable."""
        await self.files()
        await self.stream()

    async def files(self) -> None:
        """Brings what rests in journals: those of dead processes, and this one's."""
        async with self._turn:
            with ExitStack() as stack:
                found = await asyncio.to_thread(list, orphans(self._journal.folder))
                for _, file in found:
                    stack.callback(file.close)
                for path, file in found:
                    await self._replay(file)
                    await asyncio.to_thread(remove, path, file)
        await self.rest()

    def tidy(self) -> None:
        """Empties and removes this process's journals as far as the database has their rows."""
        self._resting += self._journal.tidy()

    async def rest(self) -> None:
        """Brings the rows for which there was no room in memory. Raises StoreUnavailable."""
        async with self._turn:
            self.tidy()
            while self._resting:
                segment = self._resting[0]
                with segment.path.open("rb") as file:
                    await self._replay(file)
                self._resting.pop(0)
                self._journal.discard(segment)

    async def stream(self) -> None:
        """Brings what is left in the stream, unless another process does so."""
        if self._stream is None:
            return
        while found := await self._stream.older_than(OLD, AT_ONCE):
            ours = self._drain.stream_ids
            left = [(id, row) for id, row in found if id not in ours]
            if not left or not await self._drain.insert(
                readable(row for _, row in left), alone=True
            ):
                return
            await self._stream.delete([id for id, _ in left])

    async def _replay(self, file: BinaryIO) -> None:
        found = rows(file)
        while batch := await asyncio.to_thread(_next, found):
            await self._drain.insert(batch)


def _next(found: Iterable[bytes]) -> list[bytes]:
    return readable(islice(found, AT_ONCE))


def readable(found: Iterable[bytes]) -> list[bytes]:
    """The rows that can be read, as this program encodes them; what can't is nothing of ours, or a
    newer program's."""
    result = []
    for row in found:
        try:
            result.append(SpendRow.decoded(row).encoded())
        except (ValueError, TypeError):
            log.error("what was left of a call can't be read", extra={"bytes": len(row)})
    return result
