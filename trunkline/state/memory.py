"""Counters and messages of one process that shares with no other.

A counter that is no longer used is forgotten: counters lie in two generations, and what wasn't
touched in a whole one is dropped with it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from .contract import BUCKETS, SOON, WINDOW, Admitted, Hear, Hold, Kind, Missing, Outcome, Refused

KEPT = 2.0 * WINDOW
"""Seconds, at least, for which the count of a window is kept without use."""
KEPT_BUDGET = 3600.0
"""The same of a budget; it is longer than rows take to come into the database."""


class _Requests:
    """What was let through in the last 60 seconds. head: the second up to which it was brought.

    open: what calls hold that aren't settled; always 0 here.
    """

    __slots__ = ("buckets", "head", "open", "total")

    def __init__(self, second: int) -> None:
        self.buckets = [0] * BUCKETS
        self.total = 0
        self.head = second
        self.open = 0

    def take(self, hold: Hold, second: int) -> int:
        """Takes what the hold asks for; what is left then. Below 0, nothing was taken."""
        if second > self.head:
            self._advance(second)
        amount = hold.amount
        left = hold.maximum - self.total - amount
        if left >= 0:
            self.buckets[self.head % BUCKETS] += amount
            self.total += amount
        return left

    def take_rest(self, left: int) -> None:
        """Takes all that is left, from a counter of which no call holds anything."""
        self.buckets[self.head % BUCKETS] += left
        self.total += left

    def give_back(self, amount: int) -> None:
        """As if it had not been taken a moment ago."""
        self.buckets[self.head % BUCKETS] -= amount
        self.total -= amount

    def settle(self, taken: int, tokens: int, cost: int, second: int, now: int) -> None:
        """Ends what a call took. second: in which it was admitted."""

    def wait(self, hold: Hold, now: float) -> float | None:
        """Seconds until the amount may fit."""
        least = 1 if hold.elastic else hold.amount
        needed = self.total - hold.maximum + least
        if least > hold.maximum:
            return None
        if needed <= 0:
            return SOON
        for second in range(self.head - WINDOW, self.head + 1):
            needed -= self.buckets[second % BUCKETS]
            if needed <= 0:
                return second + BUCKETS - now
        return None

    def used(self) -> bool:
        """Whether it has to be kept, however long nothing was taken of it."""
        return self.open > 0

    def _advance(self, second: int) -> None:
        if second - self.head >= BUCKETS:
            self.buckets = [0] * BUCKETS
            self.total = 0
        else:
            buckets = self.buckets
            for passed in range(self.head + 1, second + 1):
                place = passed % BUCKETS
                self.total -= buckets[place]
                buckets[place] = 0
        self.head = second


class _Tokens(_Requests):
    """The same, put right when calls end."""

    __slots__ = ()

    def take(self, hold: Hold, second: int) -> int:
        if second > self.head:
            self._advance(second)
        amount = hold.amount
        left = hold.maximum - self.total - amount
        if left >= 0:
            self.buckets[self.head % BUCKETS] += amount
            self.total += amount
            self.open += amount
        return left

    def take_rest(self, left: int) -> None:
        _Requests.take_rest(self, left)
        self.open += left

    def give_back(self, amount: int) -> None:
        _Requests.give_back(self, amount)
        self.open -= amount

    def settle(self, taken: int, tokens: int, cost: int, second: int, now: int) -> None:
        self.open -= taken
        if now > self.head:
            self._advance(now)
        more = tokens - taken
        if second > self.head - BUCKETS:
            self.buckets[second % BUCKETS] += more
            self.total += more
        elif more > 0:
            self.buckets[self.head % BUCKETS] += more
            self.total += more


class _Places:
    """Calls at once."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = 0

    def take(self, hold: Hold, second: int) -> int:
        left = hold.maximum - self.open - hold.amount
        if left >= 0:
            self.open += hold.amount
        return left

    def take_rest(self, left: int) -> None:
        self.open += left

    def give_back(self, amount: int) -> None:
        self.open -= amount

    def settle(self, taken: int, tokens: int, cost: int, second: int, now: int) -> None:
        self.open -= taken

    def wait(self, hold: Hold, now: float) -> float | None:
        return SOON if hold.amount <= hold.maximum else None

    def used(self) -> bool:
        return self.open > 0


class _Budget:
    """Nano-dollars of a period. spent: None where the database has to say.

    owed: what was spent while that was unknown. forgotten: whether it was, and wasn't asked for
    since.
    """

    __slots__ = ("forgotten", "open", "owed", "period", "spent")

    def __init__(self) -> None:
        self.period = 0
        self.spent: int | None = None
        self.forgotten = False
        self.owed = 0
        self.open = 0

    def begin(self, hold: Hold) -> None:
        """Brings it to the hold's period, if what was spent is known."""
        if self.spent is not None:
            if hold.period > self.period:
                self.spent, self.period = 0, hold.period
        elif hold.spent is not None and not self.forgotten:
            self.spent, self.period = hold.spent + self.owed, hold.period
            self.owed = 0
        else:
            self.forgotten = False

    def take(self, hold: Hold, second: int) -> int:
        if self.spent is None or hold.period > self.period:
            if self.spent is None and (hold.spent is None or self.forgotten):
                return -1
            self.begin(hold)
            assert self.spent is not None
        left = hold.maximum - self.spent - self.open - hold.amount
        if left >= 0:
            self.open += hold.amount
        return left

    def take_rest(self, left: int) -> None:
        self.open += left

    def give_back(self, amount: int) -> None:
        self.open -= amount

    def settle(self, taken: int, tokens: int, cost: int, second: int, now: int) -> None:
        self.open -= taken
        if self.spent is None:
            self.owed += cost
        else:
            self.spent += cost

    def wait(self, hold: Hold, now: float) -> float | None:
        least = 1 if hold.elastic else hold.amount
        return SOON if self.open and (self.spent or 0) + least <= hold.maximum else None

    def used(self) -> bool:
        return self.open > 0 or self.owed > 0


_Counter = _Requests | _Places | _Budget


class _Generations:
    """Counters by name, those that weren't used for long left out."""

    __slots__ = ("_former", "_kept", "latest", "turns")

    def __init__(self, kept: float, now: float) -> None:
        self._kept = kept
        self.turns = now + kept
        self.latest: dict[str, _Counter] = {}
        self._former: dict[str, _Counter] = {}

    def get(self, name: str) -> _Counter | None:
        found = self.latest.get(name)
        if found is None:
            found = self._former.pop(name, None)
            if found is not None:
                self.latest[name] = found
        return found

    def turn(self, now: float) -> None:
        used = {name: each for name, each in self._former.items() if each.used()}
        self._former, self.latest = self.latest, used
        self.turns = now + self._kept

    def __len__(self) -> int:
        return len(self.latest) + len(self._former)


class MemoryCounters:
    """See `Counters`. The contract's leases aren't needed: what holds ends with the process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        now = clock()
        self._quick = _Generations(KEPT, now)
        self._budgets = _Generations(KEPT_BUDGET, now)
        self._calls: dict[str, list[_Counter]] = {}

    async def admit(self, call_id: str, holds: Sequence[Hold]) -> Outcome:
        now = self._clock()
        if now >= self._quick.turns:
            self._turn(now)
        second = int(now)
        quick, budgets = self._quick.latest, self._budgets.latest
        counters: list[_Counter] = []
        taken: list[int] = []
        left: list[int] = []
        for hold in holds:
            name = hold.counter
            counter = quick.get(name) or budgets.get(name)
            if counter is None:
                counter = self._found(hold, now)
            amount, rest = hold.amount, counter.take(hold, second)
            if rest < 0:
                amount += rest
                if not _rest_is_due(hold, counter, amount):
                    for earlier, held in zip(counters, taken, strict=True):
                        earlier.give_back(held)
                    return self._stopped(holds, len(taken), amount, now)
                counter.take_rest(amount)
                rest = 0
            counters.append(counter)
            taken.append(amount)
            left.append(rest)
        self._calls[call_id] = counters
        return Admitted(call_id, tuple(holds), tuple(taken), tuple(left), second)

    def _stopped(
        self, holds: Sequence[Hold], index: int, left: int, now: float
    ) -> Refused | Missing:
        """Why a call can't go on: budgets are missing, or what is left doesn't suffice."""
        counters = [self._found(hold, now) for hold in holds]
        missing = []
        for place, (hold, counter) in enumerate(zip(holds, counters, strict=True)):
            if isinstance(counter, _Budget):
                counter.begin(hold)
                if counter.spent is None:
                    missing.append(place)
        if missing:
            return Missing(tuple(missing))
        return Refused(index, max(0, left), counters[index].wait(holds[index], now))

    async def settle(
        self, admitted: Admitted, *, tokens: int, cost: int, row: bytes | None = None
    ) -> str | None:
        counters = self._calls.pop(admitted.call_id, None)
        if counters is not None:
            second, now = admitted.second, int(self._clock())
            for counter, taken in zip(counters, admitted.taken):  # noqa: B905 - it costs time
                counter.settle(taken, tokens, cost, second, now)
        return None

    async def forget(self, counters: Sequence[str]) -> None:
        for name in counters:
            found = self._budgets.get(name)
            if isinstance(found, _Budget):
                found.spent, found.forgotten = None, True

    async def ping(self) -> bool:
        return True

    def before_resume(self, write: Callable[[], Awaitable[None]]) -> None:
        """Nothing is ever resumed."""

    async def close(self) -> None:
        """Nothing runs."""

    def has(self, call_id: str) -> bool:
        """Whether a call was admitted here and isn't settled."""
        return call_id in self._calls

    def __len__(self) -> int:
        """Counters that are kept."""
        return len(self._quick) + len(self._budgets)

    def _found(self, hold: Hold, now: float) -> _Counter:
        """The counter of a hold, made where there is none."""
        name, kind = hold.counter, hold.kind
        if kind is Kind.BUDGET:
            budget = self._budgets.get(name)
            if budget is None:
                budget = self._budgets.latest[name] = _Budget()
            return budget
        counter = self._quick.get(name)
        if counter is None:
            made = _Places() if kind is Kind.PARALLEL else _WINDOWS[kind](int(now))
            counter = self._quick.latest[name] = made
        return counter

    def _turn(self, now: float) -> None:
        self._quick.turn(now)
        if now >= self._budgets.turns:
            self._budgets.turn(now)


_WINDOWS = {Kind.REQUESTS: _Requests, Kind.TOKENS: _Tokens}


def _rest_is_due(hold: Hold, counter: _Counter, left: int) -> bool:
    """Whether a call gets what is left though it asked for more."""
    known = not isinstance(counter, _Budget) or counter.spent is not None
    return known and hold.elastic and left > 0 and not counter.open


class MemoryBus:
    """See `Bus`: this process hears itself."""

    def __init__(self) -> None:
        self._hears: list[Hear] = []

    def subscribe(self, hear: Hear) -> None:
        self._hears.append(hear)

    async def publish(self, message: str) -> None:
        for hear in self._hears:
            hear(message)

    def renew(self) -> None:
        # Others say nothing here, but they may have written to the database that is shared.
        for hear in self._hears:
            hear("")

    async def close(self) -> None:
        """Nothing runs."""
