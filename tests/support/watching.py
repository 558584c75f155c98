"""Processes that watch something in an invented world: its source, its clock, its contents."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from trunkline.errors import BundleError
from trunkline.live.clock import Clock
from trunkline.live.last_good import LastGood
from trunkline.live.sources import Fetched
from trunkline.live.steps import Steps
from trunkline.live.versions import Versions
from trunkline.live.watch import TICK_SECONDS, Watch
from trunkline.telemetry.metrics import PrometheusMetrics

INTERVAL = 30.0


class Source:
    """Holds a text under a tag that counts; fails on request."""

    name = "somewhere"

    def __init__(self) -> None:
        self.tag, self.text = 0, ""
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.fetches = self.at_once = self.most_at_once = 0

    def put(self, text: str) -> None:
        self.tag, self.text, self.error = self.tag + 1, text, None

    def fetch(self, known: str | None, into: Path) -> Fetched | None:
        self.fetches += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.open.wait()
        self.at_once -= 1
        if self.error:
            raise self.error
        if known == str(self.tag):
            return None
        into.write_text(self.text)
        return Fetched(str(self.tag), into)


class Time:
    """Passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self._asleep: list[tuple[float, asyncio.Future[None]]] = []
        self.clock = Clock(lambda: self.now, self._sleep, random.Random(1))

    async def _sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._asleep.append((self.now + seconds, future))
        await future

    def set_back(self, seconds: float) -> None:
        """Changes what the clock says, but not how long anybody still sleeps."""
        self.now -= seconds
        self._asleep = [(until - seconds, future) for until, future in self._asleep]

    async def asleep(self, number: int = 1) -> None:
        """Waits until so many sleep, and so have done what they do between sleeps."""
        while len(self._asleep) < number:
            await asyncio.sleep(0.001)

    async def passes(self, seconds: float, sleepers: int = 1) -> None:
        """Lets time pass in steps that are shorter than what anybody sleeps for."""
        until = self.now + seconds
        await self.asleep(sleepers)
        while self.now < until:
            self.now = min(until, self.now + TICK_SECONDS / 2)
            due = [each for each in self._asleep if each[0] <= self.now]
            self._asleep = [each for each in self._asleep if each not in due]
            for _, future in due:
                if not future.done():
                    future.set_result(None)
            await self.asleep(sleepers)


class Content:
    """What is built: of texts that begin with "good", and used of those that don't end in "?"."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text()
        if self.text.startswith("broken"):
            raise IndexError("list index out of range")
        if not self.text.startswith("good"):
            raise BundleError(f"{path}: not good")

    def check(self) -> None:
        if self.text.endswith("?"):
            raise BundleError("no decision")


@dataclass
class Process:
    """What a process has of a watch."""

    watch: Watch[Content]
    swapped: list[str] = field(default_factory=list)
    built: list[str] = field(default_factory=list)

    @property
    def serves(self) -> str:
        return self.watch.current.text


class House:
    """Processes that share a folder and a source."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = Source()
        self.source.put("good 1")
        self.time = Time()
        self.metrics = PrometheusMetrics()
        self.started: list[Watch[Content]] = []

    def process(self, *, run: str = "monday", interval: float | None = INTERVAL) -> Process:
        def build(path: Path) -> Content:
            process.built.append(path.read_text())
            return Content(path)

        steps = Steps(
            build, Content.check, lambda new: process.swapped.append(new.text), lambda c: c.text
        )
        process = Process(
            Watch(
                "router",
                self.source,
                Versions(self.folder.with_name(run)),
                steps,
                last_good=LastGood(self.folder.with_name("last")),
                interval=interval,
                metrics=self.metrics,
                clock=self.time.clock,
            )
        )
        return process

    async def start(self, **options) -> Process:
        process = self.process(**options)
        await process.watch.load()
        process.watch.start()
        self.started.append(process.watch)
        return process

    async def passes(self, seconds: float) -> None:
        await self.time.passes(seconds, len(self.started))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[House]:
        try:
            yield self
        finally:
            self.source.open.set()
            for watch in self.started:
                await watch.stop()

    def counted(self) -> dict[str, float]:
        """Counts by outcome."""
        _, text = self.metrics.exposition("")
        return {
            sample.labels["outcome"]: sample.value
            for family in text_string_to_metric_families(text.decode())
            for sample in family.samples
            if sample.name == "trunkline_reloads_total" and sample.labels["watched"] == "router"
        }
