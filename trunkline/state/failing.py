"""Counters in Redis that go on without it, and come to it again.

While Redis can't be reached, each process enforces its share of every limit by itself, or nothing
is let through, as it is configured. When it is back:

    1  what the process kept of settled calls is written to the database
    2  Redis is told which calls ended meanwhile; what they cost, the database has
    3  what budgets have spent is forgotten in Redis, so that it is taken from the database

Calls that come in the meantime wait, a few milliseconds: otherwise what they cost would be counted
twice, or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from .contract import Admitted, CountersUnavailable, Hold, Kind, Outcome, Stream
from .memory import MemoryCounters
from .redis import ADMITTED_ELSEWHERE, AS_USUAL, BEAT, SETTLED_ELSEWHERE, RedisCounters
from .shares import ShareCounters

log = logging.getLogger("trunkline.state")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
FRESH = 60.0
"""Seconds for which what was left of a budget is believed."""
MOST_KNOWN = 50_000
MOST_OWED = 200_000
WRITING = 3.0
"""Seconds for the database to take what was kept, while calls wait."""
AT_ONCE = 200


class Outages(Protocol):
    """What is told of Redis to those who operate it."""

    def redis_failed(self) -> None:
        """It could be reached, and can't any more."""

    def redis_up(self, up: bool) -> None:
        """Whether it can be reached."""


class SharedCounters:
    """See `Counters`."""

    def __init__(
        self,
        redis: RedisCounters,
        stream: Stream,
        outages: Outages,
        *,
        deny: bool = False,
        processes: int = 1,
        memory: Callable[[], MemoryCounters] = MemoryCounters,
    ) -> None:
        """deny: whether nothing is let through without Redis. processes: that share the limits, as
        long as Redis hasn't said how many do.
        """
        self._redis = redis
        self._stream = stream
        self._outages = outages
        self._deny = deny
        self._processes = processes
        self._shares: ShareCounters = ShareCounters(memory(), processes)
        self._writes: list[Callable[[], Awaitable[None]]] = []
        self._reason: str | None = None
        self._fell = 0.0
        self._gate: asyncio.Event | None = None
        # Budgets: what was left, of which maximum and period, and when that was.
        self._known: dict[str, tuple[int, int, int, float]] = {}
        # Calls that Redis admitted and that were settled without it, with their tokens.
        self._owed: dict[str, tuple[Admitted, int]] = {}
        self._touched: set[str] = set()
        # Calls of which it isn't known whether Redis has admitted them.
        self._doubtful: dict[str, tuple[Hold, ...]] = {}
        self._beating: asyncio.Task[None] | None = None
        self._recovering: asyncio.Task[None] | None = None

    async def admit(self, call_id: str, holds: Sequence[Hold]) -> Outcome:
        if self._beating is None:
            self._start()
        if self._gate is not None:
            await self._gate.wait()
        if self._reason is None:
            try:
                outcome = await self._redis.admit(call_id, holds)
            except CountersUnavailable as error:
                await self._fall(error)
            else:
                if isinstance(outcome, Admitted):
                    self._learn(outcome)
                return outcome
            self._doubtful[call_id] = tuple(holds)
            _bound(self._doubtful)
        if self._deny:
            raise CountersUnavailable(self._reason)
        return await self._shares.admit(call_id, holds)

    async def settle(
        self, admitted: Admitted, *, tokens: int, cost: int, row: bytes | None = None
    ) -> str | None:
        if self._gate is not None:
            await self._gate.wait()
        local = self._shares.has(admitted.call_id)
        # Whether Redis may have something of it that doesn't end by itself.
        there = not local or admitted.call_id in self._doubtful
        if local:
            await self._shares.settle(admitted, tokens=tokens, cost=cost)
        if self._reason is None:
            how = ADMITTED_ELSEWHERE if local else AS_USUAL
            try:
                added = await self._redis.settle(
                    admitted, tokens=tokens, cost=cost, row=row, how=how
                )
            except CountersUnavailable as error:
                there = True
                await self._fall(error)
            else:
                self._doubtful.pop(admitted.call_id, None)
                return added
        self._owe(admitted, tokens, there=there)
        return None

    async def forget(self, counters: Sequence[str]) -> None:
        await self._shares.forget(counters)
        for name in counters:
            self._known.pop(name, None)
        if self._reason is None:
            try:
                await self._redis.forget(counters)
            except CountersUnavailable as error:
                await self._fall(error)
            else:
                return
        self._touched.update(counters)

    async def ping(self) -> bool:
        return await self._redis.ping()

    def before_resume(self, write: Callable[[], Awaitable[None]]) -> None:
        self._writes.append(write)

    async def close(self) -> None:
        for task in (self._beating, self._recovering):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._redis.close()

    def _start(self) -> None:
        self._beating = asyncio.create_task(self._beat(), name="counters: signs of life")

    async def _beat(self) -> None:
        while True:
            try:
                if self._reason is None:
                    self._processes = max(1, await self._redis.beat())
                    self._outages.redis_up(True)
            except CountersUnavailable as error:
                await self._fall(error)
            except Exception:
                log.exception("a sign of life to Redis failed")
            await asyncio.sleep(BEAT)

    def _learn(self, admitted: Admitted) -> None:
        for hold, left in zip(admitted.holds, admitted.left, strict=True):
            if hold.kind is Kind.BUDGET:
                known = self._known
                known.pop(hold.counter, None)
                known[hold.counter] = (left, hold.maximum, hold.period, time.monotonic())
                if len(known) > MOST_KNOWN:
                    del known[next(iter(known))]

    def _left(self, hold: Hold) -> int | None:
        """What was left of a budget when Redis was last asked, if that was lately."""
        found = self._known.get(hold.counter)
        if found is None:
            return None
        left, maximum, period, when = found
        if period != hold.period or self._fell - when > FRESH:
            return None
        return left + hold.maximum - maximum

    async def _fall(self, error: CountersUnavailable) -> None:
        """Goes on without Redis; told once until it is back."""
        if self._reason is not None:
            return
        self._reason = str(error)
        self._fell = time.monotonic()
        consequence = (
            "calls are denied"
            if self._deny
            else f"each of {self._processes} processes enforces its share of the limits"
        )
        log.warning("Redis can't be reached: %s; %s", self._reason, consequence)
        self._outages.redis_failed()
        self._outages.redis_up(False)
        # Not only what is settled from now on: others' rows of what was settled a moment ago may
        # come into the database while Redis has forgotten all.
        recent = (name for name, found in self._known.items() if self._fell - found[3] <= FRESH)
        self._touched.update(recent)
        self._recovering = asyncio.create_task(self._recover(), name="counters: back to Redis")
        await self._shares.begin(self._processes, self._left)

    def _owe(self, admitted: Admitted, tokens: int, *, there: bool) -> None:
        """Remembers what Redis has to be told. there: whether it may hold something of the call."""
        budgets = (hold.counter for hold in admitted.holds if hold.kind is Kind.BUDGET)
        self._touched.update(budgets)
        if there:
            self._doubtful.pop(admitted.call_id, None)
            self._owed[admitted.call_id] = (admitted, tokens)
            _bound(self._owed)

    async def _recover(self) -> None:
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                self._processes = max(1, await self._redis.resume())
                await self._write()
                await self._resume()
            except CountersUnavailable:
                continue
            except Exception:
                log.exception("the counters could not be resumed; it is tried again")
                continue
            log.warning("Redis is back after %.1f s", time.monotonic() - self._fell)
            self._outages.redis_up(True)
            return

    async def _write(self) -> None:
        for write in self._writes:
            await write()

    async def _resume(self) -> None:
        """Comes to Redis again, while calls wait."""
        self._gate = asyncio.Event()
        try:
            async with asyncio.timeout(WRITING):
                await self._write()
            await self._tell()
            await self._redis.forget(tuple(self._touched))
            self._touched.clear()
            self._reason = None
        finally:
            self._gate.set()
            self._gate = None

    async def _tell(self) -> None:
        """Tells Redis what ended without it."""
        rows: list[str] = []
        while self._owed:
            some = [self._owed[each] for each in list(self._owed)[:AT_ONCE]]
            telling = (
                self._redis.settle(call, tokens=tokens, cost=0, how=SETTLED_ELSEWHERE)
                for call, tokens in some
            )
            rows += [row for row in await asyncio.gather(*telling) if row]
            for call, _ in some:
                self._owed.pop(call.call_id, None)
        for call_id, holds in tuple(self._doubtful.items()):
            # One that goes on ends there when it is settled.
            if not self._shares.has(call_id):
                await self._redis.undo(call_id, holds)
                del self._doubtful[call_id]
        # Settled after all, only that the answer was lost: the database has these rows by now.
        await self._stream.delete(rows)


def _bound(calls: dict[str, Any]) -> None:
    """Drops the oldest where there are too many: what it holds stays held as long as we live."""
    if len(calls) > MOST_OWED:
        del calls[next(iter(calls))]
