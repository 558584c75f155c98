"""What operators count of failures, retries and fallbacks, for Prometheus.

    trunkline_retries_total                        attempts that were made anew in the same group
    trunkline_reloads_total                        reloads, and what they came to instead
    trunkline_routing_decisions_total              decisions of a learned strategy, by outcome
    trunkline_workflow_steps_total                 calls that workflows made, by outcome
    trunkline_cache_failures_total                 times that the store of answers failed
    trunkline_redis_failures_total                 times that the counters' Redis was lost
    trunkline_redis_up                             whether it can be reached; absent without one
    litellm_cache_hits_metric_total                calls that a kept answer was given to
    litellm_cache_misses_metric_total              calls that a provider answered in spite of it
    litellm_cached_tokens_metric_total             tokens of kept answers
    trunkline_refused_total                        calls that a limit or a budget didn't let through
    litellm_spend_metric_total                     dollars, by who spent them on what
    litellm_total_tokens_metric_total              tokens, by the same
    litellm_requests_metric_total                  calls that were made, by the same
    litellm_deployment_failure_responses_total     attempts that failed
    litellm_deployment_successful_fallbacks_total  groups that answered in another's place
    litellm_deployment_failed_fallbacks_total      groups that could not

Where LiteLLM has the metric, its name and labels are LiteLLM's, so that dashboards made for it show
this gateway too. No label holds what a client writes: models that a wildcard matches are counted
under the wildcard.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from ..call import Decision, Deployment
from ..errors import ErrorKind, GatewayError, ProviderError
from ..settings.schema import LitellmSettings

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client keeps what several processes count together; read at its import."""

_CAUSE = ("exception_status", "exception_class")
_MODEL = ("requested_model", "litellm_model_name", "model_id", "api_provider")
_FALLBACK = ("requested_model", "fallback_model")
_UNKNOWN = "unknown"

_CLASSES = {
    ErrorKind.BAD_REQUEST: "BadRequestError",
    ErrorKind.CONTEXT_WINDOW: "ContextWindowExceededError",
    ErrorKind.CONTENT_POLICY: "ContentPolicyViolationError",
    ErrorKind.AUTHENTICATION: "AuthenticationError",
    ErrorKind.PERMISSION: "PermissionDeniedError",
    ErrorKind.NOT_FOUND: "NotFoundError",
    ErrorKind.TIMEOUT: "Timeout",
    ErrorKind.RATE_LIMIT: "RateLimitError",
    ErrorKind.INTERNAL: "InternalServerError",
    ErrorKind.UNAVAILABLE: "ServiceUnavailableError",
    ErrorKind.CONNECTION: "APIConnectionError",
    ErrorKind.MALFORMED: "APIResponseValidationError",
}
"""LiteLLM's exception for each kind of failure; the provider's name has a label of its own."""

Spender = tuple[str, str, str, str]
"""Who is charged: the key's hash, its alias, its user and its team; empty where nobody."""

NANO = 10**9

Exposition = tuple[str, bytes]
"""A content type and a body."""


class Metrics:
    """Counts nothing: nobody asked for it."""

    def failed(self, deployment: Deployment, error: ProviderError) -> None:
        """An attempt on a deployment failed."""

    def retried(self, deployment: Deployment, error: ProviderError) -> None:
        """A call is tried again in its group, after an attempt on a deployment failed."""

    def fell_back(
        self,
        asked: Sequence[Deployment],
        other: Sequence[Deployment],
        error: GatewayError,
        *,
        succeeded: bool,
    ) -> None:
        """A call went from the group that it asked for to another.

        asked, other: the deployments of the groups. error: what the group asked for failed with.
        """

    def decided(self, decision: Decision) -> None:
        """A learned strategy ranked the models of a call, or could not."""

    def stepped(self, strategy: str, step: str, outcome: str) -> None:
        """A workflow made a call, or a bound kept it from it."""

    def reloaded(self, watched: str, outcome: str) -> None:
        """What is watched changed, or something stood in the way; see `live/status.py`."""

    def cache_hit(self, group: str, tokens: int) -> None:
        """A kept answer was given again. group: that had given it. tokens: it had cost so many."""

    def cache_missed(self, group: str) -> None:
        """A group answered what could have been kept."""

    def cache_failed(self, store: str) -> None:
        """The store of answers could not be reached."""

    def spent(self, deployment: Deployment, spender: Spender, cost: int, tokens: int) -> None:
        """A call was made. spender: who is charged. cost: nano-dollars; 0 where it isn't known."""

    def refused(self, kind: str, level: str) -> None:
        """A limit of some kind, of whoever is on that level, had no room for a call."""

    def redis_failed(self) -> None:
        """The Redis in which calls are counted could be reached, and can't any more."""

    def redis_up(self, up: bool) -> None:
        """Whether that Redis can be reached."""

    def exposition(self, accept: str) -> Exposition | None:
        """All counts in the format that a scraper accepts; None where there are none."""
        return None


class Switched(Metrics):
    """Counts as another one does, for whoever holds it longer than a configuration lasts."""

    def __init__(self, settings: LitellmSettings) -> None:
        self._counting: PrometheusMetrics | None = None
        self.turn_to(settings)

    def turn_to(self, settings: LitellmSettings) -> None:
        """Counts what the configuration's callbacks ask for, from now on."""
        counts = Metrics()
        if wanted(settings):
            counts = self._counting = self._counting or PrometheusMetrics()
        for name in _COUNTED:
            setattr(self, name, getattr(counts, name))


_COUNTED = [name for name in vars(Metrics) if not name.startswith("_")]


class PrometheusMetrics(Metrics):
    """Counts with prometheus_client, over all processes that share its folder, if any do."""

    def __init__(self) -> None:
        self._client: Any = import_module("prometheus_client")
        self._registry = self._client.CollectorRegistry()
        self._shared = SHARED in os.environ
        self._retries = self._counter("trunkline_retries", "Attempts made anew", *_MODEL, *_CAUSE)
        self._failures = self._counter(
            "litellm_deployment_failure_responses", "Attempts that failed", *_MODEL, *_CAUSE
        )
        self._decisions = self._counter(
            "trunkline_routing_decisions",
            "Decisions of the learned strategy",
            *("strategy", "model", "outcome"),
        )
        self._steps = self._counter(
            "trunkline_workflow_steps", "Calls that workflows made", "strategy", "step", "outcome"
        )
        self._reloads = self._counter(
            "trunkline_reloads", "Reloads, and what they came to instead", "watched", "outcome"
        )
        self._hits = self._counter(
            "litellm_cache_hits_metric", "Calls that a kept answer was given to", "requested_model"
        )
        self._misses = self._counter(
            "litellm_cache_misses_metric",
            "Calls that a provider answered in spite of the cache",
            "requested_model",
        )
        self._kept_tokens = self._counter(
            "litellm_cached_tokens_metric", "Tokens of kept answers", "requested_model"
        )
        self._cache_failures = self._counter(
            "trunkline_cache_failures", "Times that the store of answers failed", "store"
        )
        self._refusals = self._counter(
            "trunkline_refused", "Calls that a limit had no room for", "limit", "level"
        )
        charged = (*_MODEL[:2], "hashed_api_key", "api_key_alias", "user", "team")
        self._spend = self._counter("litellm_spend_metric", "Dollars that were spent", *charged)
        self._tokens = self._counter("litellm_total_tokens_metric", "Tokens", *charged)
        self._requests = self._counter("litellm_requests_metric", "Calls that were made", *charged)
        self._redis_failures = self._counter(
            "trunkline_redis_failures", "Times that the Redis in which calls are counted was lost"
        )
        self._redis_up: Any = None
        self._fallbacks = {
            True: self._counter(
                "litellm_deployment_successful_fallbacks",
                "Groups that answered in another's place",
                *_FALLBACK,
                *_CAUSE,
            ),
            False: self._counter(
                "litellm_deployment_failed_fallbacks",
                "Groups that failed in another's place",
                *_FALLBACK,
                *_CAUSE,
            ),
        }

    def _counter(self, name: str, told: str, *labels: str) -> Any:
        return self._client.Counter(name, told, labels, registry=self._registry)

    def failed(self, deployment: Deployment, error: ProviderError) -> None:
        self._failures.labels(*_model(deployment), *_cause(error)).inc()

    def retried(self, deployment: Deployment, error: ProviderError) -> None:
        self._retries.labels(*_model(deployment), *_cause(error)).inc()

    def fell_back(
        self,
        asked: Sequence[Deployment],
        other: Sequence[Deployment],
        error: GatewayError,
        *,
        succeeded: bool,
    ) -> None:
        self._fallbacks[succeeded].labels(_group(asked), _group(other), *_cause(error)).inc()

    def decided(self, decision: Decision) -> None:
        model = decision.ranking[0] if decision.ranking else ""
        outcome = decision.missing or "decided"
        self._decisions.labels(decision.strategy, model, outcome).inc()

    def stepped(self, strategy: str, step: str, outcome: str) -> None:
        self._steps.labels(strategy, step, outcome).inc()

    def reloaded(self, watched: str, outcome: str) -> None:
        self._reloads.labels(watched, outcome).inc()

    def cache_hit(self, group: str, tokens: int) -> None:
        self._hits.labels(group).inc()
        self._kept_tokens.labels(group).inc(tokens)

    def cache_missed(self, group: str) -> None:
        self._misses.labels(group).inc()

    def cache_failed(self, store: str) -> None:
        self._cache_failures.labels(store).inc()

    def redis_failed(self) -> None:
        self._redis_failures.inc()

    def redis_up(self, up: bool) -> None:
        if self._redis_up is None:
            self._redis_up = self._client.Gauge(
                "trunkline_redis_up",
                "Whether the Redis in which calls are counted can be reached",
                registry=self._registry,
                # A process that died in an outage has no say any more.
                multiprocess_mode="mostrecent",
            )
        self._redis_up.set(int(up))

    def spent(self, deployment: Deployment, spender: Spender, cost: int, tokens: int) -> None:
        labels = (*_model(deployment)[:2], *spender)
        self._spend.labels(*labels).inc(cost / NANO)
        self._tokens.labels(*labels).inc(tokens)
        self._requests.labels(*labels).inc()

    def refused(self, kind: str, level: str) -> None:
        self._refusals.labels(kind, level).inc()

    def exposition(self, accept: str) -> Exposition | None:
        registry = self._registry
        if self._shared:
            registry = self._client.CollectorRegistry()
            import_module("prometheus_client.multiprocess").MultiProcessCollector(registry)
        encode: Callable[[Any], bytes]
        encode, kind = import_module("prometheus_client.exposition").choose_encoder(accept)
        return kind, encode(registry)


def build_metrics(settings: LitellmSettings) -> Metrics:
    """What the configuration's callbacks ask for."""
    return PrometheusMetrics() if wanted(settings) else Metrics()


def share() -> tempfile.TemporaryDirectory[str] | None:
    """Lets the processes that will be forked count together; the folder lives as long as they do.

    None where the environment names a folder already.
    """
    if SHARED in os.environ:
        return None
    folder = tempfile.TemporaryDirectory(prefix="trunkline-metrics-")
    os.environ[SHARED] = folder.name
    return folder


def wanted(settings: LitellmSettings) -> bool:
    """Whether Prometheus is among the callbacks."""
    return settings.calls_back("prometheus")


def _model(deployment: Deployment) -> tuple[str, ...]:
    model = deployment.group if "*" in deployment.group else deployment.model
    return deployment.group, model, deployment.id, deployment.provider


def _group(deployments: Sequence[Deployment]) -> str:
    return deployments[0].group if deployments else _UNKNOWN


def _cause(error: GatewayError) -> tuple[str, str]:
    name = _CLASSES[error.kind] if isinstance(error, ProviderError) else type(error).__name__
    return str(error.status), name
