"""Traces of calls, by OpenTelemetry's protocol (OTLP over HTTP): to X-Ray, by the side-car of the
task, or to whatever takes them.

    POST /v1/chat/completions      what the client asked for, and what became of it
    ├── chat gpt-4o                an attempt, which failed
    ├── chat gpt-4o-mini           another one
    └── verify                     a call that a workflow made
        └── chat gpt-4o            its attempt

They are made when a call has ended, so that it waits for none of it, and sent by a thread in the
background, which gives them up rather than keep many. Where a request names no trace, its trace has
the id of the call. Names are those of the semantic conventions for HTTP and generative AI, and our
own; no prompt, no answer and no key is among them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any
from urllib.parse import unquote

from .. import __version__
from ..call import Attempt, Call, Decision, Deployment, Operation
from ..dataclass import dataclass
from ..errors import ProviderError
from ..settings.schema import LitellmSettings

log = logging.getLogger("trunkline.telemetry")

CALLBACK = "otel"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_ENDPOINT")
"""Each of them turns traces on. The last is LiteLLM's."""
FLUSH_SECONDS = 2.0
CLIENT_GONE = 499
LONGEST = 256
"""Characters of what a client asked for."""

HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_HEADERS")
"""What spans are sent with, `name=value,…`. The last is LiteLLM's."""
_OPERATIONS = {
    "chat": "chat",
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}
"""What the conventions call operations. Others have no name there but ours."""
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""What they call providers whom LiteLLM calls otherwise."""


def wanted(settings: LitellmSettings, environ: Mapping[str, str]) -> bool:
    """Whether traces are sent: where the environment says where to, or the callbacks name them."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    off = off or environ.get("OTEL_TRACES_EXPORTER") == "none"
    named = settings.calls_back(CALLBACK) or any(map(environ.get, ENDPOINTS))
    return named and not off


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a request for an inference operation.

    started: of the monotonic clock. headers: the client's. status: what the client was answered.
    call: None where the request was refused before it was one. failure: the kind of error that it
    ended with; empty where it didn't.
    """

    operation: Operation
    call_id: str
    started: float
    headers: Mapping[str, str]
    status: int
    call: Call | None
    failure: str


def begun(settings: LitellmSettings, environ: Mapping[str, str]) -> Traces | None:
    """Where calls are told of; None where nobody asked for it, or where it can't be done."""
    if not wanted(settings, environ):
        return None
    try:
        return Traces(environ)
    except Exception:  # of whatever is configured wrongly: calls are answered all the same
        log.exception("no traces are sent")
        return None


def secrets(environ: Mapping[str, str]) -> set[str]:
    """The values of the headers that spans are sent with."""
    return {value for name in HEADERS for value in _pairs(environ.get(name, "")).values()} - {""}


class Traces:
    """Sends spans, for one process; made after the fork. Configured by OpenTelemetry's variables:
    `OTEL_EXPORTER_OTLP_…`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`,
    `OTEL_BSP_…`.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        sdk = import_module("opentelemetry.sdk.trace")
        resources = import_module("opentelemetry.sdk.resources")
        exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        batches = import_module("opentelemetry.sdk.trace.export")
        generators = import_module("opentelemetry.sdk.trace.id_generator")

        class Ids(generators.RandomIdGenerator):  # type: ignore[misc, name-defined]
            """trace: of the next span that belongs to none."""

            trace = 0

            def generate_trace_id(self) -> int:
                return self.trace

        own = {"service.name": "trunkline", "service.version": __version__}
        for name in _named(environ) & own.keys():
            del own[name]
        self._ids = Ids()
        self._provider = sdk.TracerProvider(
            resource=resources.Resource.create(own), id_generator=self._ids, shutdown_on_exit=False
        )
        self._exporter = exporter.OTLPSpanExporter(**_as_litellm_has_it(environ))
        self._provider.add_span_processor(batches.BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("trunkline", __version__)
        api = self._api = import_module("opentelemetry.trace")
        self._kinds, self._failed = api.SpanKind, api.Status(api.StatusCode.ERROR)
        # Where a request has both, the last of them counts.
        self._formats = (
            import_module("opentelemetry.propagators.aws").AwsXRayPropagator(),
            import_module(
                "opentelemetry.trace.propagation.tracecontext"
            ).TraceContextTextMapPropagator(),
        )

    def trace_of(self, call_id: str, headers: Mapping[str, str]) -> str:
        """The trace that a call will belong to: 32 hexadecimal digits."""
        known = self._api.get_current_span(self._parent(headers)).get_span_context()
        return format(known.trace_id, "032x") if known.is_valid else call_id

    def ended(self, told: Ended) -> None:
        """Makes the spans of a call that has just ended. Raises nothing."""
        try:
            self._spans(told)
        except Exception:
            log.exception("a trace could not be made", extra={"call_id": told.call_id})

    async def flush(self) -> bool:
        """Returns when what was told has been sent; whether it was, in the time that there is."""
        sending = asyncio.ensure_future(asyncio.to_thread(self._provider.force_flush))
        done, _ = await asyncio.wait((sending,), timeout=FLUSH_SECONDS)
        return bool(done)

    async def close(self) -> None:
        if not await self.flush():
            self._exporter.shutdown()  # who sends now would try again and again
        await asyncio.to_thread(self._provider.shutdown)

    def _spans(self, told: Ended) -> None:
        now = time.monotonic()
        clock = _Clock(time.time_ns(), now)
        operation, call, failure = told.operation, told.call, told.failure
        self._ids.trace = int(told.call_id, 16)
        attributes: dict[str, Any] = {
            "http.request.method": operation.method,
            "http.route": operation.paths[0],
            "http.response.status_code": told.status,
            "trunkline.call_id": told.call_id,
            "gen_ai.operation.name": _name(operation),
        }
        if call is not None:
            attributes |= _of_call(call)
            last = call.attempts[-1].error if call.attempts else None
            failure = failure or (kind(last) if last is not None else "")  # a stream that broke
        if failure:
            attributes["error.type"] = failure
        root = self._tracer.start_span(
            f"{operation.method} {operation.paths[0]}",
            context=self._parent(told.headers),
            kind=self._kinds.SERVER,
            attributes=attributes,
            start_time=clock.at(told.started),
        )
        if call is not None and root.is_recording():
            self._inside(root, call, clock)
        if failure and not 400 <= told.status < 500:  # a client's fault is no failure of ours
            root.set_status(self._failed)
        root.end(clock.at(now))

    def _inside(self, parent: Any, call: Call, clock: _Clock) -> None:
        """Spans of the attempts of a call, and of the calls that a workflow made for it."""
        context = self._api.set_span_in_context(parent)
        # A call has the attempts of the inner call whose answer it took for its own.
        taken = {id(attempt) for inner in call.inner for attempt in inner.attempts}
        for number, attempt in enumerate(call.attempts):
            if id(attempt) not in taken:
                self._attempt(context, call.operation, attempt, number, clock)
        for inner in call.inner:
            ended = [each.ended for each in inner.attempts if each.ended is not None]
            span = self._tracer.start_span(
                inner.part.step if inner.part else inner.operation.name,
                context=context,
                kind=self._kinds.INTERNAL,
                attributes={**_of_call(inner), "trunkline.inner": True},
                start_time=clock.at(inner.started),
            )
            self._inside(span, inner, clock)
            span.end(clock.at(max(ended, default=inner.started)))

    def _attempt(
        self, context: Any, operation: Operation, attempt: Attempt, number: int, clock: _Clock
    ) -> None:
        deployment, error = attempt.deployment, attempt.error
        told = {
            "gen_ai.operation.name": _name(operation),
            "gen_ai.request.model": deployment.model,
            "gen_ai.provider.name": _PROVIDERS.get(deployment.provider, deployment.provider),
            "trunkline.attempt": number,
            "trunkline.deployment": deployment.id,
            "trunkline.lane": attempt.lane,
        }
        if error is not None:
            told |= {"error.type": error.kind.value, "http.response.status_code": error.status}
        span = self._tracer.start_span(
            f"{_name(operation)} {deployment.model}",
            context=context,
            kind=self._kinds.CLIENT,
            attributes=told,
            start_time=clock.at(attempt.started),
        )
        if attempt.answered is not None and attempt.answered != attempt.ended:
            span.add_event("trunkline.first_chunk", timestamp=clock.at(attempt.answered))
        if error is not None:
            span.set_status(self._failed)
        span.end(clock.at(attempt.ended if attempt.ended is not None else clock.now))

    def _parent(self, headers: Mapping[str, str]) -> Any:
        """What a request says that it is a part of."""
        context = self._api.set_span_in_context(self._api.INVALID_SPAN)
        if "traceparent" in headers or "x-amzn-trace-id" in headers:
            carrier = {_SPELT.get(name, name): headers[name] for name in _SENT if name in headers}
            for each in self._formats:
                context = each.extract(carrier, context)
        return context


_SENT = ("traceparent", "x-amzn-trace-id")
_SPELT = {"x-amzn-trace-id": "X-Amzn-Trace-Id"}


class _Clock:
    """Nanoseconds since 1970 for seconds of the monotonic clock, which read `now` at `wall`."""

    def __init__(self, wall: int, now: float) -> None:
        self.now = now
        self._wall = wall

    def at(self, seconds: float) -> int:
        return self._wall - int((self.now - seconds) * 1e9)


def _of_call(call: Call) -> dict[str, Any]:
    usage, decision = call.usage, call.decision
    used = call.attempts[-1].deployment if call.attempts else None
    payer = call.payer
    told = {
        "gen_ai.request.model": call.group[:LONGEST],
        "gen_ai.response.model": used and used.model,
        "gen_ai.provider.name": used and _PROVIDERS.get(used.provider, used.provider),
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "user.id": payer.caller.user_id if payer is not None else "",
        "trunkline.label": used and _label(used, decision),
        "trunkline.deployment": used and used.id,
        "trunkline.cache": call.cached,
        "trunkline.fallbacks": call.fallbacks,
        "trunkline.stream": call.stream,
        "trunkline.strategy": decision and decision.strategy,
        "trunkline.bundle": decision and decision.bundle,
    }
    return {key: value for key, value in told.items() if value not in (None, "")}


def _label(deployment: Deployment, decision: Decision | None) -> str:
    """What a bundle calls a deployment (see `routing/labels.py`); else its group."""
    own = deployment.info.get("llmrouter_name")
    names = (deployment.group, deployment.model, deployment.upstream_model)
    ranked = decision.ranking if decision is not None else ()
    return str(own) if own else next((each for each in names if each in ranked), names[0])


def _name(operation: Operation) -> str:
    return _OPERATIONS.get(operation.name, operation.name)


def kind(error: BaseException) -> str:
    """What spans call an error."""
    return error.kind.value if isinstance(error, ProviderError) else type(error).__name__


def _as_litellm_has_it(environ: Mapping[str, str]) -> dict[str, Any]:
    """What its variables say where OpenTelemetry's own say nothing."""
    told: dict[str, Any] = {}
    *own, litellms = ENDPOINTS
    if environ.get(litellms) and not any(map(environ.get, own)):
        told["endpoint"] = environ[litellms].rstrip("/").removesuffix("/v1/traces") + "/v1/traces"
    *own, litellms = HEADERS
    if environ.get(litellms) and not any(map(environ.get, own)):
        told["headers"] = _pairs(environ[litellms])
    return told


def _pairs(text: str) -> dict[str, str]:
    """Of `name=value,…`, percent-encoded."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs if name.strip()}


def _named(environ: Mapping[str, str]) -> set[str]:
    """The resource's attributes that the environment gives."""
    named = set(_pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    return named | {"service.name"} if environ.get("OTEL_SERVICE_NAME") else named
