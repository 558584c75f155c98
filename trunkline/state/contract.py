"""How calls are counted: what a call takes of each limit, and what becomes of that.

    admit    every hold of a call fits and is taken, or none is, in one atomic step
    settle   what the call really took replaces what was held, in one atomic step

`memory.py` counts in the process, `redis.py` in Redis for all processes; both pass one suite.

Requests and tokens are counted in a sliding window of 60 seconds, second by second: whatever 60
seconds one looks at, no more than the limit was let through; for that, the second that runs counts
beside 60 whole ones. A GCRA needs less memory, but lets a whole burst and a minute's refill through
in one minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Protocol

from ..dataclass import dataclass

WINDOW = 60
"""Seconds in which requests and tokens are counted."""

BUCKETS = WINDOW + 1
"""Whole seconds that any 60 seconds touch at most."""

LEASE = 30.0
"""Seconds after which what a call holds is free again unless its process renews it."""


class Kind(StrEnum):
    """What a limit counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    PARALLEL = "parallel"
    BUDGET = "budget"


SOON = 1.0
"""Seconds to wait for calls that may end at any moment."""


@dataclass(slots=True)
class Hold:
    """What a call takes of one limit; of each limit, a call has one hold at most.

    Never changed: that it isn't frozen saves a microsecond of each call's three or four.

    counter: the limit's name, the same in all processes ("key:3f9c…:tokens"), of one kind for ever.
    maximum: requests or tokens in a window, calls at once, or nano-dollars in a period.
    amount: what is taken; not below 0.
    elastic: whether the call takes what is left, if that is anything, where `amount` doesn't fit
        and no other call holds anything that isn't settled: its amount is a bound that the client
        didn't choose, and a limit below it would let no call through at all.
    period: of a budget, which of its periods it is: a number that grows; 0 where it never resets.
        A counter of an older period begins anew; what calls hold stays held.
    spent: of a budget, the nano-dollars of the period that the database knows, to begin a counter
        with that isn't there; None lets `admit` say `Missing`. To be read after `Missing` was said,
        when the rows that the process keeps itself are in the database: what calls cost whose rows
        lie in the stream, and what they cost since, the counters add.
    """

    counter: str
    kind: Kind
    maximum: int
    amount: int
    elastic: bool = False
    period: int = 0
    spent: int | None = None


@dataclass(slots=True)
class Admitted:
    """A call that may go on.

    taken: what it holds of each limit, in the order of `holds`. left: what is left of each after
    it. second: in which it was counted, as the counters' clock tells it.
    """

    call_id: str
    holds: tuple[Hold, ...]
    taken: tuple[int, ...]
    left: tuple[int, ...]
    second: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that may not.

    index: of the first hold that doesn't fit. left: what is left of its limit, at least 0.
    retry_after: seconds after which it may fit, `SOON` where that depends on other calls; None
        where only another period or a higher limit helps.
    """

    index: int
    left: int
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Missing:
    """Budgets whose counters aren't there: to be asked again with `spent`. Nothing was taken.

    It may be said once more, of a budget that was forgotten while the database was asked.

    indexes: of the holds.
    """

    indexes: tuple[int, ...]


Outcome = Admitted | Refused | Missing


class CountersUnavailable(Exception):
    """What counts can't be reached, and calls are to be denied for it (`redis_failure: deny`)."""


class Counters(Protocol):
    """Counts calls. See the module's head.

    Used in one event loop.
    """

    async def admit(self, call_id: str, holds: Sequence[Hold]) -> Outcome:
        """Takes all holds or none. Raises CountersUnavailable."""

    async def settle(
        self, admitted: Admitted, *, tokens: int, cost: int, row: bytes | None = None
    ) -> str | None:
        """Ends what the call holds, however it went.

        Its requests stay counted. Its tokens are `tokens`, in the second in which it was admitted
        if that is still counted, else what exceeds the held ones counts now. Its place among
        parallel calls is free. Its cost, nano-dollars, replaces what is held of budgets.

        row: what the ledger is to keep, added to its stream in the same step.

        Gives the row's id in the stream; None where there is no stream or it can't be reached, so
        that the caller keeps the row. A call that is settled twice counts once. Never raises for
        counters that can't be reached: what is owed is told to them when they are back.
        """

    async def forget(self, counters: Sequence[str]) -> None:
        """Lets the spend of budgets be taken from the database again; what is held stays held.

        From now on `admit` says `Missing` of them once, whatever `spent` it is given.
        """

    async def ping(self) -> bool:
        """Whether the counters can be reached."""

    def before_resume(self, write: Callable[[], Awaitable[None]]) -> None:
        """Has what is kept of settled calls written to the database before spend is read there.

        Called once; awaited each time that counters are back that could not be reached. While it
        raises, they aren't used.
        """

    async def close(self) -> None:
        """Ends what runs in the background."""


Hear = Callable[[str], None]
"""Takes a message; empty where some may have been lost, so that nothing kept can be relied on."""


class Bus(Protocol):
    """Carries short messages to every process, this one included."""

    def subscribe(self, hear: Hear) -> None: ...

    def publish(self, message: str) -> Awaitable[None]:
        """Never raises for a bus that can't be reached; this process hears it in any case."""

    def renew(self) -> None:
        """After this process stood still: connects again, and says "" here, which stands for all
        that may have gone unheard."""

    async def close(self) -> None:
        """Ends what runs in the background."""


class Stream(Protocol):
    """Rows of the ledger that no database has yet, in the order in which they came.

    Every method may raise CountersUnavailable.
    """

    async def add(self, rows: Sequence[bytes]) -> list[str]:
        """Adds rows of which `settle` said that it could not; their ids."""

    async def delete(self, ids: Sequence[str]) -> None:
        """Takes rows out that the database has. What isn't there is no error."""

    async def older_than(self, seconds: float, count: int) -> list[tuple[str, bytes]]:
        """The oldest rows, with their ids, that came so many seconds ago or earlier."""

    async def length(self) -> int:
        """How many rows there are."""
