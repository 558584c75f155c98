"""Authorises calls, admits them before they are made, and settles them after.

await charges.authorise(call)         may the payer call that model at all
charge, … = await charges.admit(…)    the limits of all levels hold, and the cost is reserved
await charge.settle(…)                what it really took; and the ledger's row
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

from ..access.demands import customer_of
from ..access.directory import Directory
from ..access.identity import Principal
from ..access.scopes import Level, Scope
from ..call import Call, Deployment
from ..errors import LimitExceeded, LimitsUnavailable
from ..ledger.book import unconfigured
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
from .charge import Charge, ending
from .estimate import NOTHING, Estimate, Estimator
from .limits import Limit, limits_of, spender, spent
from .payer import Payer
from .rows import row_of
from .standing import Standing
from .told import refusal, told

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

    async def record(self, row: SpendRow) -> None: ...

    def hold(self, row: bytes, stream_id: str) -> None: ...

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
        stand_in: Callable[[str, str], Awaitable[Deployment]] | None = None,
        streams: bool = False,
        budget_status: int = 400,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.counters = counters
        self.ledger = ledger
        self.prices_of = prices_of
        self.stand_in = stand_in or _unknown
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
        if caller.tags or call.tags:
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
        self,
        call: Call,
        group: str,
        candidates: Sequence[Deployment],
        ranked: Callable[[Sequence[Deployment], Call], Sequence[Deployment]],
    ) -> Sequence[Deployment]:
        """Those that the caller may call. ranked: leaves those that routing chooses among."""
        caller = call.payer.caller
        if not caller.models:
            return candidates
        return self._narrowed(caller, group, tuple(ranked(candidates, call)))

    def checked(self, call: Call, resolve: Resolve) -> Resolve:
        """The same, but PermissionDenied is raised for a model that the caller may not call.

        For models that stand in what a call uploads.
        """
        caller = call.payer.caller

        def found(model: str) -> Sequence[Deployment]:
            check_models(caller, [model], resolve)
            return resolve(model)

        return found if caller.models else resolve

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
        call.limits = told(admitted)
        return charge, candidates

    async def enter(self, call: Call) -> Charge:
        """Takes what a session has to its end: a request, and a place among calls at once.

        The calls that are made in it take neither. Raises LimitExceeded; LimitsUnavailable.
        """
        payer: Payer = call.payer
        limits = limits_of((*self._standing.whole, *payer.caller.scopes, *payer.extra), call.group)
        own = [limit for limit in limits if limit.kind in (Kind.REQUESTS, Kind.PARALLEL)]
        session = replace(payer, counted=False, placed=False)
        identity = f"{call.id}~session"
        if not own:
            return Charge(self, call, Admitted(identity, (), (), (), 0), ())
        admitted, kept = await self._admitted(identity, session, own, NOTHING, places=True)
        return Charge(self, call, admitted, kept)

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
        kept, holds = [], []
        for limit in limits:
            hold = limit.hold(estimate, now, first=first, places=places)
            if hold is not None:
                kept.append(limit)
                holds.append(hold)
        for _ in range(ASKED_AGAIN):
            try:
                outcome = await self.counters.admit(identity, holds)
            except CountersUnavailable:
                raise LimitsUnavailable from None
            if isinstance(outcome, Admitted):
                return outcome, tuple(kept)
            if isinstance(outcome, Refused):
                limit = kept[outcome.index]
                self.metrics.refused(limit.kind, limit.counter.partition(":")[0])
                raise refusal(
                    limit, holds[outcome.index], outcome, budget_status=self._budget_status
                )
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

    def standing_of(self, deployment: Deployment) -> tuple[Scope, ...]:
        """The limits that a deployment has by the configuration, with its provider's."""
        return self._standing.scopes_of(deployment)

    async def holder(self, key: str) -> Principal | None:
        """Who has a key, by its hash; None where there is no database.

        Raises AuthenticationFailed, StoreUnavailable.
        """
        return await self._directory.holder(key) if self._directory is not None else None

    async def budgets_of(
        self, payer: Payer, group: str, deployment: Deployment
    ) -> tuple[Limit, ...]:
        """The budgets that what a payer spends with a deployment counts against.

        Raises PermissionDenied, StoreUnavailable.
        """
        extra: tuple[Scope, ...] = ()
        if self._directory is not None and (payer.customer or payer.tags):
            extra = await self._extra(self._directory, payer)
        scopes = (*payer.caller.scopes, *extra, *self.standing_of(deployment))
        limits = limits_of((*self._standing.whole, *scopes), group)
        return tuple(limit for limit in limits if limit.budget is not None)

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
        row = row_of(call, None, *ending(error), self.clock())
        await self.settled(self.ledger.record(row))

    async def close(self) -> None:
        """Waits for what is being settled."""
        if self._settling:
            await asyncio.wait(self._settling)


async def _unknown(provider: str, model: str) -> Deployment:
    return unconfigured(provider, model)


def _as_kept(name: str) -> str:
    """A client's word for a customer or a tag as a database can be asked for it."""
    return name.replace("\0", "\N{REPLACEMENT CHARACTER}")
