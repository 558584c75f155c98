"""Another process that keeps the ledger, as this one sees it: the socket between them.

    this process             the other one
    { … }  options      ->
                        <-   ready
    [ … ]  a row        ->
                        <-   +12     of all rows that were sent, the first 12 outlive both processes
    7      a flush      ->
                        <-   =7      the database has what was sent before it; or !7, can't be
                                     reached
    ?                   ->   ?       whether it lives
                        <-   { … }   whose budgets began anew

Each is a line. Rows gather here while others are on their way to the disk.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any

import orjson

from ..store.database import StoreUnavailable
from ..store.spend_resets import Reset
from .journal import GAP

READY, ALIVE = b"ready", b"?"
CLOSE_SECONDS = 15.0
"""For which its end is waited for; longer than it waits for the database."""

Answered = asyncio.Future[None]


class Writer(asyncio.Protocol):
    """Hands rows to the process, many at once, and hears what became of them.

    unanswered: rows of which that isn't known. ready: done once the process takes rows. ended:
    done when it takes no more. waiting: rows since the last flush.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], began_anew: Callable[[Reset], None]
    ) -> None:
        self._process = process
        self.unanswered: deque[tuple[bytes, Answered]] = deque()
        self.waiting = 0
        self._loop = asyncio.get_running_loop()
        self.ready: Answered = self._loop.create_future()
        self.ended: Answered = self._loop.create_future()
        self._began_anew = began_anew
        self._transport: Any = None
        self._lines: list[bytes] = []
        self._rest = b""
        self._sent = self._kept = 0
        self._flushes: dict[int, asyncio.Future[bool]] = {}
        self._numbers = count(1)
        self._heard = self._due = 0.0

    @classmethod
    async def start(
        cls, module: str, options: Mapping[str, Any], began_anew: Callable[[Reset], None]
    ) -> Writer:
        """Starts the process; it isn't ready yet. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _spawn(module, theirs.fileno())
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        transport, writer = await asyncio.get_running_loop().create_connection(
            partial(cls, process, began_anew), sock=ours
        )
        transport.write(orjson.dumps(options) + b"\n")
        return writer

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def take(self, row: bytes) -> Answered:
        """Sends a row, with others; done when it outlives both processes."""
        done: Answered = self._loop.create_future()
        if not self.unanswered:
            self._loop.call_at(self._due, self._send)
        self.unanswered.append((row, done))
        self._lines.append(row)
        self.waiting += 1
        return done

    def _send(self) -> None:
        if self._lines:
            self._sent += len(self._lines)
            self._lines.append(b"")
            self._transport.write(b"\n".join(self._lines))
            self._lines.clear()

    async def flush(self) -> None:
        """Returns when the database has what was sent before.

        Raises StoreUnavailable; ConnectionError where the process ended.
        """
        if self.ended.done():
            raise ConnectionResetError
        number, before = next(self._numbers), self.waiting
        found = self._flushes[number] = self._loop.create_future()
        self._send()
        self._transport.write(b"%d\n" % number)
        if not await found:
            raise StoreUnavailable
        self.waiting = max(0, self.waiting - before)

    def ask(self) -> None:
        """Lets the process show that it lives."""
        self._transport.write(ALIVE + b"\n")

    def is_silent(self, seconds: float) -> bool:
        """Whether it said nothing for so long, which is to be asked more often."""
        return self._loop.time() - self._heard > seconds

    async def close(self) -> None:
        """Lets the process write what it has, and waits for its end."""
        if not self.ended.done():
            self._send()
            self._transport.write_eof()
        try:
            await asyncio.to_thread(self._process.wait, CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            await self.kill()

    async def kill(self) -> None:
        """Returns when the process is gone, and with it its locks."""
        self._transport.abort()
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            match line[:1]:
                case b"+":
                    self._answered(int(line[1:]))
                case b"=" | b"!":
                    found = self._flushes.pop(int(line[1:]))
                    if not found.done():
                        found.set_result(line[:1] == b"=")
                case b"{":
                    told = orjson.loads(line)
                    self._began_anew(Reset(told["level"], tuple(told["ids"])))
                case _ if line == READY:
                    self.ready.set_result(None)

    def _answered(self, kept: int) -> None:
        for _ in range(kept - self._kept):
            _, done = self.unanswered.popleft()
            if not done.done():
                done.set_result(None)
        self._kept = kept
        self._due = self._heard + GAP
        if self._lines and kept == self._sent:
            self._loop.call_at(self._due, self._send)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        for found in self._flushes.values():
            if not found.done():
                found.set_exception(ConnectionResetError())
        if not self.ready.done():
            self.ready.set_exception(ConnectionResetError())
        self.ended.set_result(None)


def _spawn(module: str, descriptor: int) -> subprocess.Popen[bytes]:
    """A process that finds what this one imports, and that no Ctrl-C reaches: it ends when the
    socket does."""
    return subprocess.Popen(  # noqa: S603 - it is this program
        [sys.executable, "-P", "-m", module, str(descriptor)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        pass_fds=[descriptor],
        start_new_session=True,
    )
