"""When failures make a deployment pause, and for how long: LiteLLM's rules."""

from __future__ import annotations

from dataclasses import field

from ..call import Call
from ..dataclass import dataclass
from ..errors import ErrorKind, ProviderError
from ..settings import Settings
from .candidate import Candidate
from .configured import as_mapping, configured
from .error_classes import ALLOWED_FAILS, Counts, counts

DEFAULT_SECONDS = 5.0
LONGEST_SECONDS = 3600.0

DEFAULT_ALLOWED_FAILS = 3
FAILED_SHARE = 0.5
ENOUGH_CALLS = 5
MANY_CALLS = 1000

_BLAMELESS = frozenset(
    {
        ErrorKind.BAD_REQUEST,
        ErrorKind.CONTEXT_WINDOW,
        ErrorKind.CONTENT_POLICY,
        ErrorKind.PERMISSION,
    }
)
"""Kinds that say something of the request, not of the deployment."""

_LASTING = frozenset({ErrorKind.AUTHENTICATION, ErrorKind.NOT_FOUND})
"""Kinds that the deployment's next call would share."""

PAYMENT_REQUIRED = 402


@dataclass(frozen=True, slots=True)
class CooldownRules:
    """What the configuration decides about cooldowns.

    seconds: of a cooldown for which neither the deployment nor the provider names a time.
    allowed_fails: failures a minute that don't cool a deployment; None leaves it to the share of
        calls that fail.
    allowed_by_kind: the same for kinds that `allowed_fails_policy` names.
    """

    seconds: float = DEFAULT_SECONDS
    allowed_fails: int | None = None
    allowed_by_kind: Counts = field(default_factory=dict)
    disabled: bool = False

    @classmethod
    def from_settings(cls, settings: Settings) -> CooldownRules:
        router = settings.router_settings
        return cls(
            seconds=configured(settings, "cooldown_time", DEFAULT_SECONDS),
            # LiteLLM ignores a value that equals its default, and the one in litellm_settings.
            allowed_fails=configured(settings, "allowed_fails"),
            allowed_by_kind=counts(as_mapping(router.allowed_fails_policy), ALLOWED_FAILS),
            disabled=router.disable_cooldowns,
        )

    def blames(
        self, candidate: Candidate, call: Call, error: ProviderError, seconds: float
    ) -> bool:
        """Whether a failure after so many seconds counts against the deployment.

        A client that allows little time, or asks for an object that isn't there, could otherwise
        take deployments from everyone.
        """
        if error.kind in candidate.allowed_by_kind:
            return True
        if error.kind is ErrorKind.TIMEOUT:
            return call.timeout is None or seconds < call.timeout
        if error.kind is ErrorKind.NOT_FOUND:
            return not call.operation.stateful
        return error.kind not in _BLAMELESS or error.status == PAYMENT_REQUIRED

    def cools(self, candidate: Candidate, error: ProviderError) -> float | None:
        """Seconds for which the deployment pauses after the failure, which was counted; or None."""
        if self.disabled or not self._too_much(candidate, error):
            return None
        asked = (candidate.cooldown_time, error.retry_after, self.seconds)
        seconds = next(time for time in asked if time is not None and time >= 0)
        return min(seconds, LONGEST_SECONDS) or None

    def _too_much(self, candidate: Candidate, error: ProviderError) -> bool:
        vitals, kind = candidate.vitals, error.kind
        if kind in candidate.allowed_by_kind:
            return vitals.failed[kind] > candidate.allowed_by_kind[kind]
        if candidate.allowed_fails is not None:
            return not candidate.alone and vitals.failures > candidate.allowed_fails
        if self.allowed_fails is None and not self.allowed_by_kind:
            return self._by_share(candidate, error)
        if (
            candidate.alone
            and error.status == PAYMENT_REQUIRED
            and kind not in self.allowed_by_kind
        ):
            return False
        allowed = DEFAULT_ALLOWED_FAILS if self.allowed_fails is None else self.allowed_fails
        return vitals.failures > self.allowed_by_kind.get(kind, allowed)

    def _by_share(self, candidate: Candidate, error: ProviderError) -> bool:
        vitals = candidate.vitals
        calls = vitals.successes + vitals.failures
        if vitals.failures == calls >= MANY_CALLS:
            return True
        # Cooling the only deployment would hide the provider's own error behind "none available".
        if candidate.alone:
            return False
        if error.kind is ErrorKind.RATE_LIMIT or error.kind in _LASTING:
            return True
        if error.status == PAYMENT_REQUIRED:
            return True
        return calls >= ENOUGH_CALLS and vitals.failures / calls > FAILED_SHARE
