"""What the configuration decides about retries, fallbacks and timeouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import lru_cache
from random import random

from ..call import Call, Deployment, StandIn, Timeouts
from ..dataclass import dataclass
from ..errors import ErrorKind, GatewayError, NoDeployment, NotFound, ProviderError
from ..settings import Settings
from .configured import as_mapping, configured
from .error_classes import RETRIES, Counts, counts
from .fallbacks import EVERY, Fallbacks

DEFAULT_RETRIES = 2
DEFAULT_FALLBACKS = 5
DEFAULT_TIMEOUT = 600.0

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 8.0
LONGEST_RETRY_AFTER = 60.0
JITTER = 0.75

_NEVER_RETRIED = frozenset(
    {
        ErrorKind.BAD_REQUEST,
        ErrorKind.CONTEXT_WINDOW,
        ErrorKind.CONTENT_POLICY,
        ErrorKind.NOT_FOUND,
    }
)
_RETRIED_ELSEWHERE = frozenset({ErrorKind.AUTHENTICATION, ErrorKind.PERMISSION})
"""Kinds that another deployment, with credentials of its own, may not share."""

_NONE = (None, None)

_timeouts = lru_cache(maxsize=1024)(Timeouts)


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """Retries, fallbacks and timeouts of one configuration.

    num_retries: retries of a call within one group where nothing more specific says otherwise.
    retry_after: the least wait before a retry, in seconds.
    max_fallbacks: groups that a call may fall back to.
    timeout, stream_timeout: seconds; None where the configuration names none.
    """

    num_retries: int = DEFAULT_RETRIES
    retry_after: float = 0.0
    max_fallbacks: int = DEFAULT_FALLBACKS
    timeout: float = DEFAULT_TIMEOUT
    stream_timeout: float | None = None
    retry_policy: Counts = field(default_factory=dict)
    group_retry_policies: Mapping[str, Counts] = field(default_factory=dict)
    general: Fallbacks = field(default_factory=Fallbacks)
    context_window: Fallbacks = field(default_factory=Fallbacks)
    content_policy: Fallbacks = field(default_factory=Fallbacks)
    jitter: Callable[[], float] = random

    @classmethod
    def from_settings(
        cls, settings: Settings, jitter: Callable[[], float] = random
    ) -> RoutingPolicy:
        router, shared = settings.router_settings, settings.litellm_settings
        defaults = router.default_litellm_params
        return cls(
            num_retries=configured(settings, "num_retries", DEFAULT_RETRIES),
            retry_after=configured(settings, "retry_after", 0.0),
            max_fallbacks=configured(settings, "max_fallbacks", DEFAULT_FALLBACKS),
            # LiteLLM lets request_timeout limit the attempt even where the router has a timeout.
            timeout=(
                shared.request_timeout or router.timeout or defaults.timeout or DEFAULT_TIMEOUT
            ),
            stream_timeout=router.stream_timeout or defaults.stream_timeout,
            retry_policy=counts(as_mapping(router.retry_policy), RETRIES),
            group_retry_policies={
                group: counts(as_mapping(policy), RETRIES)
                for group, policy in router.model_group_retry_policy.items()
            },
            general=Fallbacks.of(
                configured(settings, "fallbacks", ()), configured(settings, "default_fallbacks", ())
            ),
            context_window=Fallbacks.of(configured(settings, "context_window_fallbacks", ())),
            content_policy=Fallbacks.of(configured(settings, "content_policy_fallbacks", ())),
            jitter=jitter,
        )

    def retries(self, error: ProviderError, call: Call, others: bool = True) -> int:
        """How many retries a call has in all, given the kind of its latest failure.

        others: whether the group has another deployment than the one that failed.

        The order is LiteLLM's: no retries where the request says 0; the policy of the group, else
        the general one, where it names the kind; the request's number; the deployment's; the
        configured one. What fails everywhere alike is retried only where a policy says so.
        """
        if call.num_retries == 0:
            return 0
        named = self._policy(call).get(error.kind)
        if named is not None:
            return named
        if error.kind in _NEVER_RETRIED or (error.kind in _RETRIED_ELSEWHERE and not others):
            return 0
        if call.num_retries is not None:
            return call.num_retries
        own = call.attempts[-1].deployment.params.get("num_retries") if call.attempts else None
        return self.num_retries if own is None else int(own)

    def _policy(self, call: Call) -> Counts:
        """The policy of the group that failed, which after a fallback isn't the one asked for."""
        groups = [each.deployment.group for each in call.attempts[-1:]]
        if not call.fallbacks:
            groups.append(call.group)
        own = (self.group_retry_policies.get(group) for group in groups)
        return next((policy for policy in own if policy is not None), self.retry_policy)

    def delay(self, error: ProviderError, retry: int, others: bool) -> float:
        """Seconds to wait before retry number `retry`, counted from 0.

        others: whether another healthy deployment can take the retry; then only the configured
        `retry_after` is waited. Else what the provider asks for, if that is a minute at most, or
        a backoff that doubles; both with jitter, so that clients don't return all at once.
        """
        if others:
            return self.retry_after
        asked = error.retry_after or 0.0
        if not 0 < asked <= LONGEST_RETRY_AFTER:
            asked = min(FIRST_BACKOFF * 2.0**retry, LONGEST_BACKOFF)
        return max(asked, self.retry_after) + JITTER * self.jitter()

    def fallbacks(
        self,
        group: str,
        error: GatewayError,
        asked: Mapping[str, Sequence[StandIn]] | None = None,
    ) -> tuple[StandIn, ...]:
        """Who is asked instead of `group`, in order.

        A context-window or content-policy error has a list of its own. As in LiteLLM, the general
        one stands in only where that list isn't configured at all.

        asked: what the request says, in the place of the general list; and of all lists, where it
            speaks of every group or forbids fallbacks.
        """
        general = self.general if asked is None else Fallbacks(asked)
        if asked is not None and (not asked or EVERY in asked):
            return general.of_group(group)
        if isinstance(error, ProviderError):
            own = {
                ErrorKind.CONTEXT_WINDOW: self.context_window,
                ErrorKind.CONTENT_POLICY: self.content_policy,
            }.get(error.kind)
            return (own or general).of_group(group)
        if isinstance(error, NoDeployment | NotFound):
            return general.of_group(group)
        return ()

    def timeouts(self, deployment: Deployment, call: Call) -> Timeouts:
        """How long an attempt of the call on the deployment may take."""
        whole, stream = deployment.timeout, deployment.stream_timeout
        if deployment.tiers:
            of_tier = _of_tier(deployment, call)
            whole, stream = of_tier[0] or whole, of_tier[1] or stream
        seconds = call.timeout
        if not seconds and call.stream:
            seconds = stream or self.stream_timeout
        seconds = seconds or whole or self.timeout
        return _timeouts(seconds, seconds)


def _of_tier(deployment: Deployment, call: Call) -> tuple[float | None, float | None]:
    """Time limits for requests of the service tier that the call asks for."""
    tier = call.body.get("service_tier")
    return deployment.tiers.get(tier, _NONE) if isinstance(tier, str) else _NONE
