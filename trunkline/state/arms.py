"""What became of the calls of a trial: of those that the bundle in force decided, and of those that
the candidate did.

They are counted for all processes in Redis (`arms_redis.py`); without one in the process, or in
files where the pointer is in a folder (`arms_files.py`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final, Protocol, Self

from ..dataclass import dataclass

CURRENT: Final = "current"
CANDIDATE: Final = "candidate"
ARMS: Final = (CURRENT, CANDIDATE)

FLUSH_SECONDS = 0.5
"""Between what is told to Redis: counts needn't be there at once."""
KEPT_SECONDS = 7 * 86_400
"""How long counts stay after the last one."""
REMEMBERED_SECONDS = 86_400
MOST_REMEMBERED = 10_000
"""How long, and without Redis of how many calls, it is known who decided them."""
MILLIONTHS = 1_000_000


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one arm of a trial.

    tries: attempts that ended. errors: those that failed. priced, cost: those that succeeded at a
    known price, and what they cost, nano-dollars. scored, score: answers that somebody judged, and
    the sum of the judgements (each from 0 to 1) in millionths. unusable: processes that can't
    decide by it.
    """

    tries: int = 0
    errors: int = 0
    priced: int = 0
    cost: int = 0
    scored: int = 0
    score: int = 0
    unusable: int = 0

    @classmethod
    def of(cls, counts: Mapping[str, int], arm: str) -> Self:
        """counts: by `arm.field`."""
        return cls(**{name: int(counts.get(f"{arm}.{name}", 0)) for name in asdict(cls())})

    @property
    def error_share(self) -> float:
        return self.errors / self.tries if self.tries else 0.0

    @property
    def mean_cost(self) -> float | None:
        """Nano-dollars of an attempt that succeeded; None where no price is known."""
        return self.cost / self.priced if self.priced else None

    @property
    def mean_score(self) -> float | None:
        return self.score / MILLIONTHS / self.scored if self.scored else None


Tallies = Mapping[str, Tally]
"""By arm."""


class Arms(Protocol):
    """Counts. trial: its id, see `trial_id`. Used in one event loop."""

    def ended(self, trial: str, arm: str, *, failed: bool, cost: int | None = None) -> None:
        """An attempt ended. cost: nano-dollars; None where it isn't known."""
        ...

    def unusable(self, trial: str, arm: str) -> None:
        """This process can't decide by it."""
        ...

    def decided(self, trial: str, arm: str, call_id: str) -> None:
        """Remembers whose call it was, for when it is judged."""
        ...

    async def judged(self, trial: str, call_id: str, score: float) -> None:
        """Somebody judged an answer, from 0 to 1; of any call."""
        ...

    async def read(self, trial: str) -> Tallies:
        """Raises LinkDown where what counts can't be reached."""
        ...

    async def flush(self) -> None:
        """Returns when what was counted is where others see it, if that can be."""
        ...

    async def close(self) -> None: ...


def trial_id(pointer: str, revision: int) -> str:
    """Under which a trial is counted. pointer: its name. revision: since which it runs."""
    return f"{hashlib.sha256(pointer.encode()).hexdigest()[:16]}:{revision}"


class MemoryArms:
    """See `Arms`; of this process alone."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self._calls: dict[str, str] = {}

    def ended(self, trial: str, arm: str, *, failed: bool, cost: int | None = None) -> None:
        self._add(trial, ended(arm, failed=failed, cost=cost))

    def unusable(self, trial: str, arm: str) -> None:
        self._add(trial, {f"{arm}.unusable": 1})

    def decided(self, trial: str, arm: str, call_id: str) -> None:
        while len(self._calls) >= MOST_REMEMBERED:
            del self._calls[next(iter(self._calls))]
        self._calls[f"{trial}:{call_id}"] = arm

    async def judged(self, trial: str, call_id: str, score: float) -> None:
        arm = self._calls.get(f"{trial}:{call_id}")
        if arm is not None:
            self._add(trial, judged(arm, score))

    async def read(self, trial: str) -> Tallies:
        counts = self.counts.get(trial, Counter())
        return {arm: Tally.of(counts, arm) for arm in ARMS}

    async def flush(self) -> None:
        """There is nowhere else to tell it."""

    async def close(self) -> None:
        """There is nothing to end."""

    def _add(self, trial: str, counts: Mapping[str, int]) -> None:
        self.counts.setdefault(trial, Counter()).update(counts)


def ended(arm: str, *, failed: bool, cost: int | None) -> dict[str, int]:
    """What an attempt that ended adds, by `arm.field`."""
    found = {f"{arm}.tries": 1}
    if failed:
        found[f"{arm}.errors"] = 1
    elif cost is not None:
        found |= {f"{arm}.priced": 1, f"{arm}.cost": cost}
    return found


def judged(arm: str, score: float) -> dict[str, int]:
    """What a judgement adds, by `arm.field`."""
    return {f"{arm}.scored": 1, f"{arm}.score": round(score * MILLIONTHS)}
