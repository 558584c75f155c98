"""The candidates of a call, taken out one filter after another before a strategy ranks them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..call import Call
from ..errors import ErrorKind, NoDeployment, PermissionDenied, ProviderError
from .candidate import Candidate
from .capabilities import needed
from .health import MINUTE, Health
from .manner import Manner
from .prompt_size import MOST_BYTES, USUAL_BYTES, text_bytes
from .tags import Asked, tagged

Candidates = tuple[Candidate, ...]

_MANY_PROMPTS = frozenset({"embeddings", "moderations", "rerank"})
"""Operations that give the model one text after another, each with the whole context."""


class Pool:
    """The deployments of one group, and what is true of them for every call.

    usable: those whose credentials are there. missing: variables that the others lack.
    plain: whether, as long as nobody cools down, every call may go to all of `first`.
    first: those of the lowest `order`.
    strategy, fails_over: of the group's manner.
    """

    __slots__ = (
        "_filters",
        "_group",
        "_tag_filtering",
        "fails_over",
        "first",
        "missing",
        "plain",
        "strategy",
        "usable",
    )

    def __init__(self, candidates: Sequence[Candidate], manner: Manner) -> None:
        filters = manner.filters
        self.strategy = manner.strategy
        self.fails_over = manner.fails_over
        self.usable = tuple(each for each in candidates if not each.deployment.missing)
        self.missing = sorted({name for each in candidates for name in each.deployment.missing})
        self._group = candidates[0].deployment.group_label if candidates else ""
        self._filters = filters
        own = (each.tag_filtering for each in candidates if each.tag_filtering is not None)
        self._tag_filtering = next(own, filters.tags)
        self.first = lowest_order(self.usable)
        self.plain = bool(self.usable) and not (
            self._tag_filtering
            or filters.pre_call
            or any(each.places for each in self.usable)
            or (filters.limits and any(_limited(each) for each in self.usable))
        )

    def eligible(self, call: Call, health: Health) -> Candidates:
        """The candidates that the call may go to now.

        Raises NoDeployment, PermissionDenied (tags), ProviderError (the prompt is too long).
        """
        left = self._present()
        if self._tag_filtering:
            left = self._by_tags(left, call)
        if self._filters.pre_call:
            left = self._by_context(left, call)
            left = _by_capabilities(left, call)
        healthy = self._by_cooldown(left, health)
        return self._by_limits(healthy, call, health) if self._filters.limits else healthy

    def _present(self) -> Candidates:
        if not self.usable:
            names = ", ".join(self.missing) or "no deployment"
            raise NoDeployment(
                f"The {self._group} can't be used: environment variables that it needs are "
                f"not set: {names}.",
                status=503,
            )
        return self.usable

    def _by_tags(self, left: Candidates, call: Call) -> Candidates:
        filters = self._filters
        asked = Asked.of(
            call.tags,
            call.headers.get("user-agent", ""),
            prefix=filters.tags_prefix,
            match_any=filters.tags_match_any,
        )
        left = tagged(left, asked)
        if not left:
            what = f"a request with the tags {list(call.tags)}" if call.tags else "this client"
            raise PermissionDenied(
                f"No deployment of the {self._group} may serve {what}.", param="tags"
            )
        return left

    def _by_context(self, left: Candidates, call: Call) -> Candidates:
        """Without those whose context the prompt exceeds by the usual measure.

        When that is all of them, only a prompt that exceeds every context by the most generous
        measure is refused; else the provider, which counts exactly, decides.
        """
        limits = [each.context for each in left if each.context is not None]
        if not limits or call.operation.name in _MANY_PROMPTS:
            return left
        if call.raw and not call.uploads and len(call.raw) <= USUAL_BYTES * min(limits):
            return left
        size = text_bytes(call)
        fitting = _holding(left, size // USUAL_BYTES)
        if fitting or _holding(left, size // MOST_BYTES):
            return fitting or left
        raise ProviderError(
            ErrorKind.CONTEXT_WINDOW,
            f"The request's prompt, about {size // USUAL_BYTES} tokens, exceeds the context "
            f"of every deployment of the {self._group} (at most {max(limits)} tokens).",
            status=400,
            type="invalid_request_error",
            code="context_length_exceeded",
        )

    def _by_cooldown(self, left: Candidates, health: Health) -> Candidates:
        cooling = health.cooldowns()
        if not cooling:
            return left
        healthy = tuple(each for each in left if each.deployment.id not in cooling)
        if not healthy:
            until = min(cooling[each.deployment.id].until for each in left)
            seconds = max(0.0, until - health.clock())
            raise NoDeployment(
                f"All deployments of the {self._group} are cooling down after failures; "
                f"try again in {seconds:.0f} seconds.",
                retry_after=seconds,
            )
        return healthy

    def _by_limits(self, left: Candidates, call: Call, health: Health) -> Candidates:
        if not any(_limited(each) for each in left):
            return left
        now = health.clock()
        tokens = text_bytes(call) // USUAL_BYTES
        within = tuple(each for each in left if _takes(each, tokens, now))
        if not within:
            seconds = MINUTE - now % MINUTE
            raise NoDeployment(
                f"All deployments of the {self._group} are at their limit of requests or "
                f"tokens a minute; try again in {seconds:.0f} seconds.",
                retry_after=seconds,
            )
        return within


def preferred(eligible: Candidates, tried: Collection[str]) -> Candidates:
    """Whom to ask next: who was not asked yet before who failed, a free place before a full one,
    a lower `order` before a higher; whoever is left if all are full."""
    free = tuple(each for each in eligible if each.free)
    untried = tuple(each for each in free if each.deployment.id not in tried) if tried else free
    return lowest_order(untried or free)


def lowest_order(candidates: Candidates) -> Candidates:
    """The candidates of the lowest `order`; all where none has one."""
    orders = [each.deployment.order for each in candidates if each.deployment.order is not None]
    if not orders:
        return candidates
    lowest = min(orders)
    return tuple(each for each in candidates if each.deployment.order == lowest)


def _limited(candidate: Candidate) -> bool:
    return candidate.rpm is not None or candidate.tpm is not None


def _takes(candidate: Candidate, tokens: int, now: float) -> bool:
    vitals = candidate.vitals
    vitals.turn(now)
    return (candidate.rpm is None or vitals.requests < candidate.rpm) and (
        candidate.tpm is None or vitals.tokens + tokens <= candidate.tpm
    )


def _holding(candidates: Candidates, tokens: int) -> Candidates:
    return tuple(each for each in candidates if each.context is None or tokens <= each.context)


def _by_capabilities(left: Candidates, call: Call) -> Candidates:
    """Without those known to lack what the request needs; all if that is everyone, since what is
    known may be outdated."""
    if not any(each.lacks for each in left):
        return left
    wanted = needed(call)
    return tuple(each for each in left if wanted.isdisjoint(each.lacks)) or left
