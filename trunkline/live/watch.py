"""Watches a source: what changes there is fetched, built, checked, and put in the place of the old.

What can't be used is refused, and the old goes on. All processes that share a folder come to the
same version: one of them at a time checks, or goes back, and writes what came of it in the record;
the others see it there within a second and follow.

A refused version isn't built again until the source's tag changes. Nor is the one that somebody
went back from: going back a second time returns to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Generic, TypeVar

from ..dataclass import dataclass
from ..errors import BundleError
from ..telemetry.metrics import Metrics
from .clock import Clock
from .last_good import LastGood
from .record import Record, Version
from .sources import Fetched, NotNow, Source, SourceError, Unfit
from .status import NoPrevious, Outcome, Result, Status
from .steps import Steps
from .threads import in_thread
from .versions import Versions

log = logging.getLogger("trunkline.live")

T = TypeVar("T")

TICK_SECONDS = 1.0
"""Between looks at the record: how far processes may be behind each other."""
TURN_SECONDS = 0.05
"""Between attempts to have the lock."""
FAULT = "fault"
"""What the watch's own faults are counted as, beside the results."""


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """A version as this process has it."""

    number: int
    content: T


class Watch(Generic[T]):
    """One watched thing, in one process.

    interval: seconds between checks; None for checks on request only.
    pending: what of the current version takes effect at the next start.
    versions: of all processes of one run of the gateway, and of no others.
    last_good: where what was accepted is kept for the next run, if it is.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        versions: Versions,
        steps: Steps[T],
        *,
        last_good: LastGood | None = None,
        interval: float | None,
        metrics: Metrics,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.interval = interval
        self.pending: tuple[str, ...] = ()
        self._source = source
        self._versions = versions
        self._steps = steps
        self._last_good = last_good
        self._metrics = metrics
        self._clock = clock or Clock()
        self._held: Held[T] | None = None
        self._before: Held[T] | None = None
        self._fault: str | None = None
        self._busy = asyncio.Lock()
        self._said = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> T:
        """What is in use, from when `load` has returned."""
        assert self._held is not None
        return self._held.content

    async def load(self) -> T:
        """What the source holds; `swap` isn't called for it.

        Where it can't be had or isn't accepted, this is the last good one, if another process or
        an earlier run left a copy. Raises BundleError without one.
        """
        async with self._turn():
            record = self._versions.read()
            if not record.current:
                await self._check(await in_thread(self._restored, record))
            if self._held is None:
                await self._load_copy()
        return self.current

    def start(self) -> None:
        """Watches from now on, after `load`."""
        self._task = asyncio.create_task(self._watch(), name=f"watch {self.name}")

    @property
    def held(self) -> Held[T] | None:
        """What is in use, for a process that is forked from this one to begin with."""
        return self._held

    def begin_with(self, held: Held[T] | None) -> None:
        """Before `load`: has what was built already, so that it isn't built once more."""
        self._before = held

    async def again(self) -> None:
        """Builds the current version anew, of what it refers to, and puts it into use.

        Raises BundleError where that isn't possible; what is in use stays so.
        """
        async with self._busy:
            held = self._held
            if held is None:
                return
            path = self._versions.path(held.number)
            content = await in_thread(self._steps.built, path, self._source.name)
            await self._steps.made_ready(content, self._source.name)
            self._held, self._before = Held(held.number, content), None
            self._steps.swap(content)

    def look(self) -> None:
        """Has the source checked at once, in the background: somebody says that it has changed."""
        self._said.set()

    async def catch_up(self) -> None:
        """Checks what became due while this process stood still, or may have been said unheard.

        Returns when that is done.
        """
        await self._tick()

    async def stop(self) -> None:
        """Ends watching. What is in use stays so."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def trigger(self) -> Outcome:
        """Checks now, and returns when that is done."""
        async with self._turn():
            outcome = await self._check(self._versions.read())
            try:
                await self._follow()
            except BundleError as error:
                return replace(outcome, result=Result.REFUSED, error=str(error))
            return outcome

    async def rollback(self) -> Outcome:
        """Returns to the version before; the one that was left is then the previous one.

        Raises NoPrevious, and BundleError where the version before can't be had any more.
        """
        async with self._turn():
            record = self._versions.read()
            if record.previous is None:
                raise NoPrevious(f"{self.name}: there is no version to go back to")
            held = await self._load(record.previous)
            await self._make_ready(held)
            record = record.rolled_back(self._clock.now())
            await in_thread(self._versions.write, record)
            self._use(held, record)
            log.warning("went back to the version before", extra=self._told(record))
            self._metrics.reloaded(self.name, Result.ROLLED_BACK)
            await in_thread(self._preserve, record)
            return Outcome.of(self.name, Result.ROLLED_BACK, record)

    def status(self) -> Status:
        record = self._versions.read()
        status = Status.of(self.name, self._source.name, self.interval, record, self._fault)
        return replace(status, pending_restart=self.pending)

    # Watching

    async def _watch(self) -> None:
        faults = 0
        while True:
            await self._pause(self._clock.wait(TICK_SECONDS, faults))
            try:
                await self._tick()
            except Exception as error:
                faults += 1
                self._fault = f"{type(error).__name__}: {error}"
                self._metrics.reloaded(self.name, FAULT)
                log.exception("watching failed, and goes on", extra={"watched": self.name})
            else:
                faults, self._fault = 0, None

    async def _pause(self, seconds: float) -> None:
        """Waits for so long, or until somebody says that the source has changed."""
        ends = [self._clock.sleep(seconds), self._said.wait()]
        waits = [asyncio.ensure_future(each) for each in ends]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def _tick(self) -> None:
        async with self._busy:
            if self._said.is_set():
                # Whatever another process has just seen may have been before that was said.
                self._said.clear()
                async with self._alone():
                    await self._check(self._versions.read())
            elif self._is_due():
                with self._versions.lock() as mine:
                    # Another process may have checked just before it let go of the lock.
                    if mine and self._is_due():
                        await self._check(self._versions.read())
            await self._follow()

    def _is_due(self) -> bool:
        return self.interval is not None and self._versions.read().is_due(self._clock.now())

    async def _follow(self) -> None:
        """Takes the version into use that another process has made the current one."""
        while (record := self._versions.read()).current is not None:
            if self._held is not None and self._held.number == record.current.number:
                return
            try:
                held = await self._load(record.current)
                await self._make_ready(held)
            except BundleError:
                # The copy of a version that was left behind meanwhile may be gone.
                if self._versions.read().current == record.current:
                    raise
            else:
                self._use(held, record)
                log.info("followed another process", extra=self._told(record))

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Waits until nobody else, in any process, checks or goes back."""
        async with self._busy, self._alone():
            yield

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Waits until no other process does."""
        while True:
            with self._versions.lock() as mine:
                if mine:
                    yield
                    return
            await self._clock.sleep(TURN_SECONDS)

    # One check, by whose turn it is

    async def _check(self, record: Record) -> Outcome:
        """Fetches, builds, and uses what is new and good."""
        record = replace(record, checks=record.checks + 1)
        try:
            incoming = self._versions.incoming()
            fetched = await in_thread(self._source.fetch, record.seen, incoming)
        except SourceError as error:
            return await self._stays(Result.UNREACHABLE, record.failed(str(error)))
        except Unfit as error:
            return await self._stays(Result.REFUSED, record.refused(error.tag, str(error)))
        if fetched is None:
            return await self._stays(Result.UNCHANGED, record.unchanged())
        try:
            content = await in_thread(self._steps.built, fetched.path, self._source.name)
            if self._held is not None:
                await self._steps.made_ready(content, self._source.name)
        except NotNow as error:
            return await self._stays(Result.UNREACHABLE, record.failed(str(error)))
        except BundleError as error:
            return await self._stays(Result.REFUSED, record.refused(fetched.tag, str(error)))
        return await self._accept(record, fetched, content)

    async def _stays(self, result: Result, record: Record) -> Outcome:
        await self._write(record)
        if result is Result.UNCHANGED:
            result = Result.REFUSED if record.refusal else result
        else:
            stands = "; the version in use stays so" if record.current else ""
            log.warning("%s: %s%s", result, record.error, stands, extra=self._told(record))
            self._metrics.reloaded(self.name, result)
        return Outcome.of(self.name, result, record, record.error)

    async def _accept(self, record: Record, fetched: Fetched, content: T) -> Outcome:
        number = await in_thread(self._keep, record, fetched)
        name = self._steps.version(content)
        record = record.accepted(Version(number, fetched.tag, name, self._clock.now()))
        first = self._held is None
        if not first:
            record = replace(record, reloads=record.reloads + 1)
            self._metrics.reloaded(self.name, Result.RELOADED)
        await self._write(record)
        self._use(Held(number, content), record)
        log.info("loaded" if first else "reloaded", extra=self._told(record))
        await in_thread(self._preserve, record)
        return Outcome.of(self.name, Result.RELOADED, record)

    def _keep(self, record: Record, fetched: Fetched) -> int:
        """Keeps the copy of what was accepted; under the current version's number where it is the
        same, so that the version before isn't lost for a file that was only touched."""
        current = record.current
        if current and self._versions.holds(current.number, fetched.path):
            return current.number
        held = {self._held.number} if self._held else set()
        number = max({0, *record.kept, *held}) + 1
        self._versions.keep(fetched.path, number)
        return number

    async def _write(self, record: Record) -> None:
        now = self._clock.now()
        wait = self._clock.wait(self.interval or TICK_SECONDS, record.failures)
        record = replace(record, last_check=now, next_check=now + wait)
        await in_thread(self._versions.write, record)

    # Versions

    def _restored(self, record: Record) -> Record:
        """The record with what an earlier run left, if it did."""
        incoming = self._versions.incoming()
        found = self._last_good.restore(incoming) if self._last_good else None
        if found is None or found.current is None:
            return record
        self._versions.keep(incoming, found.current.number)
        return replace(found, checks=record.checks)

    def _preserve(self, record: Record) -> None:
        """Keeps the current version for the next run. Serving it doesn't depend on that."""
        if self._last_good is not None and record.current is not None:
            try:
                self._last_good.save(self._versions.path(record.current.number), record)
            except OSError as error:
                log.warning("no copy could be kept: %s", error, extra=self._told(record))

    async def _load_copy(self) -> None:
        record = self._versions.read()
        if record.current is None:
            raise BundleError(record.error or f"{self._source.name}: nothing was found")
        try:
            self._held = await self._load(record.current)
        except BundleError as error:
            # An earlier run accepted what this one can't use, which may be configured otherwise.
            log.warning("the last good copy is of no use: %s", error, extra=self._told(record))
            await self._check(replace(record, current=None, seen=None))
            if self._held is None:
                raise BundleError(self._versions.read().error or str(error)) from None
        else:
            if record.error:
                log.warning("the last good copy is in use", extra=self._told(record))
            else:
                log.info("loaded", extra=self._told(record))

    async def _make_ready(self, held: Held[T]) -> None:
        if self._held is not None:
            await self._steps.made_ready(held.content, self._source.name)

    async def _load(self, version: Version) -> Held[T]:
        """A version that this process may have already, or else its copy. Raises BundleError."""
        for held in (self._held, self._before):
            if held is not None and held.number == version.number:
                return held
        path = self._versions.path(version.number)
        return Held(version.number, await in_thread(self._steps.built, path, self._source.name))

    def _use(self, held: Held[T], record: Record) -> None:
        old, self._held = self._held, held
        if old is not None and old.number != held.number:
            self._before = old if old.number in record.kept else None
        if old is not None:
            self._steps.swap(held.content)

    def _told(self, record: Record) -> dict[str, str]:
        """What a log line says beside its words."""
        version = {"version": record.current.name} if record.current else {}
        return {"watched": self.name, "source": self._source.name, **version}
