"""Messages to all processes, by Redis's channels."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from . import keys
from .contract import Hear
from .link import OPENING, Connection, Link, LinkDown

log = logging.getLogger("trunkline.state")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
QUIET = 2.0
"""Seconds between questions to a connection on which nothing may come for long."""
MOST_UNSENT = 1000

Open = Callable[[Callable[[list[Any]], None]], Awaitable[Connection]]
"""Connects to the server; what comes from channels is given to the argument."""


class RedisBus:
    """See `Bus`. Listens from the first `subscribe` on."""

    def __init__(self, open: Open, link: Link) -> None:
        """link: by which it sends."""
        self._open = open
        self._link = link
        self._name = uuid.uuid4().hex.encode()
        self._hears: list[Hear] = []
        self._unsent: deque[str] = deque()
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()
        self._heard_by: Connection | None = None

    def subscribe(self, hear: Hear) -> None:
        self._hears.append(hear)
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="bus")

    async def publish(self, message: str) -> None:
        self._tell(message)
        if not await self._send(message):
            if len(self._unsent) >= MOST_UNSENT:
                self._unsent.clear()
                message = ""
            self._unsent.append(message)

    async def listening(self) -> None:
        """Returns when messages of others are heard."""
        await self._listening.wait()

    def renew(self) -> None:
        self._link.renew()
        if self._heard_by is not None:
            self._heard_by.close("another one is made")
        self._tell("")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _send(self, message: str) -> bool:
        try:
            await self._link.ask("PUBLISH", keys.CHANGES, self._name + b" " + message.encode())
        except LinkDown:
            return False
        return True

    def _heard(self, reply: list[Any]) -> None:
        origin, _, message = reply[2].partition(b" ")
        if origin != self._name:
            self._tell(message.decode("utf-8", "replace"))

    def _tell(self, message: str) -> None:
        for hear in self._hears:
            try:
                hear(message)
            except Exception:
                log.exception("a message of the bus was not understood")

    async def _listen(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with asyncio.timeout(OPENING):
                    connection = await self._open(self._heard)
                try:
                    async with asyncio.timeout(OPENING):
                        await connection.ask("SUBSCRIBE", keys.CHANGES)
                    pause = FIRST_PAUSE
                    self._heard_by = connection
                    self._tell("")
                    self._listening.set()
                    await self._stay(connection)
                finally:
                    self._listening.clear()
                    self._heard_by = None
                    connection.close("the bus doesn't listen here any more")
            except (LinkDown, OSError, TimeoutError) as error:
                log.debug("the bus isn't connected: %s", error)
            except Exception:
                log.exception("the bus failed; it connects again")
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _stay(self, connection: Connection) -> None:
        """Returns by raising LinkDown, when the connection is gone."""
        while True:
            while self._unsent and await self._send(self._unsent[0]):
                self._unsent.popleft()
            await connection.ask("PING")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(connection.closed), QUIET)
