"""The headers in which an answer says what happened: ours, and LiteLLM's where its clients look."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from .. import __version__
from ..call import Call, Deployment, Headers
from ..ledger.prices import NANO_PER_DOLLAR, Prices
from ..live.snapshot import Snapshot
from ..providers.catalog import PROVIDERS

_MOST_KEPT = 10_000
_SERVER: Headers = [("x-trunkline-version", __version__)]


class AnswerHeaders:
    """Makes an answer's headers; what depends on the deployment alone is made once."""

    def __init__(self) -> None:
        self._fixed: dict[Deployment, tuple[Headers, Prices | None]] = {}

    def of(self, call: Call, snapshot: Snapshot) -> Headers:
        """Headers of a call that was answered."""
        attempt = call.attempts[-1]
        known = self._fixed.get(attempt.deployment)
        if known is None:
            known = self._learn(attempt.deployment, snapshot)
        fixed, prices = known
        now = time.monotonic()
        waited = sum(
            (tried.answered or tried.ended or now) - tried.started for tried in call.attempts
        )
        took = now - call.started
        retries = str(_retries(call))
        fallbacks = str(call.fallbacks)
        headers = [
            ("x-trunkline-call-id", call.id),
            ("x-trunkline-lane", attempt.lane),
            ("x-trunkline-retries", retries),
            ("x-trunkline-fallbacks", fallbacks),
            ("x-litellm-call-id", call.id),
            ("x-litellm-attempted-retries", retries),
            ("x-litellm-attempted-fallbacks", fallbacks),
            ("x-litellm-response-duration-ms", f"{took * 1000:.2f}"),
            ("x-litellm-overhead-duration-ms", f"{(took - waited) * 1000:.2f}"),
            *fixed,
        ]
        if prices is not None and not call.stream:
            cost = prices.cost(call.usage)
            if cost is not None:
                dollars = f"{cost / NANO_PER_DOLLAR:.9f}"
                headers += [("x-trunkline-cost", dollars), ("x-litellm-response-cost", dollars)]
        return headers

    def of_error(self, call_id: str, call: Call | None) -> Headers:
        """Headers of a call that failed."""
        headers = [("x-trunkline-call-id", call_id), ("x-litellm-call-id", call_id), *_SERVER]
        if call is not None and call.attempts:
            retries = str(_retries(call))
            headers += [
                ("x-trunkline-retries", retries),
                ("x-trunkline-fallbacks", str(call.fallbacks)),
                ("x-litellm-attempted-retries", retries),
                ("x-litellm-attempted-fallbacks", str(call.fallbacks)),
            ]
        return headers

    def _learn(self, deployment: Deployment, snapshot: Snapshot) -> tuple[Headers, Prices | None]:
        if len(self._fixed) >= _MOST_KEPT:
            self._fixed.clear()
        identity = _plain(deployment.id)
        fixed = [
            ("x-trunkline-model", _plain(deployment.model)),
            ("x-trunkline-deployment", identity),
            ("x-litellm-model-id", identity),
            ("x-litellm-model-group", _plain(deployment.group)),
            ("x-litellm-model-api-base", _plain(api_base(deployment))),
            *_SERVER,
        ]
        known = (fixed, Prices.from_facts(snapshot.facts_of(deployment)))
        self._fixed[deployment] = known
        return known


def _retries(call: Call) -> int:
    return max(0, len(call.attempts) - 1 - call.fallbacks)


def api_base(deployment: Deployment) -> str:
    """Where a deployment's provider is, without user, password or query."""
    provider = PROVIDERS.get(deployment.provider)
    configured = deployment.params.get("api_base") or deployment.params.get("base_url")
    base = str(configured or (provider.base if provider else ""))
    parts = urlsplit(base)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _plain(text: str) -> str:
    """Text that may stand in a header."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)
