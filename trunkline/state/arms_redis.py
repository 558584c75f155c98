"""A trial's counts in Redis, for all processes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from . import keys
from .arms import (
    ARMS,
    FLUSH_SECONDS,
    KEPT_SECONDS,
    MOST_REMEMBERED,
    REMEMBERED_SECONDS,
    Tallies,
    Tally,
    ended,
    judged,
)
from .link import Link, LinkDown

log = logging.getLogger("trunkline.state")


class RedisArms:
    """See `Arms`; for all processes. What can't be told is told later, at most once."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._counts: dict[str, Counter[str]] = {}
        self._calls: dict[str, str] = {}
        self._early: list[tuple[str, str, float]] = []
        self._task: asyncio.Task[None] | None = None

    def ended(self, trial: str, arm: str, *, failed: bool, cost: int | None = None) -> None:
        self._add(trial, ended(arm, failed=failed, cost=cost))

    def unusable(self, trial: str, arm: str) -> None:
        self._add(trial, {f"{arm}.unusable": 1})

    def decided(self, trial: str, arm: str, call_id: str) -> None:
        if len(self._calls) < MOST_REMEMBERED:
            self._calls[f"{trial}:{call_id}"] = arm
        self._soon()

    async def judged(self, trial: str, call_id: str, score: float) -> None:
        call = f"{trial}:{call_id}"
        arm = self._calls.get(call) or await self._decider(call)
        if arm in ARMS:
            self._add(trial, judged(arm, score))
        elif len(self._early) < MOST_REMEMBERED:
            # Another process may be about to tell whose call it was.
            self._early.append((trial, call, score))
            self._soon()

    async def _decider(self, call: str) -> str | None:
        """Who decided a call; None where that isn't known, or not yet."""
        try:
            found = await self._link.ask("GET", keys.TRIAL + call)
        except LinkDown as error:
            log.debug("it isn't known whose call was judged: %s", error)
            return None
        return found.decode() if found else None

    async def _ask_again(self, early: list[tuple[str, str, float]]) -> None:
        for trial, call, score in early:
            arm = await self._decider(call)
            if arm in ARMS:
                self._add(trial, judged(arm, score))

    async def read(self, trial: str) -> Tallies:
        found = await self._link.ask("HGETALL", keys.TRIAL + trial)
        counts = {
            name.decode(): int(value) for name, value in zip(found[::2], found[1::2], strict=True)
        }
        return {arm: Tally.of(counts, arm) for arm in ARMS}

    async def flush(self) -> None:
        if not (self._counts or self._calls):
            return
        try:
            connection = await self._link.connection()
        except LinkDown as error:
            log.debug("a trial's counts wait: %s", error)
            return
        counts, self._counts = self._counts, {}
        calls, self._calls = self._calls, {}
        commands: list[tuple[str | int, ...]] = []
        for trial, added in counts.items():
            key = keys.TRIAL + trial
            commands += [("HINCRBY", key, name, number) for name, number in added.items()]
            commands.append(("EXPIRE", key, KEPT_SECONDS))
        for call, arm in calls.items():
            commands.append(("SET", keys.TRIAL + call, arm, "EX", REMEMBERED_SECONDS))
        try:
            replies: list[asyncio.Future[Any]] = [connection.send(*each) for each in commands]
            await asyncio.gather(*replies)
        except LinkDown as error:
            # It isn't known what of it was counted; counted twice it would say what isn't so.
            log.debug("some of a trial's counts are lost: %s", error)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.flush()
        await self._link.close()

    def _add(self, trial: str, counts: Mapping[str, int]) -> None:
        self._counts.setdefault(trial, Counter()).update(counts)
        self._soon()

    def _soon(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._later(), name="trial counts")

    async def _later(self) -> None:
        while self._counts or self._calls or self._early:
            early, self._early = self._early, []
            await asyncio.sleep(2 * FLUSH_SECONDS if early else FLUSH_SECONDS)
            await self._ask_again(early)
            await self.flush()
