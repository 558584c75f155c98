"""A connection to Redis that many calls share.

What is asked in one turn of the event loop leaves in one write, and replies are given to those who
asked in their order. redis-py's asyncio client costs four times as much of the process's time.

    Connection   one socket: asks, hears
    Link         has a connection, or is about to have another
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

import hiredis

log = logging.getLogger("trunkline.state")

TIMEOUT = 1.0
"""Seconds in which a reply has to come; after that, the connection is given up."""
OPENING = 3.0
"""Seconds in which a server has to be found and connected to."""
MOST_WAITING = 20_000
"""Commands without a reply; more are refused."""
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

_NOTHING = object()
_ELSEWHERE = ("MOVED", "ASK", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "UNBLOCKED")
"""What a server says that isn't, or no longer is, the one to ask."""


class LinkDown(Exception):
    """Redis can't be asked, or refused: why, without secrets."""


class LinkLost(LinkDown):
    """The connection broke before the reply came: what was asked may have been done."""


class Connection(asyncio.Protocol):
    """One socket to a server.

    hear: given what comes without having been asked for, messages of channels. closed: done, with
    the reason, when the socket is gone.
    """

    def __init__(
        self, *, timeout: float = TIMEOUT, hear: Callable[[list[Any]], None] | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._hear = hear
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._transport: asyncio.WriteTransport | None = None
        self._out: list[bytes] = []
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self.closed: asyncio.Future[str] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no such class
        self._watch = self._loop.call_later(self._timeout / 4, self._look)

    def send(self, *command: str | bytes | int | float) -> asyncio.Future[Any]:
        """The reply to come: a value, a list, or a hiredis.ReplyError. Raises LinkDown."""
        waiting = self._waiting
        if self._transport is None:
            raise LinkLost("the connection is closed")
        if len(waiting) >= MOST_WAITING:
            raise LinkDown("too many commands wait for replies")
        reply = self._loop.create_future()
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(hiredis.pack_command(command))  # type: ignore[arg-type]
        waiting.append((reply, self._loop.time()))
        return reply

    async def ask(self, *command: str | bytes | int | float) -> Any:
        """The reply. Raises LinkDown, also for one that is an error."""
        reply = await self.send(*command)
        if isinstance(reply, hiredis.ReplyError):
            raise refused(reply)
        return reply

    def data_received(self, data: bytes) -> None:
        reader, waiting, hear = self._reader, self._waiting, self._hear
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOTHING:
                if hear is not None and isinstance(reply, list) and reply[0] == b"message":
                    hear(reply)
                elif waiting:
                    future, _ = waiting.popleft()
                    if not future.done():
                        future.set_result(reply)
        except hiredis.ProtocolError:
            self.close("what came is not Redis's protocol")

    def connection_lost(self, exc: Exception | None) -> None:
        self.close("the connection broke")

    def close(self, reason: str) -> None:
        """Closes the socket; who waits gets LinkLost."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if not self.closed.done():
            self.closed.set_result(reason)
        self._fail(LinkLost(reason))

    def _fail(self, error: LinkDown) -> None:
        waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            if not future.done():
                future.set_exception(error)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None:
            self._transport.write(b"".join(out) if len(out) > 1 else out[0])

    def _look(self) -> None:
        """Gives the connection up whose oldest reply is overdue."""
        if self._waiting and self._loop.time() - self._waiting[0][1] > self._timeout:
            # Who was let down so isn't tried again at once: it has waited long enough.
            self._fail(LinkDown(f"no reply within {self._timeout:g} s"))
            self.close("replies are overdue")
        else:
            self._watch = self._loop.call_later(self._timeout / 4, self._look)


Open = Callable[[], Awaitable[Connection]]
"""Finds the server and connects to it. Raises LinkDown or OSError."""


class Link:
    """Keeps a connection, and makes a new one whenever it breaks.

    Who asks while the first attempt at a new one is under way waits for it; when that has failed,
    everybody is refused at once until an attempt succeeds.
    """

    def __init__(self, open: Open) -> None:
        self._open = open
        self.opened: Callable[[Connection], Awaitable[None]] | None = None
        """Asked on each new connection, before it is used. Raises LinkDown."""
        self._connection: Connection | None = None
        self._reason: str | None = None
        self._turned = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def reason(self) -> str | None:
        """Why the last attempt to connect failed; None where it didn't."""
        return self._reason

    async def connection(self) -> Connection:
        """The one to ask. Raises LinkDown."""
        if self._closed:
            raise LinkDown("the link is closed")
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name="link to Redis")
        while (connection := self.usable()) is None:
            if self._reason is not None:
                raise LinkDown(self._reason)
            await self._turned.wait()
        return connection

    def usable(self) -> Connection | None:
        """The connection, unless it has just broken."""
        if self._connection is not None and self._connection.closed.done():
            self._lose()
        return self._connection

    async def ask(self, *command: str | bytes | int | float) -> Any:
        """The reply. Raises LinkDown; LinkLost where it isn't known whether it was done."""
        connection = self.usable() or await self.connection()
        reply = await connection.send(*command)
        if isinstance(reply, hiredis.ReplyError):
            self.note(reply)
            raise refused(reply)
        return reply

    def note(self, error: hiredis.ReplyError) -> None:
        """Leaves a server that says it isn't the one to ask."""
        if str(error).startswith(_ELSEWHERE) and self._connection is not None:
            self._connection.close("the server is no longer the one to ask")
            self._lose()

    def renew(self) -> None:
        """Lets go of the connection, for another: this process stood still, and it may be dead."""
        if self._connection is not None:
            self._connection.close("another one is made")

    async def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._connection is not None:
            self._connection.close("the link is closed")
            self._connection = None
        self._turn("the link is closed")

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(OPENING):
                    self._connection = await self._ready()
            except (LinkDown, OSError, TimeoutError) as error:
                self._turn(_told(error))
            except Exception as error:
                log.exception("the link to Redis failed")
                self._turn(type(error).__name__)
            else:
                self._turn(None)
                reason = await self._connection.closed
                log.debug("the connection to Redis ended: %s", reason)
                self._lose()
                if time.monotonic() - began > 4 * LONGEST_PAUSE:
                    pause = FIRST_PAUSE
                    continue
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _ready(self) -> Connection:
        connection = await self._open()
        try:
            if self.opened is not None:
                await self.opened(connection)
        except BaseException:
            connection.close("it could not be used")
            raise
        return connection

    def _turn(self, reason: str | None) -> None:
        """Tells who waits what came of an attempt."""
        self._reason = reason
        self._turned.set()

    def _lose(self) -> None:
        self._connection = None
        self._turned.clear()


def refused(error: hiredis.ReplyError) -> LinkDown:
    """What Redis answered in place of a reply; its first word says what it is."""
    return LinkDown(f"Redis answers: {str(error)[:200]}")


def _told(error: BaseException) -> str:
    if isinstance(error, LinkDown):
        return str(error)
    if isinstance(error, TimeoutError):
        return "can't be connected to in time"
    return f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"
