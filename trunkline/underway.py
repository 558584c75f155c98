"""Which requests are on their way: so that what they began with can be closed after them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

log = logging.getLogger("trunkline")

Close = Callable[[], Awaitable[None]]


class Underway:
    """Counts requests in rounds; a round ends when something is to be closed after it."""

    def __init__(self) -> None:
        self._round = 0
        self._open: dict[int, int] = {}
        self._waiting: deque[tuple[int, Close]] = deque()
        self._closing: set[asyncio.Task[None]] = set()

    def begin(self) -> int:
        """A request begins; `end` takes what this gives."""
        self._open[self._round] = self._open.get(self._round, 0) + 1
        return self._round

    def end(self, number: int) -> None:
        """A request is over."""
        left = self._open[number] - 1
        if left:
            self._open[number] = left
            return
        del self._open[number]
        if self._waiting:
            self._close_what_may()

    def after_all(self, close: Close) -> None:
        """Closes something when all requests are over that have begun so far."""
        self._waiting.append((self._round, close))
        self._round += 1
        self._close_what_may()

    async def close(self) -> None:
        """Closes what still waits, since no request goes on, and returns when all is closed."""
        while self._waiting:
            self._start(self._waiting.popleft()[1])
        await asyncio.gather(*self._closing)

    def _close_what_may(self) -> None:
        first = min(self._open, default=self._round)
        while self._waiting and self._waiting[0][0] < first:
            self._start(self._waiting.popleft()[1])

    def _start(self, close: Close) -> None:
        task = asyncio.ensure_future(_told(close))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _told(close: Close) -> None:
    try:
        await close()
    except Exception:
        log.exception("closing what an earlier configuration used failed")
