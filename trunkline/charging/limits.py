"""From the scopes that a call is charged to, to what it takes of their limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from ..access.periods import following
from ..access.scopes import Budget, Level, Scope, budget_counter
from ..dataclass import dataclass
from ..state.contract import Hold, Kind
from .estimate import Estimate


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a scope.

    counter: see `state.contract.Hold`. of: the name of the scope, as errors tell it.
    budget: of one of money; None for others, whose `maximum` counts.
    shared: whether no row of the database stands for who spent it, only a sum.
    one: what a call takes of a limit that counts calls; None of others.
    """

    counter: str
    kind: Kind
    of: str
    maximum: int
    budget: Budget | None = None
    shared: bool = False
    one: Hold | None = None

    def hold(
        self, estimate: Estimate, now: float, *, first: bool, places: bool = False
    ) -> Hold | None:
        """What a call takes of it; None for nothing.

        first: whether the call is the client's, or the first that a workflow makes for it.
        places: whether it takes a place among calls at once, since none that is made for the
        client's has one.
        """
        if self.budget is not None:
            period = period_of(self.budget, now)
            amount = max(1, estimate.cost)
            return Hold(self.counter, self.kind, self.maximum, amount, not estimate.stated, period)
        if self.kind is Kind.TOKENS:
            amount = max(1, estimate.tokens)
            # A limit below what a usual answer takes would let nothing through at all.
            elastic = not estimate.stated and amount > self.maximum
            return Hold(self.counter, self.kind, self.maximum, amount, elastic)
        takes = places if self.kind is Kind.PARALLEL else first
        return self.one if takes else None


def period_of(budget: Budget, now: float) -> int:
    """The running period of a budget, by the second in which it ends; 0 where it never does."""
    if not budget.duration or now < budget.resets:
        return budget.resets
    moment = datetime.fromtimestamp(now, UTC)
    return int(following(budget.duration, budget.resets, moment).timestamp())


def spender(counter: str) -> str:
    """Whose budget a counter counts, as the ledger names it."""
    return counter.removesuffix(":budget")


def spent(budget: Budget, period: int) -> int:
    """What was spent of it in a period, as the database knew it."""
    return budget.spent if period == budget.resets or not budget.resets else 0


def limits_of(scopes: Iterable[Scope], model: str) -> tuple[Limit, ...]:
    """All limits that a call to a model group must pass."""
    return tuple(limit for scope in scopes for limit in _limits_of(scope, model))


def _limits_of(scope: Scope, model: str) -> Iterator[Limit]:
    name, told = scope.name, _told(scope)
    here = f"{name}:model:{model}"
    for prefix, whose, kind, maximum in (
        (name, told, Kind.PARALLEL, scope.parallel),
        (name, told, Kind.REQUESTS, scope.rpm),
        (name, told, Kind.TOKENS, scope.tpm),
        (here, f"{told} for the model '{model}'", Kind.REQUESTS, scope.model_rpm.get(model)),
        (here, f"{told} for the model '{model}'", Kind.TOKENS, scope.model_tpm.get(model)),
    ):
        if maximum is not None:
            counter = f"{prefix}:{kind}"
            one = Hold(counter, kind, maximum, 1)
            yield Limit(counter, kind, whose, maximum, one=one)
    of_model = scope.model_budgets.get(model)
    for prefix, whose, budget, shared in (
        (name, told, scope.budget, scope.level in _WITHOUT_ROW or scope.default),
        (here, f"{told} for the model '{model}'", of_model, True),
    ):
        if budget is not None:
            counter = budget_counter(prefix)
            yield Limit(counter, Kind.BUDGET, whose, budget.maximum, budget, shared)


_WITHOUT_ROW = frozenset({Level.PROXY, Level.PROVIDER, Level.MODEL})


_NAMED = frozenset({Level.TEAM, Level.TAG, Level.MODEL, Level.PROVIDER, Level.CUSTOMER})
"""Levels whose ids may be told; of a key, it is the hash."""


def _told(scope: Scope) -> str:
    return f"{scope.level} '{scope.id}'" if scope.level in _NAMED else str(scope.level)
