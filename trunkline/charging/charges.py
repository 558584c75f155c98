"""Authorises calls, admits them before they are made, and settles them after.

payer = charges.open(caller)        who is charged
await charges.authorise(call)         may they call that model at all
charge = await charges.admit(…)       the limits of all levels hold, and the cost is reserved
await charge.settle(…)                what it really took; and the ledger's row
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

from ..access.demands import customer_of
from ..access.directory import Directory
from ..access.money import dollars
from ..access.scopes import Level, Scope
from ..call import Call, Deployment, Headers
from ..errors import BudgetExceeded, GatewayError, LimitExceeded, LimitsUnavailable
from ..ledger.prices import Prices
from ..ledger.row import SpendRow
from ..state.contract import (
    Admitted,
    Counters,
    CountersUnavailable,
    Hold,
    Kind,
    Missing,
    Refused,
)
from ..store.database import StoreUnavailable
from ..telemetry.metrics import Metrics
from .allowed import Resolve, check_models, narrowed
from .estimate import Estimate, Estimator
from .limits import Limit, limits_of, spender, spent
from .payer import Payer
from .rows import row_of
from .spoken import Spoken, fill_answer
from .standing import Standing

log = logging.getLogger("trunkline.charging")

REMEMBERED = 10_000
"""Limits of callers and models, and narrowed candidates, that are kept."""
LONGEST_NAME = 256
"""Characters of the longest name that a customer or a tag with limits has."""
LONGEST_ID = 200
"""Characters of a customer's name that tell customers apart who have no row."""
ASKED_AGAIN = 3
"""Times that a budget's counter may be gone before the call is refused."""


class Ledger(Protocol):
    """Keeps rows (see `ledger/ledger.py`)."""

    async def record(self, row: SpendRow, stream_id: str | None) -> None: ...

    def note(self, row: SpendRow) -> None: ...

    async def flush(self) -> None: ...


class Charges:
    """One configuration's way of charging.

    directory: knows the limits of customers and tags; None where there is no database.
    streams: whether the counters keep rows of the ledger in a stream.
    """

    def __init__(
        self,
        counters: Counters,
        ledger: Ledger,
        directory: Directory | None,
        estimator: Estimator,
        prices_of: Callable[[Deployment], Prices | None],
        metrics: Metrics,
        standing: Standing,
        *,
        streams: bool = False,
        budget_status: int = 400,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.counters = counters
        self.ledger = ledger
        self.prices_of = prices_of
        self.metrics = metrics
        self.clock = clock
        self.streams = streams
        self._directory = directory
        self.estimator = estimator
        self._standing = standing
        self._budget_status = budget_status
        self._limits = lru_cache(maxsize=REMEMBERED)(
            lambda caller, model: limits_of((*standing.whole, *caller.scopes), model)
        )
        self._scopes = lru_cache(maxsize=REMEMBERED)(standing.scopes_of_all)
        self._narrowed = lru_cache(maxsize=REMEMBERED)(narrowed)
        self._settling: set[asyncio.Future[None]] = set()

    # Authorising

    async def authorise(self, call: Call, resolve: Resolve) -> None:
        """Whether the caller may make the call; and who else is charged.

        Raises PermissionDenied; StoreUnavailable.
        """
        payer: Payer = call.payer
        caller = payer.caller
        if caller.aliases and call.group in caller.aliases:
            call.group = caller.aliases[call.group]
        if caller.models and call.group:
            named = [call.group]
            for stand_ins in (call.fallback_groups or {}).values():
                named += [each.group for each in stand_ins]
            check_models(caller, named, resolve)
        payer.tags = tuple(dict.fromkeys((*caller.tags, *call.tags)))
        payer.customer = customer_of(call)
        if self._directory is not None and (payer.customer or payer.tags):
            payer.extra = await self._extra(self._directory, payer)

    async def _extra(self, directory: Directory, payer: Payer) -> tuple[Scope, ...]:
        found = []
        if payer.customer:
            named = _as_kept(payer.customer)
            own = await directory.customer(named) if len(named) <= LONGEST_NAME else None
            found.append(own or self._customer(named))
        tags = map(_as_kept, payer.tags)
        found += [await directory.tag(tag) for tag in tags if len(tag) <= LONGEST_NAME]
        return tuple(scope for scope in found if scope is not None)

    def _customer(self, customer: str) -> Scope | None:
        """The limits of a customer who has none."""
        budget = self._standing.customer
        if budget is None:
            return None
        return Scope(Level.CUSTOMER, customer[:LONGEST_ID], budget=budget, default=True)

    def candidates(
        self, call: Call, group: str, candidates: Sequence[Deployment]
    ) -> Sequence[Deployment]:
        """Those that the caller may call."""
        caller = call.payer.caller
        return self._narrowed(caller, group, tuple(candidates)) if caller.models else candidates

    # Admitting

    async def admit(
        self, call: Call, candidates: Sequence[Deployment]
    ) -> tuple[Charge, Sequence[Deployment]]:
        """Takes what the call may cost at most of every limit above it, or of none.

        Gives the candidates too that it may go to: without those whose own budgets, or whose
        providers', don't cover it.

        Raises LimitExceeded, BudgetExceeded; LimitsUnavailable.
        """
        payer: Payer = call.payer
        limits = self._limits(payer.caller, call.group)
        if payer.extra:
            limits += limits_of(payer.extra, call.group)
        identity = f"{call.id}~{call.fallbacks}" if call.fallbacks else call.id
        candidates = candidates if type(candidates) is tuple else tuple(candidates)
        standing = self._scopes(candidates)
        if not (limits or standing):
            return Charge(self, call, Admitted(identity, (), (), (), 0), ()), candidates
        estimate = self.estimator.estimate(call, candidates)
        places, payer.placed = not payer.placed, True
        try:
            admitted, limits = await self._admitted(
                identity, payer, limits, estimate, places=places
            )
        except BaseException:
            payer.placed = not places
            raise
        charge = Charge(self, call, admitted, limits, places=places)
        if standing:
            try:
                candidates = await self._covered(charge, payer, candidates, standing, estimate)
            except BaseException:
                await charge.release()
                raise
        payer.counted = True
        call.limits = _told(admitted)
        return charge, candidates

    async def _covered(
        self,
        charge: Charge,
        payer: Payer,
        candidates: Sequence[Deployment],
        standing: Sequence[Scope],
        estimate: Estimate,
    ) -> Sequence[Deployment]:
        """The candidates whose own budgets, and whose providers', cover the call.

        Raises BudgetExceeded where there are none.
        """
        refusals: dict[Scope, LimitExceeded] = {}
        for scope in standing:
            identity = f"{charge.call_id}~{scope.name}"
            try:
                part = await self._admitted(identity, payer, limits_of((scope,), ""), estimate)
            except LimitExceeded as refusal:
                refusals[scope] = refusal
            else:
                charge.add(scope, *part)
        scopes_of = self._standing.scopes_of
        left = tuple(each for each in candidates if refusals.keys().isdisjoint(scopes_of(each)))
        if not left:
            raise next(iter(refusals.values()))
        return left

    async def _admitted(
        self,
        identity: str,
        payer: Payer,
        limits: Sequence[Limit],
        estimate: Estimate,
        *,
        places: bool = False,
    ) -> tuple[Admitted, tuple[Limit, ...]]:
        now, first = self.clock(), not payer.counted
        taken = [(limit, limit.hold(estimate, now, first=first, places=places)) for limit in limits]
        kept = tuple(limit for limit, hold in taken if hold is not None)
        holds = [hold for _, hold in taken if hold is not None]
        for _ in range(ASKED_AGAIN):
            try:
                outcome = await self.counters.admit(identity, holds)
            except CountersUnavailable:
                raise LimitsUnavailable from None
            if isinstance(outcome, Admitted):
                return outcome, kept
            if isinstance(outcome, Refused):
                raise self._refusal(kept[outcome.index], holds[outcome.index], outcome)
            await self._begin(payer, kept, holds, outcome)
        raise LimitsUnavailable

    async def _begin(
        self, payer: Payer, limits: Sequence[Limit], holds: list[Hold], missing: Missing
    ) -> None:
        """Sets what was spent, as the database has it now, in the holds that miss it."""
        known = await self._read_again(payer)
        for index in missing.indexes:
            limit, hold = limits[index], holds[index]
            assert limit.budget is not None
            if limit.shared:
                amount = await self._sum(limit, hold.period)
            else:
                amount = spent(known.get(limit.counter, limit.budget), hold.period)
            holds[index] = replace(hold, spent=amount)

    async def _sum(self, limit: Limit, period: int) -> int:
        if self._directory is None:
            return 0
        try:
            return await self._directory.spent(spender(limit.counter), period)
        except StoreUnavailable:
            log.warning("a budget begins with nothing spent: the database is away")
            return 0

    async def _read_again(self, payer: Payer) -> Mapping[str, Any]:
        """All budgets of a call by their counters, as the database has them; else as known."""
        scopes = list(payer.extra)
        try:
            await self.ledger.flush()
            if self._directory is not None and payer.caller.key:
                payer.caller = await self._directory.reread(payer.caller)
                again = [await self._directory.reread_shared(scope) for scope in payer.extra]
                scopes = [scope for scope in again if scope is not None]
        except StoreUnavailable:
            log.warning("budgets begin with what was known of them: the database is away")
        scopes += payer.caller.scopes
        return {
            limit.counter: limit.budget
            for limit in limits_of(scopes, "")
            if limit.budget is not None
        }

    def _refusal(self, limit: Limit, hold: Hold, refused: Refused) -> LimitExceeded:
        self.metrics.refused(limit.kind, limit.counter.partition(":")[0])
        if limit.kind is Kind.BUDGET:
            return BudgetExceeded(
                f"Budget has been exceeded! Of ${dollars(limit.maximum)} the {limit.of} has"
                f" ${dollars(max(0, refused.left))} left, and the call may cost up to"
                f" ${dollars(hold.amount)}{_HINT if hold.elastic else ''}.",
                status=self._budget_status,
            )
        what = _WHAT[limit.kind]
        return LimitExceeded(
            f"Rate limit of the {limit.of} reached: {limit.maximum} {what};"
            f" {max(0, refused.left)} left, {hold.amount} needed.",
            retry_after=refused.retry_after,
            headers=_headers(limit.kind, limit.maximum, refused.left),
        )

    def standing_of(self, deployment: Deployment) -> tuple[Scope, ...]:
        """The limits that a deployment has by the configuration, with its provider's."""
        return self._standing.scopes_of(deployment)

    # Settling

    def settled(self, settling: Any) -> asyncio.Future[None]:
        """Settles in a task of its own, which no client that leaves ends."""
        task = asyncio.ensure_future(settling)
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return asyncio.shield(task)

    def hit(self, call: Call) -> None:
        """Notes a call that was answered from the cache: it costs nothing."""
        self.ledger.note(row_of(call, None, "success", "", self.clock()))

    async def failed(self, call: Call, error: BaseException) -> None:
        """Records a call that no deployment answered."""
        row = row_of(call, None, *_ending(error), self.clock())
        await self.settled(self.ledger.record(row, None))

    async def close(self) -> None:
        """Waits for what is being settled."""
        if self._settling:
            await asyncio.wait(self._settling)


class Charge:
    """What an admitted call holds until it is settled, which it is exactly once.

    cost: nano-dollars, once it is settled; None where it isn't known.
    """

    __slots__ = (
        *("_admitted", "_call", "_charges", "_limits", "_parts", "_places"),
        *("cost", "settled"),
    )

    def __init__(
        self,
        charges: Charges,
        call: Call,
        admitted: Admitted,
        limits: tuple[Limit, ...],
        *,
        places: bool = False,
    ) -> None:
        """places: whether it has the payer's place among calls at once."""
        self._charges = charges
        self._call = call
        self._admitted = admitted
        self._limits = limits
        self._parts: list[tuple[Scope, Admitted, tuple[Limit, ...]]] = []
        self._places = places
        self.settled = False
        self.cost: int | None = None

    @property
    def call_id(self) -> str:
        """Under which the counters know it."""
        return self._admitted.call_id

    def add(self, scope: Scope, admitted: Admitted, limits: tuple[Limit, ...]) -> None:
        """What is held of a deployment's or a provider's budget, until it is known who answers."""
        self._parts.append((scope, admitted, limits))

    async def release(self) -> None:
        """Gives back what a call holds that failed; its request stays counted."""
        if not self.settled:
            self.settled = True
            if self._admitted.holds or self._parts:
                parts = [part for _, part, _ in self._parts]
                counters = self._charges.counters
                await self._charges.settled(_ended(counters, [self._admitted, *parts]))
            self._leave()

    def _leave(self) -> None:
        """Lets the payer's next call take a place."""
        if self._places:
            self._call.payer.placed = False

    async def answered(self, answer: bytes) -> None:
        """Settles a call that has its whole answer."""
        if self._call.usage.input_tokens is None:
            fill_answer(self._call, answer)
        await self.settle()

    async def settle(self, error: BaseException | None = None) -> None:
        """Accounts for what the call took, and records it. error: what ended it early."""
        if self.settled:
            return
        self.settled = True
        charges, call = self._charges, self._call
        cost = self.cost = self._cost()
        status, kind = _ENDED_WELL if error is None else _ending(error)
        row = row_of(call, cost, status, kind, charges.clock(), self._shared())
        if call.attempts:
            spender = (row.key_hash, row.key_alias, row.user_id, row.team_id)
            charges.metrics.spent(
                call.attempts[-1].deployment, spender, cost or 0, row.total_tokens
            )
        charges.estimator.learn(call)
        try:
            await self._kept(row)
        except asyncio.CancelledError:
            # Nobody knows how far it came; to do all of it again changes nothing.
            charges.settled(self._kept(row))
            raise
        self._leave()

    async def _kept(self, row: SpendRow) -> None:
        charges = self._charges
        place = await charges.counters.settle(
            self._admitted,
            tokens=row.total_tokens,
            cost=row.cost or 0,
            row=row.encoded() if charges.streams else None,
        )
        for scope, part, _ in self._parts:
            cost = (row.cost or 0) if scope in self._answering() else 0
            await charges.counters.settle(part, tokens=0, cost=cost)
        await charges.ledger.record(row, place)

    def _cost(self) -> int | None:
        call = self._call
        prices = self._charges.prices_of(call.attempts[-1].deployment) if call.attempts else None
        return prices.charge(call) if prices else None

    def _shared(self) -> tuple[tuple[str, int], ...]:
        """The counters of budgets that no row of the database stands for, with their periods."""
        held = list(zip(self._limits, self._admitted.holds, strict=True))
        for scope, part, limits in self._parts:
            if scope in self._answering():
                held += zip(limits, part.holds, strict=True)
        return tuple((spender(hold.counter), hold.period) for limit, hold in held if limit.shared)

    def _answering(self) -> tuple[Scope, ...]:
        """The scopes of the deployment that answered, or was asked last."""
        attempts = self._call.attempts
        return self._charges.standing_of(attempts[-1].deployment) if attempts else ()

    async def until_told(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks of a stream, settled before the last of them leaves, however it ends."""
        spoken = Spoken(self._call)
        error: BaseException | None = None
        try:
            async for chunk in chunks:
                if spoken.hear(chunk):
                    spoken.fill()
                    await self.settle()
                yield chunk
        except BaseException as failure:
            error = failure
            raise
        finally:
            if not self.settled:
                spoken.fill()
                await self.settle(error)
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()


async def _ended(counters: Counters, parts: Sequence[Admitted]) -> None:
    for admitted in parts:
        await counters.settle(admitted, tokens=0, cost=0)


_ENDED_WELL = ("success", "")

_HINT = " as it states no maximum of tokens"

_WHAT = {
    Kind.REQUESTS: "requests a minute",
    Kind.TOKENS: "tokens a minute",
    Kind.PARALLEL: "calls at once",
}

_NAMES = {Kind.REQUESTS: "requests", Kind.TOKENS: "tokens"}


def _ending(error: BaseException) -> tuple[str, str]:
    """Status and class of a failure, as the ledger has them."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "cancelled", "client_gone"
    if isinstance(error, GatewayError):
        kind = getattr(error, "kind", None)
        return "failure", str(kind.value) if kind is not None else error.code or error.type
    return "failure", "internal_error"


def _as_kept(name: str) -> str:
    """A client's word for a customer or a tag as a database can be asked for it."""
    return name.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _told(admitted: Admitted) -> Headers:
    """The rate limits as OpenAI's headers tell them: of each kind, the one with the least left."""
    told: Headers = []
    for kind in _NAMES:
        least, maximum = -1, 0
        for hold, left in zip(admitted.holds, admitted.left, strict=True):
            if hold.kind is kind and (least < 0 or left < least):
                least, maximum = left, hold.maximum
        if least >= 0:
            told += _headers(kind, maximum, least)
    return told


def _headers(kind: Kind, maximum: int, left: int) -> Headers:
    name = _NAMES.get(kind)
    if name is None:
        return []
    return [
        (f"x-ratelimit-limit-{name}", str(maximum)),
        (f"x-ratelimit-remaining-{name}", str(max(0, left))),
    ]
