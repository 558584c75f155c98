"""How each deployment fares: calls in flight, the current minute's counts, latencies, cooldowns.

One `Health` lives as long as the process; the snapshots that come and go share its records. A
record lives while any snapshot holds its deployment.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from math import ceil
from weakref import WeakValueDictionary

from ..dataclass import dataclass
from ..errors import ErrorKind

MINUTE = 60.0

Clock = Callable[[], float]
"""Seconds that only go forward."""


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A pause that a deployment takes after failures.

    since, until: seconds of the clock. kind, status: of the failure that began it.
    """

    since: float
    until: float
    kind: ErrorKind
    status: int


class Latencies:
    """The latest samples of a duration, in seconds, with the time at which each was taken."""

    __slots__ = ("_mean", "_samples")

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()
        self._mean: float | None = None

    def add(self, now: float, seconds: float, size: int) -> None:
        """Keeps a sample; the oldest go when there are more than `size`."""
        samples = self._samples
        samples.append((now, seconds))
        while len(samples) > size:
            samples.popleft()
        self._mean = None

    def mean(self, start: float) -> float | None:
        """The mean of the samples taken after `start`; None without any. Older ones are dropped."""
        self._drop(start)
        if self._mean is None and self._samples:
            self._mean = sum([seconds for _, seconds in self._samples]) / len(self._samples)
        return self._mean

    def percentile(self, start: float, share: float) -> float | None:
        """The sample that `share` (from 0 to 1) of those after `start` don't exceed."""
        self._drop(start)
        ordered = sorted(seconds for _, seconds in self._samples)
        rank = ceil(len(ordered) * min(share, 1.0))
        return ordered[max(rank, 1) - 1] if ordered else None

    def _drop(self, start: float) -> None:
        samples = self._samples
        while samples and samples[0][0] <= start:
            samples.popleft()
            self._mean = None


class Vitals:
    """The record of one deployment.

    in_flight: calls that are at the provider now.
    requests, tokens: of the current minute; a request counts when it starts, its tokens when it
        ends.
    successes, failures: of the current minute; `failed` has the failures by kind.
    latencies: seconds per output token, or per answer where there is no such count.
    first_chunks: seconds until the first chunk of a stream.
    waiting: calls that wait for a place, oldest first (see `places.py`).
    promised: free places that are kept for calls that were just told of them.
    """

    __slots__ = (
        "__weakref__",
        "failed",
        "failures",
        "first_chunks",
        "id",
        "in_flight",
        "latencies",
        "minute",
        "promised",
        "requests",
        "successes",
        "tokens",
        "waiting",
    )

    def __init__(self, deployment_id: str) -> None:
        self.id = deployment_id
        self.in_flight = 0
        self.promised = 0
        self.waiting: deque[asyncio.Future[Vitals]] = deque()
        self.latencies = Latencies()
        self.first_chunks = Latencies()
        self.minute = -1
        self._clear()

    def _clear(self) -> None:
        self.requests = self.tokens = self.successes = self.failures = 0
        self.failed: dict[ErrorKind, int] = {}

    def turn(self, now: float) -> None:
        """Begins a new minute's counts if the one that they belong to is over."""
        minute = int(now // MINUTE)
        if minute != self.minute:
            self.minute = minute
            self._clear()


class Health:
    """The records of all deployments of this process, and who is cooling down.

    cooled: told of each cooldown that a failure here began or made longer.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.cooled: Callable[[str, Cooldown], None] | None = None
        self.cooling: dict[str, Cooldown] = {}
        self._records: WeakValueDictionary[str, Vitals] = WeakValueDictionary()

    def of(self, deployment_id: str) -> Vitals:
        """The deployment's record. Whoever holds it keeps it; nothing else does."""
        record = self._records.get(deployment_id)
        if record is None:
            record = self._records[deployment_id] = Vitals(deployment_id)
        return record

    def known(self) -> list[str]:
        """The ids of the deployments that have a record."""
        return list(self._records)

    def knows(self, deployment_id: str) -> bool:
        """Whether there is a deployment of that id."""
        return deployment_id in self._records

    def cool(self, deployment_id: str, pause: Cooldown) -> bool:
        """Lets a deployment pause; False where it does so as long anyway."""
        current = self.cooling.get(deployment_id)
        if current is not None and current.until >= pause.until:
            return False
        self.cooling[deployment_id] = pause
        return True

    def cooldowns(self) -> dict[str, Cooldown]:
        """Who is cooling down now; those whose time is over are forgotten."""
        if self.cooling:
            now = self.clock()
            for deployment_id in [i for i, pause in self.cooling.items() if pause.until <= now]:
                del self.cooling[deployment_id]
        return self.cooling
