"""The process that keeps the ledger of a busy gateway.

    python -m trunkline.ledger_process DESCRIPTOR

Started by `ledger/remote.py`, with one end of a socket; `ledger/writer.py` says what goes over it.
It ends when the other end is closed, as it is when the gateway dies, and has brought to the
database by then what it was sent, or leaves it on the disk.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, make_url

from .access.periods import next_reset
from .dataclass import dataclass
from .ledger.ledger import Ledger
from .ledger.upkeep import Upkeep
from .ledger.writer import ALIVE, READY
from .store.database import Database, StoreUnavailable
from .store.spend_resets import Reset
from .telemetry import logs

MODULE = __name__
CONNECTIONS = 2


@dataclass(frozen=True, slots=True)
class Options:
    """What the process has to know.

    url: of the database, with its password. timeout: seconds that a connection is waited for.
    folder: the data directory. logs: whether rows are kept, not only sums. retention: days for
    which they are. verbose, as_json: how the process logs.
    """

    url: str
    timeout: float
    folder: str
    logs: bool
    retention: float | None
    verbose: bool
    as_json: bool

    @classmethod
    def of(
        cls, url: URL, folder: Path, *, retention: timedelta | None, **others: Any
    ) -> Mapping[str, Any]:
        """As they are sent."""
        days = retention / timedelta(days=1) if retention is not None else None
        written = url.render_as_string(hide_password=False)
        return asdict(cls(url=written, folder=str(folder), retention=days, **others))


class Keeping(asyncio.Protocol):
    """Keeps what it is sent. ended: done when nothing more will be."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._database: Database | None = None
        self._ledger: Ledger | None = None
        self._transport: Any = None
        self._rest = b""
        self._taken = 0
        self._flushes: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        taken = None
        for line in lines:
            if self._ledger is None:
                self._ledger = self._begun(Options(**orjson.loads(line)))
            elif line[:1] == b"[":
                taken = self._ledger.take(line)
                self._taken += 1
            elif line == ALIVE:
                self._say(ALIVE)
            else:
                task = asyncio.ensure_future(self._flush(self._ledger, line))
                self._flushes.add(task)
                task.add_done_callback(self._flushes.discard)
        if taken is not None:
            taken.add_done_callback(partial(self._say, b"+%d" % self._taken))

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set_result(None)

    async def close(self) -> None:
        if self._ledger is not None and self._database is not None:
            await self._ledger.close()
            await self._database.close()

    def _begun(self, options: Options) -> Ledger:
        url = make_url(options.url)
        secrets = [str(url.password)] if url.password else []
        logs.configure(verbose=options.verbose, as_json=options.as_json, secrets=secrets)
        self._database = Database(url, connections=CONNECTIONS, timeout=options.timeout)
        retention = timedelta(options.retention) if options.retention is not None else None
        upkeep = Upkeep(self._database, next_reset, self._began_anew, retention=retention)
        ledger = Ledger(self._database, Path(options.folder), upkeep, logs=options.logs, waits=True)
        ledger.start()
        self._say(READY)
        return ledger

    async def _flush(self, ledger: Ledger, number: bytes) -> None:
        try:
            await ledger.flush()
        except (StoreUnavailable, OSError):
            self._say(b"!" + number)
        else:
            self._say(b"=" + number)

    async def _began_anew(self, reset: Reset) -> None:
        self._say(orjson.dumps({"level": reset.level, "ids": reset.ids}))

    def _say(self, line: bytes, _: object = None) -> None:
        if not self._transport.is_closing():
            self._transport.write(line + b"\n")


async def keep(descriptor: int) -> None:
    """Returns when the other end of the socket is closed, and all is done that can be."""
    loop = asyncio.get_running_loop()
    ours = socket.socket(fileno=descriptor)
    _, keeping = await loop.create_connection(Keeping, sock=ours)
    await keeping.ended
    await keeping.close()


def main() -> None:
    """Runs the process."""
    import uvloop  # noqa: PLC0415 - Lambda has none, and imports this module

    # Who ends all processes of a service at once means the gateway, which isn't done yet.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    uvloop.run(keep(int(sys.argv[1])))


if __name__ == "__main__":
    main()
