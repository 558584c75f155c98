"""The headers in which an answer says what happened: ours, and LiteLLM's where its clients look."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from ..call import Attempt, Call, Decision, Deployment
from ..ledger.prices import NANO_PER_DOLLAR, Prices
from ..live.snapshot import Snapshot
from ..providers.catalog import PROVIDERS
from .http import EncodedHeaders

_MOST_KEPT = 10_000


class AnswerHeaders:
    """Makes an answer's headers; what depends on the deployment alone is made once."""

    def __init__(self) -> None:
        self._fixed: dict[tuple[Deployment, str], tuple[EncodedHeaders, Prices | None]] = {}
        self._snapshot: Snapshot | None = None

    def of(self, call: Call, snapshot: Snapshot) -> EncodedHeaders:
        """Headers of a call that was answered."""
        attempts = call.attempts
        # A workflow's stream may begin before it is known who answers.
        fixed = self._known(attempts[-1], snapshot)[0] if attempts else []
        now = time.monotonic()
        waited = call.waited
        if not call.inner:
            for tried in attempts:
                waited += (tried.answered or tried.ended or now) - tried.started
        took = now - call.started
        headers = [
            *fixed,
            *_counts(call),
            (b"x-litellm-response-duration-ms", b"%.2f" % (took * 1000)),
            (b"x-litellm-overhead-duration-ms", b"%.2f" % ((took - waited) * 1000)),
        ]
        if call.decision is not None:
            headers += _decided(call.decision)
        if call.cache_key or call.cached:
            headers += _cached(call)
        if call.inner:
            headers += _made_of(call)
        if not call.stream:
            cost = self._cost(call, snapshot)
            if cost is not None:
                dollars = b"%.9f" % (cost / NANO_PER_DOLLAR)
                headers.append((b"x-trunkline-cost", dollars))
                headers.append((b"x-litellm-response-cost", dollars))
        return headers

    def _known(self, attempt: Attempt, snapshot: Snapshot) -> tuple[EncodedHeaders, Prices | None]:
        if snapshot is not self._snapshot:
            self._fixed.clear()
            self._snapshot = snapshot
        key = (attempt.deployment, attempt.lane)
        known = self._fixed.get(key)
        if known is None:
            known = self._fixed[key] = self._learn(attempt.deployment, attempt.lane, snapshot)
        return known

    def _cost(self, call: Call, snapshot: Snapshot) -> int | None:
        """Nano-dollars of all that was called; None where a price or the usage isn't known."""
        if call.cached:
            return 0
        if not call.inner:
            prices = self._known(call.attempts[-1], snapshot)[1]
            if call.charge is not None and call.charge.settled:
                charged: int | None = call.charge.cost
                return charged
            return prices.charge(call) if prices else None
        costs = [self._cost(each, snapshot) for each in call.inner if each.usage.total_tokens]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if known and len(known) == len(costs) else None

    def of_error(self, call_id: str, call: Call | None) -> EncodedHeaders:
        """Headers of a call that failed."""
        if call is not None and call.attempts:
            return _counts(call)
        return _ids(call_id)

    def _learn(
        self, deployment: Deployment, lane: str, snapshot: Snapshot
    ) -> tuple[EncodedHeaders, Prices | None]:
        if len(self._fixed) >= _MOST_KEPT:
            self._fixed.clear()
        identity = _plain(deployment.id)
        fixed = [
            (b"x-trunkline-lane", _plain(lane)),
            (b"x-trunkline-model", _plain(deployment.model)),
            (b"x-trunkline-deployment", identity),
            (b"x-litellm-model-id", identity),
            (b"x-litellm-model-group", _plain(deployment.group)),
            (b"x-litellm-model-api-base", _plain(api_base(deployment))),
        ]
        return fixed, Prices.of(deployment, snapshot.facts_of(deployment))


def api_base(deployment: Deployment) -> str:
    """Where a deployment's provider is, without user, password or query."""
    provider = PROVIDERS.get(deployment.provider)
    configured = deployment.params.get("api_base") or deployment.params.get("base_url")
    base = str(configured or (provider.base if provider else ""))
    parts = urlsplit(base)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _decided(decision: Decision) -> EncodedHeaders:
    """What ranked the models of a call; where nothing could, the reason."""
    headers = [
        (b"x-trunkline-strategy", _plain(decision.strategy)),
        (b"x-trunkline-bundle", _plain(decision.bundle)),
    ]
    if decision.missing:
        headers.append((b"x-trunkline-decision-missing", _plain(decision.missing)))
    return headers


def _cached(call: Call) -> EncodedHeaders:
    """Whether the answer was kept before, and under which key it is."""
    headers = [(b"x-trunkline-cache", call.cached.encode() or b"miss")]
    if call.cache_key:
        headers.append((b"x-litellm-cache-key", _plain(call.cache_key)))
    return headers


def _made_of(call: Call) -> EncodedHeaders:
    """Which models took part in an answer that a workflow made, and in how many calls."""
    labels = dict.fromkeys(each.part.label for each in call.inner if each.part and each.part.label)
    return [
        (b"x-trunkline-models", _plain(",".join(labels))),
        (b"x-trunkline-calls", b"%d" % len(call.inner)),
    ]


def _ids(call_id: str) -> EncodedHeaders:
    identity = call_id.encode()
    return [(b"x-trunkline-call-id", identity), (b"x-litellm-call-id", identity)]


def _counts(call: Call) -> EncodedHeaders:
    retries = b"%d" % max(0, len(call.attempts) - 1 - call.fallbacks)
    fallbacks = b"%d" % call.fallbacks
    return [
        *_ids(call.id),
        (b"x-trunkline-retries", retries),
        (b"x-trunkline-fallbacks", fallbacks),
        (b"x-litellm-attempted-retries", retries),
        (b"x-litellm-attempted-fallbacks", fallbacks),
    ]


def _plain(text: str) -> bytes:
    """Text that may stand in a header."""
    return "".join(char if " " <= char <= "~" else "?" for char in text).encode()
