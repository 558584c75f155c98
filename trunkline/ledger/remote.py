"""A ledger that another process keeps once many rows come.

What writes to the disk and to the database are threads. Each that comes back from there waits for
the interpreter's lock, and then the event loop waits for it, again and again. To a process of its
own, rows go many at once, by one write to a socket.

While there is none, and when it ends or says nothing, this process keeps the ledger itself. What
the other one left on the disk is brought as that of any process that died.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..store.database import Database
from ..store.spend_resets import Reset
from .ledger import Ledger
from .tasks import repeat
from .upkeep import Upkeep
from .writer import Writer

log = logging.getLogger("trunkline.ledger")

MANY = 50
"""Rows within `LOOK` from which on another process is worth its memory."""
LOOK = 1.0
"""Seconds between two looks at how many came, and at whether the other process answers."""
SILENT = 10.0
"""Seconds without an answer after which it is ended."""
SOONEST, LATEST = 1.0, 300.0
"""Seconds from its end to the next start: each time twice as many, where it lives no longer."""


class RemoteLedger(Ledger):
    """See the module's head."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        upkeep: Upkeep,
        *,
        module: str,
        options: Mapping[str, Any],
        logs: bool = True,
    ) -> None:
        """module: the program of the other process. options: what it is told first, as JSON."""
        super().__init__(database, folder, upkeep, logs=logs)
        self._start = partial(Writer.start, module, options, self._began_anew)
        self._writer: Writer | None = None
        self._ended: list[Writer] = []
        self._came = 0
        self._wait = SOONEST
        self._due = self._began = 0.0
        self._telling: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        super().start()
        looking = repeat("looking after the ledger's process", self._look, LOOK)
        self._tasks.append(asyncio.get_running_loop().create_task(looking))

    def take(self, row: bytes) -> asyncio.Future[Any]:
        self._came += 1
        return super().take(row) if self._writer is None else self._writer.take(row)

    @property
    def waiting(self) -> int:
        """Rows that the database hasn't; of those of the other process, all since the last flush
        that succeeded."""
        return super().waiting + (self._writer.waiting if self._writer else 0)

    async def flush(self) -> None:
        if self._writer is not None:
            try:
                await self._writer.flush()
            except ConnectionError:
                log.debug("the ledger's process ended while it was asked")
        await self._bring()
        await super().flush()

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()
            self._take_over(writer)
        await super().close()

    async def _bring(self) -> None:
        """Brings what processes that ended left on the disk. Raises StoreUnavailable."""
        ended = tuple(self._ended)
        if ended:
            for each in ended:
                await each.kill()
            await self._recovery.files()
            self._ended = [each for each in self._ended if each not in ended]

    async def _look(self) -> None:
        came, self._came = self._came, 0
        now = asyncio.get_running_loop().time()
        if self._writer is not None:
            if self._writer.is_silent(SILENT):
                log.error("the ledger's process says nothing")
                await self._writer.kill()
            else:
                self._writer.ask()
        elif came >= MANY and now >= self._due:
            await self._begin()
        await self._bring()

    async def _begin(self) -> None:
        """Hands rows to a new process from now on. Raises OSError."""
        self._began = asyncio.get_running_loop().time()
        self._put_off()
        writer = await self._start()
        try:
            async with asyncio.timeout(SILENT):
                await writer.ready
        except BaseException:
            await asyncio.shield(writer.kill())
            raise
        self._writer = writer
        log.info("a process of its own keeps the ledger", extra={"pid": writer.pid})
        writer.ended.add_done_callback(lambda _: self._lost(writer))

    def _put_off(self) -> None:
        """Lets the next start wait, longer each time."""
        self._due = asyncio.get_running_loop().time() + self._wait
        self._wait = min(2 * self._wait, LATEST)

    def _lost(self, writer: Writer) -> None:
        """Keeps the rows here that the other process may not have."""
        if self._writer is not writer:
            return
        self._writer = None
        self._ended.append(writer)
        log.error("the ledger's process ended", extra={"rows": len(writer.unanswered)})
        if asyncio.get_running_loop().time() - self._began > LATEST:
            self._wait = SOONEST
        self._put_off()
        self._take_over(writer)

    def _take_over(self, writer: Writer) -> None:
        for row, done in writer.unanswered:
            self.take(row).add_done_callback(partial(_pass_on, done))

    def _began_anew(self, reset: Reset) -> None:
        task = asyncio.ensure_future(self.upkeep.tell(reset))
        self._telling.add(task)
        task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("budgets that began anew weren't told", exc_info=error)


def _pass_on(done: asyncio.Future[None], taken: asyncio.Future[Any]) -> None:
    if not done.done():
        done.set_result(None)
