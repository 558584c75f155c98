"""A deployment as the router sees it: its record, and what its configuration says about routing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..call import Deployment
from ..dataclass import dataclass
from .configured import as_mapping
from .error_classes import ALLOWED_FAILS, Counts, counts
from .health import Vitals

Facts = Callable[[Deployment], Mapping[str, Any]]
"""What LiteLLM's price map says about a deployment's model; empty where it has no entry."""

UNKNOWN_PRICE = 5.0
"""LiteLLM ranks a model whose price nobody knows as if a token cost 5 dollars."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A deployment that a call may go to.

    alone: whether it is the only one of its group.
    price: dollars for an input and an output token together.
    places: calls that it takes at once; None for any number.
    rpm, tpm: requests and tokens that it takes a minute; None for any number.
    context: input tokens that its model takes; None where that is unknown.
    lacks: capabilities that its model is known not to have ("supports_vision").
    client_patterns: what `tag_regex` finds clients by, in their `User-Agent` headers.
    tag_filtering: what the group says about it; None where it says nothing.
    fails_open: whether its group disregards tags that would leave nobody.
    kept_latencies: samples of its latencies that are kept.
    cooldown_time: seconds; None for the general one.
    allowed_fails, allowed_by_kind: failures a minute that don't cool it, None for the general rule.
    """

    deployment: Deployment
    vitals: Vitals
    alone: bool
    price: float
    places: int | None
    rpm: int | None
    tpm: int | None
    context: int | None
    lacks: frozenset[str]
    tags: frozenset[str]
    client_patterns: tuple[re.Pattern[str], ...]
    tag_filtering: bool | None
    fails_open: bool
    kept_latencies: int
    cooldown_time: float | None
    allowed_fails: int | None
    allowed_by_kind: Counts

    @property
    def free(self) -> bool:
        """Whether it can take another call now."""
        taken = self.vitals.in_flight + self.vitals.promised
        return self.places is None or taken < self.places


def candidate(
    deployment: Deployment,
    vitals: Vitals,
    *,
    alone: bool,
    facts: Mapping[str, Any],
    default_places: int | None,
    informed: bool = False,
    kept_latencies: int = 0,
) -> Candidate:
    """facts: what is known about its model, `model_info` included.

    informed: whether `rpm` and `tpm` of `model_info` are limits, where nothing else gives any.
    """
    params, info = deployment.params, deployment.info
    limits = info if informed else {}
    return Candidate(
        deployment=deployment,
        vitals=vitals,
        alone=alone,
        price=sum(
            _first(UNKNOWN_PRICE, params.get(name), facts.get(name))
            for name in ("input_cost_per_token", "output_cost_per_token")
        ),
        places=_places(deployment, default_places),
        rpm=_first(None, deployment.rpm, limits.get("rpm")),
        tpm=_first(None, deployment.tpm, limits.get("tpm")),
        context=facts.get("max_input_tokens"),
        lacks=frozenset(name for name, value in facts.items() if value is False),
        tags=frozenset(deployment.tags),
        client_patterns=tuple(map(re.compile, params.get("tag_regex") or ())),
        tag_filtering=info.get("enable_tag_filtering"),
        fails_open=bool(info.get("allow_fail_open")),
        kept_latencies=kept_latencies,
        cooldown_time=_first(None, info.get("cooldown_time"), params.get("cooldown_time")),
        allowed_fails=info.get("allowed_fails"),
        allowed_by_kind=counts(as_mapping(info.get("allowed_fails_policy")), ALLOWED_FAILS),
    )


def _first(default: Any, *values: Any) -> Any:
    return next((value for value in values if value is not None), default)


def _places(deployment: Deployment, default: int | None) -> int | None:
    """LiteLLM's rule: a limit a minute also limits what may run at once.

    1,000 tokens a minute allow 6 requests a minute, as Azure counts:
    https://learn.microsoft.com/azure/ai-services/openai/quotas-limits
    """
    if deployment.max_parallel_requests is not None:
        return deployment.max_parallel_requests or None
    if deployment.rpm is not None:
        return deployment.rpm or None
    if deployment.tpm is not None:
        return max(1, int(deployment.tpm / 1000 * 6))
    return default or None
