"""The candidates of a call, taken out one filter after another before a strategy ranks them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

from ..call import Call, Deployment
from ..dataclass import dataclass
from ..errors import ErrorKind, GatewayError, NoDeployment, PermissionDenied, ProviderError
from .candidate import Candidate
from .capabilities import needed
from .health import MINUTE, Health
from .manner import Manner
from .prompt_size import MOST_BYTES, USUAL_BYTES, text_bytes
from .tags import Asked, tagged

Candidates = tuple[Candidate, ...]

_MANY_PROMPTS = frozenset({"embeddings", "moderations", "rerank"})
"""Operations that give the model one text after another, each with the whole context."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """A candidate that a call can't go to. rule: what took it out. reason: more about it."""

    candidate: Candidate
    rule: str
    reason: str = ""


class Pool:
    """The deployments of one group, and what is true of them for every call.

    usable: those whose credentials are there. missing: variables that the others lack.
    plain: whether, as long as nobody cools down, every call that `suits` may go to all usable ones.
    first: those of the lowest `order`.
    strategy, fails_over: of the group's manner.
    labels: the label of each deployment by its id, where a learned strategy ranks them.
    """

    __slots__ = (
        "_all",
        "_filters",
        "_group",
        "_labelled",
        "_lacking",
        "_least_bytes",
        "_of_label",
        "_tag_filtering",
        "fails_over",
        "first",
        "labels",
        "missing",
        "plain",
        "strategy",
        "usable",
    )

    def __init__(
        self,
        candidates: Sequence[Candidate],
        manner: Manner,
        *,
        name: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """name: what errors call the group, where it isn't that of its deployments."""
        filters = manner.filters
        self.labels = labels
        self.strategy = manner.strategy
        self.fails_over = manner.fails_over
        self._all = tuple(candidates)
        self.usable = tuple(each for each in candidates if not each.deployment.missing)
        self.missing = sorted({name for each in candidates for name in each.deployment.missing})
        own = candidates[0].deployment.group_label if candidates else ""
        self._group = f"model '{name}'" if name else own
        self._filters = filters
        told = (each.tag_filtering for each in candidates if each.tag_filtering is not None)
        self._tag_filtering = next(told, filters.tags)
        self.first = lowest_order(self.usable)
        contexts = [each.context for each in self.usable if each.context is not None]
        self._least_bytes = USUAL_BYTES * min(contexts) if filters.pre_call and contexts else None
        self._lacking = filters.pre_call and any(each.lacks for each in self.usable)
        self._of_label = _by_label(self.usable, labels or {})
        self._labelled = lowest_order(of_best_model(self.usable, labels or {}, ()))
        self.plain = bool(self.usable) and not (
            self._tag_filtering
            or any(each.places for each in self.usable)
            or (filters.limits and any(_limited(each) for each in self.usable))
        )

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        return tuple(each.deployment for each in self._all)

    def suits(self, call: Call) -> bool:
        """Whether a call is surely none that a model here may not take."""
        most = self._least_bytes
        if most is not None and not (call.raw and not call.uploads and len(call.raw) <= most):
            return False
        return not (self._lacking and needed(call))

    def best(self, ranking: Sequence[str]) -> Candidates:
        """Of a plain pool with labels, those of the best model and of its lowest `order`."""
        for label in ranking:
            found = self._of_label.get(label)
            if found:
                return found
        return self._labelled

    def eligible(self, call: Call, health: Health) -> Candidates:
        """The candidates that the call may go to now.

        Raises NoDeployment, PermissionDenied (tags), ProviderError (the prompt is too long).
        """
        left = self._present()
        for _, keep in self._rules(call, health):
            left = keep(left)
        return left

    def excluded(self, call: Call, health: Health) -> tuple[Candidates, list[Excluded]]:
        """Who is left of the candidates, and who was taken out by what."""
        lacking = (each for each in self._all if each.deployment.missing)
        out = [Excluded(each, "credentials", f"not set: {_names(each)}") for each in lacking]
        left = self.usable
        for rule, keep in self._rules(call, health):
            try:
                kept = keep(left)
            except GatewayError as error:
                return (), out + [Excluded(each, rule, error.message) for each in left]
            out += [Excluded(each, rule) for each in left if each not in kept]
            left = kept
        return left, out

    def _rules(
        self, call: Call, health: Health
    ) -> Iterator[tuple[str, Callable[[Candidates], Candidates]]]:
        """What takes candidates out, in its order, by the name that explanations give it."""
        if self._tag_filtering:
            yield "tags", partial(self._by_tags, call=call)
        if self._filters.pre_call:
            yield "context_window", partial(self._by_context, call=call)
            yield "capabilities", partial(_by_capabilities, call=call)
        yield "cooldown", partial(self._by_cooldown, health=health)
        if self._filters.limits:
            yield "rate_limit", partial(self._by_limits, call=call, health=health)

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


def preferred(
    eligible: Candidates,
    tried: Collection[str],
    narrowed: Callable[[Candidates], Candidates] = lambda candidates: candidates,
) -> Candidates:
    """Whom to ask next: who was not asked yet before who failed, a free place before a full one,
    a lower `order` before a higher; whoever is left if all are full.

    narrowed: takes of the free ones those of the best model, before their `order` counts.
    """
    free = tuple(each for each in eligible if each.free)
    untried = tuple(each for each in free if each.deployment.id not in tried) if tried else free
    return lowest_order(narrowed(untried or free))


def _by_label(candidates: Candidates, labels: Mapping[str, str]) -> dict[str, Candidates]:
    """Those of each label that any has, of their lowest `order`."""
    found = {labels[each.deployment.id] for each in candidates if each.deployment.id in labels}
    return {label: lowest_order(of_best_model(candidates, labels, (label,))) for label in found}


def of_best_model(
    candidates: Candidates, labels: Mapping[str, str], ranking: Sequence[str]
) -> Candidates:
    """The candidates of the first label that any has; those with a label where none is ranked."""
    for label in ranking:
        found = tuple(each for each in candidates if labels.get(each.deployment.id) == label)
        if found:
            return found
    return tuple(each for each in candidates if each.deployment.id in labels) or candidates


def lowest_order(candidates: Candidates) -> Candidates:
    """The candidates of the lowest `order`; all where none has one."""
    orders = [each.deployment.order for each in candidates if each.deployment.order is not None]
    if not orders:
        return candidates
    lowest = min(orders)
    return tuple(each for each in candidates if each.deployment.order == lowest)


def _names(candidate: Candidate) -> str:
    return ", ".join(candidate.deployment.missing)


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
