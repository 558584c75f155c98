"""The direct lane: requests to providers that speak the client's own wire.

The body goes on as it came, but for the model's name; the answer comes back byte for byte. Only the
usage is read from it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from .. import json_text
from ..call import Answer, Call, Deployment, Operation, Timeouts
from ..errors import ProviderError
from . import failures
from .catalog import PROVIDERS, Provider
from .sse import FrameBuffer, StreamWatcher
from .usage import LARGE_ANSWER, read_answer, read_object

CONNECT_SECONDS = 10.0
MOST_TARGETS = 10_000

FORWARDED_REQUEST_HEADERS = (
    "openai-beta",
    "anthropic-beta",
    "anthropic-version",
    "idempotency-key",
)
FORWARDED_HEADERS = frozenset(
    {
        b"content-type",
        b"content-disposition",
        b"x-request-id",
        b"request-id",
        b"apim-request-id",
        b"openai-organization",
        b"openai-processing-ms",
        b"openai-version",
        b"openai-model",
        b"retry-after",
    }
)
FORWARDED_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-")

CONSUMED = frozenset(
    [
        "model",
        "api_key",
        "api_base",
        "base_url",
        "api_version",
        "organization",
        "timeout",
        "stream_timeout",
        "max_retries",
        "num_retries",
        "rpm",
        "tpm",
        "weight",
        "order",
        "tags",
        "max_parallel_requests",
        "cooldown_time",
        "custom_llm_provider",
        "lane",
        "extra_headers",
        "headers",
        "drop_params",
        "additional_drop_params",
        "use_in_pass_through",
        "use_litellm_proxy",
        "merge_reasoning_content_in_choices",
        "litellm_credential_name",
        "region_name",
    ]
)
"""Parameters of a deployment that never stand in a request's body."""

LANE_DECIDING = frozenset({"additional_drop_params", "merge_reasoning_content_in_choices"})
"""Parameters that ask for LiteLLM's own handling."""

DEFAULTS = frozenset(
    [
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "presence_penalty",
        "frequency_penalty",
        "stop",
        "seed",
        "n",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "response_format",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "user",
        "reasoning_effort",
        "service_tier",
        "store",
        "extra_body",
        "dimensions",
        "encoding_format",
    ]
)
"""Parameters of a deployment that a request's body takes where it has none of its own."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the calls of one operation go for one deployment; made once a snapshot."""

    provider: Provider
    url: URL | None
    template: str
    headers: CIMultiDict[str]
    defaults: Mapping[str, Any]
    model: str
    rewritten: frozenset[str]
    secrets: tuple[str, ...]


def target_of(
    deployment: Deployment, operation: Operation, environ: Mapping[str, str] = os.environ
) -> Target | None:
    """The direct way for an operation to a deployment; None when it must take the litellm lane."""
    provider = PROVIDERS.get(deployment.provider)
    params = deployment.params
    lane = params.get("lane") or deployment.info.get("lane") or "auto"
    if (
        provider is None
        or lane == "litellm"
        or operation.wire is not provider.wire
        or operation.name not in provider.operations
        or not params.keys() <= CONSUMED | DEFAULTS | _price_names(params)
        or not LANE_DECIDING.isdisjoint(params)
    ):
        return None
    base = _first(params.get("api_base"), params.get("base_url"), *_environ(provider.base_env))
    base = base or provider.base
    key = _first(params.get("api_key"), *_environ(provider.key_env))
    if not base or (not key and provider.base):
        return None
    template = _template(provider, deployment, operation, base.rstrip("/"))
    return Target(
        provider=provider,
        url=None if "{" in template else URL(template, encoded=True),
        template=template,
        headers=_headers(provider, params, key),
        defaults=_defaults(params),
        model=deployment.upstream_model,
        rewritten=_rewritten(provider, deployment),
        secrets=(key,) if key else (),
    )


class DirectLane:
    """Sends calls straight to the provider; made anew for each snapshot."""

    name = "direct"

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._targets: dict[tuple[Deployment, str], Target | None] = {}

    def takes(self, call: Call, deployment: Deployment) -> bool:
        """Whether a call can go straight to a deployment."""
        target = self._target(deployment, call.operation)
        return target is not None and target.rewritten.isdisjoint(call.body)

    async def send(self, call: Call, deployment: Deployment, timeouts: Timeouts) -> Answer:
        """The provider's answer. Raises ProviderError."""
        target = self._target(deployment, call.operation)
        assert target is not None
        hide_usage = False
        body = call.body
        if call.operation.model == "body":
            body = {**target.defaults, **body, "model": target.model}
        if call.stream and target.provider.stream_usage and call.operation.usage == "openai":
            options = body.get("stream_options") or {}
            hide_usage = not options.get("include_usage")
            body["stream_options"] = {**options, "include_usage": True}
        try:
            response = await self._request(call, target, json_text.dumps(body), timeouts)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _failure(error, timeouts.total) from error
        try:
            if response.status >= 300:
                raise await self._refusal(response, call, deployment, target)
            headers = _forwarded(response)
            if call.stream and _is_stream(response):
                watcher = StreamWatcher(
                    call.operation.usage,
                    call.usage,
                    hide_usage=hide_usage,
                    classify=lambda payload: failures.classify(
                        response.status,
                        payload,
                        response.headers,
                        call.operation.wire,
                        deployment.provider,
                        target.secrets,
                    ),
                )
                chunks = _stream(response, watcher, timeouts)
                return Answer(response.status, headers, chunks=chunks)
            content = await response.read()
            _read(call, response, content)
            return Answer(response.status, headers, content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            response.close()
            raise _failure(error, timeouts.total) from error
        except BaseException:
            response.close()
            raise

    async def _request(
        self, call: Call, target: Target, body: bytes, timeouts: Timeouts
    ) -> aiohttp.ClientResponse:
        headers = target.headers
        passed = [(n, call.headers[n]) for n in FORWARDED_REQUEST_HEADERS if n in call.headers]
        if passed:
            headers = headers.copy()
            headers.update(passed)
        return await self._session.post(
            target.url or _url(target.template, call),
            data=body,
            headers=headers,
            timeout=_client_timeout(timeouts, call.stream),
            allow_redirects=False,
        )

    async def _refusal(
        self,
        response: aiohttp.ClientResponse,
        call: Call,
        deployment: Deployment,
        target: Target,
    ) -> ProviderError:
        body = await response.read()
        wire = call.operation.wire
        return failures.classify(
            response.status, body, response.headers, wire, deployment.provider, target.secrets
        )

    def _target(self, deployment: Deployment, operation: Operation) -> Target | None:
        # Not by id: the models that a wildcard matches share one.
        key = (deployment, operation.name)
        try:
            return self._targets[key]
        except KeyError:
            if len(self._targets) >= MOST_TARGETS:
                self._targets.clear()
            target = self._targets[key] = target_of(deployment, operation)
            return target


async def _stream(
    response: aiohttp.ClientResponse, watcher: StreamWatcher, timeouts: Timeouts
) -> AsyncIterator[bytes]:
    frames = FrameBuffer()
    see = watcher.see
    try:
        async for data in response.content.iter_any():
            whole = frames.feed(data)
            if whole and (whole := see(whole)):
                yield whole
            if watcher.failure:
                raise watcher.failure
        if (rest := frames.flush()) and (rest := see(rest)):
            yield rest
        if closing := watcher.closing():
            yield closing
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _failure(error, timeouts.idle) from error
    finally:
        # Closed unless it was read to its end: this is what cancels the provider's request.
        response.release() if response.content.at_eof() else response.close()


def _read(call: Call, response: aiohttp.ClientResponse, content: bytes) -> None:
    """Learns the usage, and that a JSON answer is whole."""
    if "json" not in response.headers.get("content-type", "json"):
        return
    if len(content) > LARGE_ANSWER:
        if content.rstrip()[-1:] not in (b"}", b"]"):
            raise failures.malformed("the answer is cut off")
        read_answer(call.operation.usage, content, call.usage)
        return
    try:
        read_object(call.operation.usage, json_text.loads(content), call.usage)
    except ValueError:
        raise failures.malformed("the answer is not JSON") from None


def _failure(error: Exception, seconds: float) -> ProviderError:
    if isinstance(error, TimeoutError):
        return failures.timed_out(seconds)
    if isinstance(error, aiohttp.ClientPayloadError):
        return failures.cut("the connection broke before the answer was complete")
    return failures.unreachable(error)


def _client_timeout(timeouts: Timeouts, stream: bool) -> aiohttp.ClientTimeout:
    connect = min(CONNECT_SECONDS, timeouts.total)
    if stream:
        return aiohttp.ClientTimeout(sock_connect=connect, sock_read=timeouts.idle)
    return aiohttp.ClientTimeout(total=timeouts.total, sock_connect=connect)


def _template(provider: Provider, deployment: Deployment, operation: Operation, base: str) -> str:
    if deployment.provider == "azure":
        version = deployment.params.get("api_version") or "2024-02-01"
        path = f"/openai/deployments/{quote(deployment.upstream_model)}{operation.upstream}"
        return f"{base}{path}?api-version={version}"
    path = operation.upstream.replace("{model}", quote(deployment.upstream_model))
    return base + path


def _url(template: str, call: Call) -> URL:
    return URL(template.format_map({n: quote(v) for n, v in call.path.items()}), encoded=True)


def _headers(provider: Provider, params: Mapping[str, Any], key: str | None) -> CIMultiDict[str]:
    headers = CIMultiDict(provider.headers)
    headers["content-type"] = "application/json"
    if key:
        headers[provider.auth] = f"Bearer {key}" if provider.auth == "authorization" else key
    if params.get("organization"):
        headers["openai-organization"] = str(params["organization"])
    for extra in (params.get("headers"), params.get("extra_headers")):
        headers.update({str(k): str(v) for k, v in (extra or {}).items()})
    return headers


def _defaults(params: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {name: value for name, value in params.items() if name in DEFAULTS}
    defaults |= defaults.pop("extra_body", None) or {}
    return defaults


def _price_names(params: Mapping[str, Any]) -> set[str]:
    return {name for name in params if "_cost" in name}


def _rewritten(provider: Provider, deployment: Deployment) -> frozenset[str]:
    if provider.reasoning and provider.reasoning.search(deployment.upstream_model):
        return provider.rewritten | provider.reasoning_rewritten
    return provider.rewritten


def _environ(names: tuple[str, ...]) -> list[str | None]:
    return [os.environ.get(name) for name in names]


def _first(*values: Any) -> str | None:
    return next((str(value) for value in values if value), None)


def _is_stream(response: aiohttp.ClientResponse) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


def _forwarded(response: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    headers = []
    for name, value in response.raw_headers:
        lower = name.lower()
        if lower in FORWARDED_HEADERS or lower.startswith(FORWARDED_PREFIXES):
            headers.append((lower.decode("latin-1"), value.decode("latin-1")))
    return headers
