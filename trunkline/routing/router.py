"""Chooses the deployment that a call goes to next, and learns how each attempt ended."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from ..call import Call, Decision, Deployment, Usage
from ..dataclass import dataclass
from ..errors import ErrorKind, GatewayError, NoDeployment, ProviderError
from ..settings import Settings
from .candidate import Candidate, Facts, candidate
from .cooldowns import CooldownRules
from .health import Cooldown, Health
from .labels import by_label, label_of
from .manner import Manner, below_learned, by_group, general
from .places import hand_on, redeem, wait_for_place
from .policy import RoutingPolicy
from .pool import Excluded, Pool, of_best_model, preferred
from .strategies import Strategy
from .told import tell

if TYPE_CHECKING:
    from .learned import Learned

log = logging.getLogger("trunkline.routing")

REMEMBERED = 4096
"""Deployments and groups whose precomputed data are kept; wildcards make more as they are used."""

TIMEOUT_PENALTY = 1000.0
"""Seconds that LiteLLM counts for an answer that didn't come."""


class Known(Protocol):
    """What the router needs of a snapshot."""

    @property
    def everything(self) -> Iterable[Deployment]: ...

    @property
    def routing_groups(self) -> Mapping[str, Iterable[Deployment]]: ...

    def facts_of(self, deployment: Deployment) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a call would go where it would.

    strategy: the built-in one. decision: that of the learned one; None where none ranks.
    labels: of the deployments, by id. candidates: all that the call may go to. first: those among
    which the built-in strategy picks.
    """

    strategy: str
    decision: Decision | None
    labels: Mapping[str, str]
    candidates: tuple[Deployment, ...]
    first: tuple[Deployment, ...]
    excluded: tuple[Excluded, ...]


class Router:
    """One configuration's way of choosing, over the health that all share.

    Every `choose` that returns is followed, before anything else is awaited, by `started`; and
    every `started` by exactly one of `succeeded`, `failed` and `cancelled`.

    learned: the learned strategy in force; None where there is none.
    """

    def __init__(
        self,
        policy: RoutingPolicy,
        manner: Manner,
        health: Health,
        *,
        manners: Mapping[str, Manner] | None = None,
        deployments: Iterable[Deployment] = (),
        cooldowns: CooldownRules | None = None,
        facts: Facts = lambda deployment: {},
        default_places: int | None = None,
        learned: Learned | None = None,
        below: Manner | None = None,
    ) -> None:
        """manners: of single groups, where they have one of their own.

        learned: what ranks models, where a learned strategy is configured. below: the way of
        choosing among the deployments of one model then.
        """
        self.policy = policy
        self._general = manner
        self._manners = manners or {}
        self._health = health
        self._rules = cooldowns or CooldownRules()
        known = tuple(deployments)
        self._records = {each.id: health.of(each.id) for each in known}
        self._sizes = Counter(map(_group, known))
        self._facts = facts
        self._default_places = default_places
        self._candidate = lru_cache(maxsize=REMEMBERED)(self._make_candidate)
        self._pool = lru_cache(maxsize=REMEMBERED)(self._make_pool)
        self.learned = learned
        self._below = below or manner
        # Where models come and go, calls of an earlier configuration still have theirs.
        self._models = learned.models if learned is not None else ()
        for each in known:
            self._candidate(each)

    def _manner(self, deployment: Deployment) -> Manner:
        own = None if deployment.tool else self._manners.get(deployment.group)
        return own or self._general

    def _make_candidate(self, deployment: Deployment) -> Candidate:
        manner = self._manner(deployment)
        return candidate(
            deployment,
            self._records.get(deployment.id) or self._health.of(deployment.id),
            alone=self._sizes[_group(deployment)] <= 1,
            facts=self._facts(deployment),
            default_places=self._default_places,
            informed=manner.filters.informed,
            kept_latencies=manner.kept_latencies,
        )

    def _pool_for(self, candidates: Sequence[Deployment], call: Call) -> Pool:
        """A call keeps the labels that it was decided by, whatever bundle comes into force."""
        names = (call.decision or self.learned).names if self.learned is not None else ()
        return self._pool(candidates if type(candidates) is tuple else tuple(candidates), names)

    def _make_pool(self, deployments: tuple[Deployment, ...], names: tuple[str, ...]) -> Pool:
        return self._make_ranked_pool(deployments, names) or self._make_plain_pool(deployments)

    def _make_ranked_pool(
        self, deployments: tuple[Deployment, ...], names: tuple[str, ...]
    ) -> Pool | None:
        """The pool of deployments whose models a learned strategy ranks; None for all others.

        names: the labels that they may stand for.
        """
        learned = self.learned
        if learned is None or not deployments or deployments[0].tool:
            return None
        if deployments == self._models or any(
            # What is left of the virtual model for a key that may not call all of it.
            each.group != deployments[0].group
            for each in deployments
        ):
            labels = label_of(by_label(self._models, names))
            members = [self._candidate(each) for each in deployments if each.id in labels]
            return Pool(members, self._below, name=learned.virtual_model, labels=labels)
        found = by_label(deployments, names)
        if len(found) < 2 or deployments[0].group in self._manners:
            return None
        members = [self._candidate(each) for each in deployments]
        return Pool(members, self._below, labels=label_of(found))

    def _make_plain_pool(self, deployments: tuple[Deployment, ...]) -> Pool:
        manner = self._manner(deployments[0]) if deployments else self._general
        return Pool([self._candidate(each) for each in deployments], manner)

    def strategy_of(self, deployments: tuple[Deployment, ...]) -> Strategy:
        """What ranks the deployments of a group."""
        names = self.learned.names if self.learned is not None else ()
        return self._pool(deployments, names).strategy

    def is_ranked(self, candidates: Sequence[Deployment], call: Call) -> bool:
        """Whether a learned strategy ranks the models of a group for a call."""
        return self._pool_for(candidates, call).labels is not None

    def ranked(self, candidates: Sequence[Deployment], call: Call) -> Sequence[Deployment]:
        """Those whose models a learned strategy ranks for a call; all where it ranks none."""
        pool = self._pool_for(candidates, call)
        return candidates if pool.labels is None else pool.deployments or candidates

    def eligible(self, candidates: Sequence[Deployment], call: Call) -> tuple[Deployment, ...]:
        """The deployments that the call may go to now. Raises what `choose` raises."""
        pool = self._pool_for(candidates, call)
        return tuple(each.deployment for each in pool.eligible(call, self._health))

    async def choose(
        self, candidates: Sequence[Deployment], call: Call, tried: Collection[str] = ()
    ) -> Deployment:
        """The deployment that the call goes to next.

        candidates: the group's deployments; the same tuple each time is fastest.
        tried: ids of those on which the call failed before; they come last.

        Waits, at most as long as an attempt may take, where all are at `max_parallel_requests`.
        Raises NoDeployment; PermissionDenied where tags allow none; ProviderError of the
        context-window kind where the prompt is too long for all.
        """
        pool = self._pool_for(candidates, call)
        if pool.labels is not None and self.learned is not None and call.decision is None:
            call.decision = await self.learned.decide(call)
        if pool.plain and not tried and not self._health.cooling and pool.suits(call):
            decision = call.decision if pool.labels is not None else None
            first = pool.first if decision is None else pool.best(decision.ranking)
            return self._pick(pool, first, call)
        narrowed = self._narrowed(pool, call)
        while True:
            eligible = pool.eligible(call, self._health)
            best = preferred(eligible, tried, narrowed)
            if best:
                return self._pick(pool, best, call)
            given = await self._wait(eligible, call)
            if given.deployment.id not in self._health.cooldowns():
                return given.deployment
            hand_on(given.vitals)

    def _narrowed(
        self, pool: Pool, call: Call
    ) -> Callable[[tuple[Candidate, ...]], tuple[Candidate, ...]]:
        """What leaves the candidates of the best model: all, where no learned strategy ranks."""
        if pool.labels is None or call.decision is None:
            return _all
        return partial(of_best_model, labels=pool.labels, ranking=call.decision.ranking)

    def _pick(self, pool: Pool, candidates: tuple[Candidate, ...], call: Call) -> Deployment:
        if len(candidates) == 1:
            chosen = candidates[0].deployment
            if pool.labels is None:
                return chosen
        else:
            chosen = pool.strategy.pick(candidates, call, self._health.clock()).deployment
        tell(call, chosen, pool.strategy.name, pool.labels)
        return chosen

    async def explain(self, candidates: Sequence[Deployment], call: Call) -> Explanation:
        """What `choose` would go by, without choosing."""
        pool = self._pool_for(candidates, call)
        left, excluded = pool.excluded(call, self._health)
        decision = None
        if pool.labels is not None and self.learned is not None:
            decision = await self.learned.weigh(call)
            narrowed = partial(of_best_model, labels=pool.labels, ranking=decision.ranking)
            first = preferred(left, (), narrowed)
        else:
            first = preferred(left, ())
        return Explanation(
            strategy=pool.strategy.name,
            decision=decision,
            labels=pool.labels or {},
            candidates=tuple(each.deployment for each in left),
            first=tuple(each.deployment for each in first),
            excluded=tuple(excluded),
        )

    async def _wait(self, eligible: tuple[Candidate, ...], call: Call) -> Candidate:
        seconds = self.policy.timeouts(eligible[0].deployment, call).total
        record = await wait_for_place([each.vitals for each in eligible], seconds)
        if record is None:
            raise NoDeployment(
                f"All deployments of the {eligible[0].deployment.group_label} have been at "
                f"max_parallel_requests for {seconds:g} seconds.",
                retry_after=1.0,
            )
        redeem(record)
        return next(each for each in eligible if each.vitals is record)

    def started(self, deployment: Deployment, call: Call) -> None:
        vitals = self._candidate(deployment).vitals
        vitals.turn(self._health.clock())
        vitals.in_flight += 1
        vitals.requests += 1

    def succeeded(
        self,
        deployment: Deployment,
        call: Call,
        *,
        seconds: float,
        first_chunk: float | None,
        usage: Usage,
    ) -> None:
        """The whole answer was there after `seconds`, its first chunk after `first_chunk`."""
        here = self._candidate(deployment)
        vitals, now = here.vitals, self._health.clock()
        vitals.turn(now)
        vitals.successes += 1
        vitals.tokens += usage.total_tokens
        vitals.latencies.add(now, seconds / (usage.output_tokens or 1), here.kept_latencies)
        if call.stream and first_chunk is not None:
            vitals.first_chunks.add(now, first_chunk, here.kept_latencies)
        if self.learned is not None:
            self.learned.ended(call, deployment, failed=False)
        _leave(here)

    def failed(
        self, deployment: Deployment, call: Call, error: ProviderError, *, seconds: float
    ) -> None:
        """The attempt failed after `seconds`; the deployment may cool down for it."""
        here = self._candidate(deployment)
        if self._rules.blames(here, call, error, seconds):
            self._blame(here, call, error)
        if self.learned is not None:
            self.learned.ended(call, deployment, failed=True)
        _leave(here)

    def _blame(self, here: Candidate, call: Call, error: ProviderError) -> None:
        vitals, now = here.vitals, self._health.clock()
        vitals.turn(now)
        vitals.failures += 1
        vitals.failed[error.kind] = vitals.failed.get(error.kind, 0) + 1
        if error.kind is ErrorKind.TIMEOUT:
            vitals.latencies.add(now, TIMEOUT_PENALTY, here.kept_latencies)
            if call.stream:
                vitals.first_chunks.add(now, TIMEOUT_PENALTY, here.kept_latencies)
        pause = self._rules.cools(here, error)
        if pause is not None:
            self._cool(here, now, pause, error)

    def _cool(self, here: Candidate, now: float, seconds: float, error: ProviderError) -> None:
        health, own = self._health, here.deployment
        begins = own.id not in health.cooldowns()
        pause = Cooldown(now, now + seconds, error.kind, error.status)
        if not health.cool(own.id, pause):
            return
        if begins:
            told = {"seconds": seconds, "error": error.kind.value, "status": error.status}
            log.warning("%s cools down", own.label, extra=told)
        if health.cooled is not None:
            health.cooled(own.id, pause)

    def cancelled(self, deployment: Deployment, call: Call) -> None:
        """The client ended the call: nothing is learned of the deployment."""
        _leave(self._candidate(deployment))

    def retry_in(
        self,
        candidates: Sequence[Deployment],
        call: Call,
        tried: Collection[str],
        error: ProviderError,
        retries: int,
    ) -> float | None:
        """Seconds to wait before the call tries its group again; None if it shall not.

        tried: ids of those on which it failed, with `error` the latest. retries: how many it made.

        With no deployment left that the call may go to now, the provider's own error is the better
        answer. Deployments of a higher `order` are asked even when the retries are used up; and
        all others, at most as many as there may be fallbacks, where the group fails over.
        """
        pool = self._pool_for(candidates, call)
        try:
            left = pool.eligible(call, self._health)
        except GatewayError:
            return None
        untried = [each for each in left if each.deployment.id not in tried]
        allowed = self.policy.retries(error, call, len(pool.usable) > 1)
        if retries < allowed:
            return self.policy.delay(error, retries, bool(untried))
        if error.kind in _DEDICATED:
            return None
        ready = [each for each in untried if each.free]
        fails_over = pool.fails_over and retries - allowed < self.policy.max_fallbacks
        return 0.0 if ready and (fails_over or _has_backup(ready, tried, pool)) else None

    def cooldowns(self) -> Mapping[str, Mapping[str, Any]]:
        """Who is cooling down: seconds left, and the failure that it is for, by deployment id."""
        now = self._health.clock()
        return {
            deployment_id: {
                "seconds": round(pause.until - now, 3),
                "error": pause.kind.value,
                "status": pause.status,
            }
            for deployment_id, pause in self._health.cooldowns().items()
        }


def _all(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    return candidates


_DEDICATED = frozenset({ErrorKind.CONTEXT_WINDOW, ErrorKind.CONTENT_POLICY})
"""Kinds with fallbacks of their own, which another `order` doesn't stand in for."""


def _group(deployment: Deployment) -> tuple[bool, str]:
    """What tells groups apart: a search tool may be called like a model."""
    return deployment.tool, deployment.group


def _has_backup(ready: Sequence[Candidate], tried: Collection[str], pool: Pool) -> bool:
    """Whether one that can take the call at once has a higher `order` than all that were tried."""
    orders = (each.deployment.order for each in pool.usable if each.deployment.id in tried)
    reached = max((order for order in orders if order is not None), default=None)
    return reached is not None and any(
        each.deployment.order is not None and each.deployment.order > reached for each in ready
    )


def _leave(here: Candidate) -> None:
    here.vitals.in_flight -= 1
    if here.vitals.waiting and here.free:
        hand_on(here.vitals)


def _places(settings: Settings) -> int | None:
    """Calls at once that a deployment takes which states no number of its own."""
    own = settings.router_settings.default_max_parallel_requests
    return settings.general_settings.max_parallel_requests if own is None else own


def build_router(
    settings: Settings,
    snapshot: Known,
    health: Health,
    random: Random,
    learned: Learned | None = None,
) -> Router:
    """The router that the configuration describes. learned: its learned strategy, if it has one."""
    return Router(
        RoutingPolicy.from_settings(settings, random.random),
        general(settings, random),
        health,
        manners=by_group(settings, snapshot.routing_groups, random),
        deployments=(*snapshot.everything, *chain.from_iterable(snapshot.routing_groups.values())),
        cooldowns=CooldownRules.from_settings(settings),
        facts=snapshot.facts_of,
        default_places=_places(settings),
        learned=learned,
        below=below_learned(settings, random),
    )
