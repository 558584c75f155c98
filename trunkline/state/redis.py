"""Counters in Redis, for all processes: one round trip to admit and one to settle.

Redis's clock is the clock. See `keys.py` for what lies there, and the scripts for what they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from . import keys, scripts
from .contract import (
    LEASE,
    Admitted,
    CountersUnavailable,
    Hold,
    Kind,
    Missing,
    Outcome,
    Refused,
)
from .keys import MOST
from .link import Connection, Link, LinkDown, LinkLost
from .scripts import Word

log = logging.getLogger("trunkline.state")

BEAT = LEASE / 3
"""Seconds between signs of life of a process; its calls hold what they do as long as it gives some.
"""

AT_ONCE = 500
"""Keys of one step."""

_KEYS = {
    Kind.REQUESTS: keys.WINDOW,
    Kind.TOKENS: keys.WINDOW,
    Kind.PARALLEL: keys.PLACES,
    Kind.BUDGET: keys.BUDGET,
}
_CODES = {Kind.REQUESTS: "r", Kind.TOKENS: "t", Kind.PARALLEL: "p", Kind.BUDGET: "b"}
_ELASTIC = {kind: code.upper() for kind, code in _CODES.items()}

AS_USUAL = ""
SETTLED_ELSEWHERE = "e"
"""Settled while Redis could not be reached: only what the call holds there is to end."""
ADMITTED_ELSEWHERE = "n"
"""Admitted while Redis could not be reached: it is counted there only now."""

_FORGOTTEN = "it has lost what it counted"

Clock = Callable[[], float]


class RedisCounters:
    """See `Counters`; but `settle` and `forget` raise CountersUnavailable as well."""

    def __init__(self, link: Link, *, clock: Clock | None = None) -> None:
        """clock: in the place of Redis's, in tests."""
        self._link = link
        self._clock = clock
        self._name = uuid.uuid4().hex
        self._calls = keys.CALLS + self._name
        self._open: set[str] = set()
        self._born: bytes | None = None
        self._forgotten = False
        link.opened = self._look
        # Redis remembers how they were settled until it is told that the answer has come.
        self._settled: deque[str] = deque()
        self._undoing: set[asyncio.Task[None]] = set()

    async def admit(self, call_id: str, holds: Sequence[Hold]) -> Outcome:
        try:
            return await self._admit(call_id, holds)
        except asyncio.CancelledError:
            # Redis may have admitted it.
            task = asyncio.create_task(self._left_alone(call_id, holds))
            self._undoing.add(task)
            task.add_done_callback(self._undoing.discard)
            raise

    async def _admit(self, call_id: str, holds: Sequence[Hold], again: str = "") -> Outcome:
        if self._forgotten:
            raise CountersUnavailable(_FORGOTTEN)
        named: list[str] = [keys.HELD, keys.UNWRITTEN, self._calls]
        words: list[Word] = [call_id, self._now(), again]
        for hold in holds:
            kind = hold.kind
            named.append(_KEYS[kind] + hold.counter)
            words += (
                _ELASTIC[kind] if hold.elastic else _CODES[kind],
                hold.maximum if hold.maximum < MOST else MOST,
                hold.amount if hold.amount < MOST else MOST,
            )
            if kind is Kind.BUDGET:
                words += (hold.period, "" if hold.spent is None else hold.spent)
        try:
            reply = await scripts.ADMIT.run(self._link, named, words)
        except LinkLost:
            words[2] = "1"
            reply = await self._run(scripts.ADMIT, named, words)
        except LinkDown as error:
            raise CountersUnavailable(str(error)) from None
        if reply[0] == b"a":
            self._open.add(call_id)
            return Admitted(call_id, tuple(holds), tuple(reply[2::2]), tuple(reply[3::2]), reply[1])
        if reply[0] == b"m":
            return Missing(tuple(reply[1:]))
        _, index, left, wait = reply
        return Refused(index, left, None if wait < 0 else wait / 1000)

    async def undo(self, call_id: str, holds: Sequence[Hold]) -> None:
        """Ends a call that may have been admitted, only that the answer was lost.

        Raises CountersUnavailable.
        """
        outcome = await self._admit(call_id, holds, "1")
        if isinstance(outcome, Admitted):
            await self.settle(outcome, tokens=0, cost=0)

    async def _left_alone(self, call_id: str, holds: Sequence[Hold]) -> None:
        with contextlib.suppress(CountersUnavailable):
            await self.undo(call_id, holds)

    async def settle(
        self,
        admitted: Admitted,
        *,
        tokens: int,
        cost: int,
        row: bytes | None = None,
        how: str = AS_USUAL,
    ) -> str | None:
        """See `Counters`; of a call that was settled before, None at once.

        how: one of `AS_USUAL`, `SETTLED_ELSEWHERE`, `ADMITTED_ELSEWHERE`.
        """
        if how == AS_USUAL and admitted.call_id not in self._open:
            return None
        if self._forgotten:
            raise CountersUnavailable(_FORGOTTEN)
        named = [keys.HELD, keys.UNWRITTEN, self._calls, keys.LEDGER]
        words: list[Word] = [admitted.call_id, self._now(), admitted.second, tokens, cost]
        words += ("", "", how) if row is None else ("1", row, how)
        words.append(self._settled.popleft() if self._settled else "")
        for hold, taken in zip(admitted.holds, admitted.taken, strict=True):
            named.append(_KEYS[hold.kind] + hold.counter)
            words += (_CODES[hold.kind], taken)
        try:
            reply = await scripts.SETTLE.run(self._link, named, words)
        except LinkLost as error:
            # Only what Redis remembers of a call keeps it from being counted twice.
            if how == ADMITTED_ELSEWHERE:
                raise CountersUnavailable(str(error)) from None
            reply = await self._run(scripts.SETTLE, named, words)
        except LinkDown as error:
            raise CountersUnavailable(str(error)) from None
        self._settled.append(admitted.call_id)
        self._open.discard(admitted.call_id)
        return reply.decode() or None

    async def forget(self, counters: Sequence[str]) -> None:
        for first in range(0, len(counters), AT_ONCE):
            some = [keys.BUDGET + each for each in counters[first : first + AT_ONCE]]
            await self._run(scripts.FORGET, some, ())

    async def ping(self) -> bool:
        try:
            await self._link.ask("PING")
        except LinkDown:
            return False
        return True

    def before_resume(self, write: Callable[[], Awaitable[None]]) -> None:
        """Nothing is resumed here: see `failing.py`."""

    async def beat(self) -> int:
        """Says that the process lives, ends what dead ones hold; how many processes live.

        Raises CountersUnavailable.
        """
        living, *dead = await self._run(scripts.BEAT, *self._sign())
        if self._forgotten:
            raise CountersUnavailable(_FORGOTTEN)
        for name in dead:
            named = (keys.PROCESSES, keys.HELD, keys.CALLS + name.decode())
            await self._run(scripts.BURY, named, (name, self._now(), LEASE))
        return int(living)

    async def resume(self) -> int:
        """The same, of a server that may have lost what it counted; from now on it counts again."""
        await self._run(scripts.BEAT, *self._sign())
        self._forgotten = False
        return await self.beat()

    async def _look(self, connection: Connection) -> None:
        """Finds out whether the server still has what it had on the connection before."""
        await connection.ask("SETNX", keys.BORN, uuid.uuid4().hex)
        born = await connection.ask("GET", keys.BORN)
        self._forgotten |= self._born not in (None, born)
        self._born = born

    def _sign(self) -> tuple[Sequence[str], Sequence[Word]]:
        return (keys.PROCESSES, keys.HELD, self._calls), (self._name, self._now(), LEASE)

    async def close(self) -> None:
        with contextlib.suppress(LinkDown):
            if self._link.reason is None:
                await self._link.ask("ZREM", keys.PROCESSES, self._name)
        await self._link.close()

    async def _run(self, script: scripts.Script, named: Sequence[str], words: Any) -> Any:
        try:
            return await script.run_again(self._link, named, words)
        except LinkDown as error:
            raise CountersUnavailable(str(error)) from None

    def _now(self) -> Word:
        return "" if self._clock is None else self._clock()
