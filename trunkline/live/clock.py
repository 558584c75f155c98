"""Time and chance, as what watches sees them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import field

from ..dataclass import dataclass

LONGEST_WAIT_SECONDS = 300.0
"""After failures, where the usual wait is shorter."""
_SPREAD = 0.25


@dataclass(frozen=True, slots=True)
class Clock:
    """now: Unix time. sleep: waits for seconds."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: random.Random = field(default_factory=random.Random)

    def wait(self, usual: float, failures: int) -> float:
        """Seconds to wait after so many failures in a row.

        Each after the first doubles them, up to `LONGEST_WAIT_SECONDS`; spread by a quarter, so
        that not all who failed together come back together.
        """
        if not failures:
            return usual
        longest = max(usual, LONGEST_WAIT_SECONDS)
        wait = min(usual * 2.0 ** min(failures - 1, 32), longest)
        return wait * self.chance.uniform(1 - _SPREAD, 1 + _SPREAD)
