"""The mock lane: deployments with `mock_response` answer by themselves, without a provider.

As in LiteLLM, a deployment's parameters say what it answers:

mock_response     the text; or the whole answer, as a mapping; or a vector, for embeddings; or the
                  name of an error to raise (`litellm.RateLimitError`)
mock_tool_calls   tool calls that the answer makes
mock_delay        seconds before it answers
mock_timeout      true: it never answers in time
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from .. import json_text
from ..call import Answer, Call, Deployment, Timeouts
from ..errors import ErrorKind, ProviderError
from . import failures
from .mocks import BUILDERS, Mocked
from .usage import read_object

PARAMETERS = frozenset({"mock_response", "mock_tool_calls", "mock_timeout"})
"""One of these set in a deployment's parameters makes it a mock."""

DEFAULT_TEXT = "This is a mock request"

_ERRORS: Mapping[str, tuple[ErrorKind, int]] = {
    "litellm.BadRequestError": (ErrorKind.BAD_REQUEST, 400),
    "litellm.UnprocessableEntityError": (ErrorKind.BAD_REQUEST, 422),
    "litellm.ContextWindowExceededError": (ErrorKind.CONTEXT_WINDOW, 400),
    "litellm.ContentPolicyViolationError": (ErrorKind.CONTENT_POLICY, 400),
    "litellm.AuthenticationError": (ErrorKind.AUTHENTICATION, 401),
    "litellm.PermissionDeniedError": (ErrorKind.PERMISSION, 403),
    "litellm.NotFoundError": (ErrorKind.NOT_FOUND, 404),
    "litellm.Timeout": (ErrorKind.TIMEOUT, 408),
    "litellm.RateLimitError": (ErrorKind.RATE_LIMIT, 429),
    "litellm.InternalServerError": (ErrorKind.INTERNAL, 500),
    "litellm.APIError": (ErrorKind.INTERNAL, 500),
    "litellm.BadGatewayError": (ErrorKind.UNAVAILABLE, 502),
    "litellm.ServiceUnavailableError": (ErrorKind.UNAVAILABLE, 503),
    "litellm.APIConnectionError": (ErrorKind.CONNECTION, 503),
    "Exception: content_filter_policy": (ErrorKind.CONTENT_POLICY, 400),
}

STREAMING_ERROR = "Exception: mock_streaming_error"
"""A stream with this answer begins and breaks off with Anthropic's status for an overload."""


def is_mock(deployment: Deployment) -> bool:
    """Whether a deployment answers by itself."""
    return any(deployment.params.get(name) for name in PARAMETERS)


class MockLane:
    """Answers calls of mocked deployments."""

    name = "mock"

    async def send(self, call: Call, deployment: Deployment, timeouts: Timeouts) -> Answer:
        """The answer that the deployment's parameters ask for. Raises ProviderError."""
        builder = BUILDERS.get(call.operation.function)
        if builder is None:
            message = f"a mocked model does not answer {call.operation.name}"
            raise failures.failure(ErrorKind.BAD_REQUEST, message)
        await _wait(deployment.params, timeouts.total)
        response = deployment.params.get("mock_response")
        _raise_named(response)
        mocked = _mocked(call, deployment, response)
        whole = builder.whole(mocked)
        if isinstance(response, dict) and not call.stream:
            whole |= response
        read_object(call.operation.usage, whole, call.usage)
        if call.stream and builder.frames is not None:
            broken = isinstance(response, str) and response.startswith(STREAMING_ERROR)
            chunks = _stream(builder.frames(mocked), broken=broken)
            return Answer(200, [("content-type", "text/event-stream")], chunks=chunks)
        if isinstance(response, str) and response.startswith(STREAMING_ERROR):
            raise _overloaded()
        return Answer(200, [("content-type", "application/json")], json_text.dumps(whole))


async def _stream(frames: Iterator[bytes], *, broken: bool) -> AsyncIterator[bytes]:
    for frame in frames:
        yield frame
        if broken:
            raise _overloaded()
        await asyncio.sleep(0)


async def _wait(params: Mapping[str, Any], allowed: float) -> None:
    delay = params.get("mock_delay")
    seconds = float(delay) if isinstance(delay, int | float) else 0.0
    if params.get("mock_timeout") or seconds > allowed:
        await asyncio.sleep(allowed)
        raise failures.timed_out(allowed)
    if seconds > 0:
        await asyncio.sleep(seconds)


def _raise_named(response: Any) -> None:
    if not isinstance(response, str):
        return
    name = "Exception: content_filter_policy" if "content_filter_policy" in response else response
    if name in _ERRORS:
        kind, status = _ERRORS[name]
        words = kind.value.replace("_", " ")
        raise failures.failure(kind, f"this is a mock {words} error", status=status)


def _mocked(call: Call, deployment: Deployment, response: Any) -> Mocked:
    calls = deployment.params.get("mock_tool_calls")
    vector = None
    if isinstance(response, list) and all(isinstance(value, int | float) for value in response):
        vector = tuple(map(float, response))
    return Mocked(
        body=call.body,
        model=call.group or deployment.upstream_model,
        text=_text(response, empty=bool(calls)),
        tool_calls=tuple(call for call in calls or () if isinstance(call.get("function"), dict)),
        vector=vector,
    )


def _text(response: Any, *, empty: bool) -> str:
    if isinstance(response, dict):
        try:
            return str(response["choices"][0]["message"]["content"] or "")
        except (KeyError, IndexError, TypeError):
            return DEFAULT_TEXT
    if isinstance(response, str) and response:
        return response
    return "" if empty else DEFAULT_TEXT


def _overloaded() -> ProviderError:
    message = "this is a mock error raised mid-stream"
    return failures.failure(ErrorKind.UNAVAILABLE, message, status=529)
