"""A process's share of each limit, counted in the process, while it can't ask the others.

The shares of all processes come to the limit at most. A budget is shared as far as it isn't spent:
what is left of it when the share is taken, divided by the processes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from ..dataclass import dataclass
from .contract import Admitted, Hold, Kind, Missing, Outcome
from .memory import MemoryCounters

Known = Callable[[Hold], int | None]
"""What is left of a budget, nano-dollars, as was last known; None where it isn't."""


def _unknown(hold: Hold) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class _Part:
    """What a process may spend of a budget. maximum, period: of the budget, when that was said."""

    amount: int
    maximum: int
    period: int


class ShareCounters:
    """See `Counters`."""

    def __init__(self, memory: MemoryCounters, processes: int) -> None:
        self._memory = memory
        self._processes = processes
        self._known: Known = _unknown
        self._parts: dict[str, _Part] = {}
        # Budgets that were forgotten and haven't been asked for since.
        self._forgotten: set[str] = set()

    async def begin(self, processes: int, known: Known) -> None:
        """Shares anew: what was spent of budgets since the last time, others know now."""
        self._processes, self._known = processes, known
        await self._memory.forget(tuple(self._parts))
        self._parts.clear()

    async def admit(self, call_id: str, holds: Sequence[Hold]) -> Outcome:
        missing = tuple(
            place
            for place, hold in enumerate(holds)
            if hold.kind is Kind.BUDGET and not self._has_part(hold)
        )
        if missing:
            return Missing(missing)
        shared = [self._shared(hold) for hold in holds]
        outcome = await self._memory.admit(call_id, shared)
        if isinstance(outcome, Missing):  # forgotten there; it is known here by now
            outcome = await self._memory.admit(call_id, shared)
        # What the call is told to hold is what was asked for, so that others can count it.
        return replace(outcome, holds=tuple(holds)) if isinstance(outcome, Admitted) else outcome

    async def settle(
        self, admitted: Admitted, *, tokens: int, cost: int, row: bytes | None = None
    ) -> str | None:
        return await self._memory.settle(admitted, tokens=tokens, cost=cost, row=row)

    async def forget(self, counters: Sequence[str]) -> None:
        self._forgotten.update(name for name in counters if self._parts.pop(name, None))
        await self._memory.forget(counters)

    async def ping(self) -> bool:
        return True

    def before_resume(self, write: Callable[[], Awaitable[None]]) -> None:
        """Nothing is resumed here."""

    async def close(self) -> None:
        """Nothing runs."""

    def has(self, call_id: str) -> bool:
        """Whether a call was admitted here and isn't settled."""
        return self._memory.has(call_id)

    def _has_part(self, hold: Hold) -> bool:
        """Whether what the process may spend is known, from now on if it wasn't."""
        part = self._parts.get(hold.counter)
        if part is None:
            left = self._left(hold)
            if hold.counter in self._forgotten or left is None:
                self._forgotten.discard(hold.counter)
                return False
            self._parts[hold.counter] = self._part(hold, left)
        elif hold.period > part.period:
            self._parts[hold.counter] = self._part(hold, hold.maximum)
        elif hold.maximum != part.maximum:
            more = (hold.maximum - part.maximum) // self._processes
            self._parts[hold.counter] = _Part(part.amount + more, hold.maximum, part.period)
        return True

    def _left(self, hold: Hold) -> int | None:
        """What is left of a budget: the less of what is known and what the database says."""
        known = self._known(hold)
        if hold.spent is None:
            return known
        left = hold.maximum - hold.spent
        return left if known is None else min(left, known)

    def _part(self, hold: Hold, left: int) -> _Part:
        return _Part(max(0, left) // self._processes, hold.maximum, hold.period)

    def _shared(self, hold: Hold) -> Hold:
        if hold.kind is Kind.BUDGET:
            # What was spent before isn't of this share.
            return replace(hold, maximum=self._parts[hold.counter].amount, spent=0)
        share = max(min(1, hold.maximum), hold.maximum // self._processes)
        return replace(hold, maximum=share)
