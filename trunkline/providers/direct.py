"""The direct lane: requests to providers that speak the client's own wire.

The body goes on as it came, but for the model's name; the answer comes back byte for byte. Only the
usage is read from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

from .. import json_text
from ..call import Answer, Call, Deployment, Operation, Timeouts, Wire
from ..deadline import Alarms, Deadline
from ..errors import ProviderError
from . import entra, failures
from .client import aiohttp
from .forms import FormBody
from .sse import FrameBuffer, StreamWatcher
from .target import Target, target_of
from .usage import LARGE_ANSWER, read_answer, read_object, read_tail

__all__ = ["DirectLane", "target_of"]

CONNECT_SECONDS = 10.0
MOST_TARGETS = 10_000
LARGEST_ANSWER = 256 * 1024 * 1024
LARGEST_REFUSAL = 1024 * 1024
"""Bytes that are held in memory at once."""
OBJECTS = frozenset({"openai", "anthropic", "google", "media"})
"""Usage readers of the operations whose answers are objects, and hold an `error` only instead of
what was asked for."""
TAIL = 64 * 1024
"""Bytes of a stream's end in which its usage stands."""

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


class DirectLane:
    """Sends calls straight to the provider; made anew for each snapshot.

    largest_answer: bytes of an answer that is held in memory; what streams may be larger.
    """

    name = "direct"

    def __init__(
        self,
        session: aiohttp.ClientSession,
        alarms: Alarms,
        *,
        largest_answer: int = LARGEST_ANSWER,
    ) -> None:
        self._session = session
        self._alarms = alarms
        self._largest_answer = largest_answer
        self._targets: dict[tuple[Deployment, str], Target | None] = {}

    def takes(self, call: Call, deployment: Deployment) -> bool:
        """Whether a call can go straight to a deployment."""
        target = self._target(deployment, call.operation)
        return target is not None and target.takes(call)

    async def send(self, call: Call, deployment: Deployment, timeouts: Timeouts) -> Answer:
        """The provider's answer. Raises ProviderError."""
        target = self._target(deployment, call.operation)
        assert target is not None
        exchange = _Exchange(call, deployment, target, timeouts)
        response: aiohttp.ClientResponse | None = None
        deadline = Deadline(self._alarms, timeouts.total)
        try:
            response = await exchange.begin(self._session)
            return await exchange.answer(response, self._largest_answer)
        except BaseException as error:
            if response is not None:
                response.close()
            if isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
                raise _failure(error, timeouts.total) from error
            if isinstance(error, asyncio.CancelledError) and deadline.missed:
                raise failures.timed_out(timeouts.total) from None
            raise
        finally:
            deadline.end()

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


class _Exchange:
    """One request to a provider and its answer."""

    __slots__ = ("_call", "_deployment", "_hide_usage", "_passes", "_target", "_timeouts")

    def __init__(
        self, call: Call, deployment: Deployment, target: Target, timeouts: Timeouts
    ) -> None:
        self._call = call
        self._deployment = deployment
        self._target = target
        self._timeouts = timeouts
        self._hide_usage = False
        self._passes = call.stream or call.operation.answer == "any"

    async def begin(self, session: aiohttp.ClientSession) -> aiohttp.ClientResponse:
        call, target, timeouts = self._call, self._target, self._timeouts
        headers = target.headers
        passed = [(n, call.headers[n]) for n in FORWARDED_REQUEST_HEADERS if n in call.headers]
        if passed:
            headers = headers.copy()
            headers.update(passed)
        if target.tokens is not None:
            headers = headers.copy()
            headers["authorization"] = await entra.authorization("azure", target.tokens)
        data: Any = None
        if call.form:
            data = form = FormBody(call, self._fields())
            headers = headers.copy()
            headers["content-type"] = form.content_type
            headers["content-length"] = str(form.length)
        elif call.operation.body != "none" and (call.body or call.raw):
            data = aiohttp.BytesPayload(json_text.dumps(self._fields()))
        return await session.request(
            call.operation.method,
            target.url(call),
            data=data,
            headers=headers,
            timeout=_client_timeout(timeouts, self._passes),
            allow_redirects=False,
        )

    def _fields(self) -> dict[str, Any]:
        """The body's fields as the provider shall have them."""
        call, target = self._call, self._target
        body = call.body
        if call.operation.model == "body":
            body = {**target.defaults, **body, "model": target.model}
        elif call.group and "model" in body:
            body = {**body, "model": target.model}
        if call.stream and call.operation.usage == "openai" and target.provider.stream_usage:
            options = body.get("stream_options") or {}
            if isinstance(options, dict):
                self._hide_usage = not options.get("include_usage")
                body["stream_options"] = {**options, "include_usage": True}
        return body

    async def answer(self, response: aiohttp.ClientResponse, largest: int) -> Answer:
        call = self._call
        if response.status >= 300:
            raise await self._refusal(response)
        headers = _forwarded(response)
        if self._passes:
            chunks = self._events(response)
            if chunks is not None:
                return Answer(response.status, headers, chunks=chunks)
            chunks = self._pieces(response)
            if chunks is not None:
                if response.content_length is not None:
                    headers.append(("content-length", str(response.content_length)))
                return Answer(response.status, headers, chunks=chunks)
        content = await _whole(response, largest)
        if _read(call, response, content):
            raise self._classify(response, content)
        return Answer(response.status, headers, content)

    async def _refusal(self, response: aiohttp.ClientResponse) -> ProviderError:
        if response.status < 400:
            # The key would go to whoever a redirect names.
            return failures.malformed(f"a redirect ({response.status}) is not followed")
        return self._classify(response, await _beginning(response, LARGEST_REFUSAL))

    def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes] | None:
        """The answer where it is a stream of events."""
        call = self._call
        if not call.stream or not _kind(response).startswith("text/event-stream"):
            return None
        watcher = StreamWatcher(
            call.operation.usage,
            call.usage,
            hide_usage=self._hide_usage,
            classify=lambda payload: self._classify(response, payload),
        )
        return _events(response, watcher, self._timeouts.idle)

    def _pieces(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes] | None:
        """The answer as it arrives, where it need not be whole to be of use."""
        call, idle = self._call, self._timeouts.idle
        if call.stream and call.operation.wire is Wire.GOOGLE:
            return _array(response, call, idle)
        if call.operation.answer == "json":
            return None
        if call.operation.usage != "none" and "json" in _kind(response):
            return None
        return _bytes(response, idle)

    def _classify(self, response: aiohttp.ClientResponse, body: bytes) -> ProviderError:
        return failures.classify(
            response.status,
            body,
            response.headers,
            self._call.operation.wire,
            self._deployment.provider,
            self._target.secrets,
        )


async def _events(
    response: aiohttp.ClientResponse, watcher: StreamWatcher, idle: float
) -> AsyncIterator[bytes]:
    """Server-sent events, whole frames at a time."""
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
        if watcher.failure:
            raise watcher.failure
        if closing := watcher.closing():
            yield closing
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _failure(error, idle) from error
    finally:
        _leave(response)


async def _array(response: aiohttp.ClientResponse, call: Call, idle: float) -> AsyncIterator[bytes]:
    """Google's stream as one JSON array, element for element."""
    tail = b""
    async for chunk in _bytes(response, idle):
        tail = (tail + chunk)[-TAIL:]
        yield chunk
    if not tail.rstrip().endswith(b"]"):
        raise failures.cut("the array ended before the provider had finished")
    read_tail(call.operation.usage, tail, call.usage)


async def _bytes(response: aiohttp.ClientResponse, idle: float) -> AsyncIterator[bytes]:
    try:
        async for data in response.content.iter_any():
            yield data
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _failure(error, idle) from error
    finally:
        _leave(response)


def _kind(response: aiohttp.ClientResponse) -> str:
    return response.headers.get("content-type", "").lower()


def _leave(response: aiohttp.ClientResponse) -> None:
    # Closed unless it was read to its end: this is what cancels the provider's request.
    response.release() if response.content.at_eof() else response.close()


async def _whole(response: aiohttp.ClientResponse, largest: int) -> bytes:
    length = response.content_length
    if length is not None and length <= largest:
        return await response.read()
    content = await _beginning(response, largest + 1)
    if len(content) > largest:
        raise failures.malformed(f"it is larger than {largest} bytes")
    return content


async def _beginning(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body up to a number of bytes; what comes after them is not waited for."""
    parts: list[bytes] = []
    left = limit
    async for data in response.content.iter_any():
        parts.append(data[:left])
        left -= len(parts[-1])
        if not left:
            break
    _leave(response)
    return b"".join(parts)


def _read(call: Call, response: aiohttp.ClientResponse, content: bytes) -> bool:
    """Learns the usage, that a JSON answer is whole, and whether it is an error all the same."""
    if response.status == 204:
        return False
    kind = call.operation.usage
    if len(content) > LARGE_ANSWER:
        if content.rstrip()[-1:] not in (b"}", b"]"):
            raise failures.malformed("the answer is cut off")
        read_answer(kind, content, call.usage)
        return False
    try:
        answer = json_text.loads(content)
    except ValueError:
        raise failures.malformed("the answer is not JSON") from None
    if kind in OBJECTS:
        if not isinstance(answer, dict):
            raise failures.malformed("the answer is not a JSON object")
        if answer.get("error"):
            return True
    read_object(kind, answer, call.usage)
    return False


def _failure(error: Exception, seconds: float) -> ProviderError:
    if isinstance(error, TimeoutError):
        return failures.timed_out(seconds)
    if isinstance(error, aiohttp.ClientResponseError):
        return failures.malformed("it does not follow HTTP")
    if isinstance(error, aiohttp.ClientPayloadError):
        return failures.cut("the connection broke before the answer was complete")
    return failures.unreachable(error)


@lru_cache(maxsize=1024)
def _client_timeout(timeouts: Timeouts, passes: bool) -> aiohttp.ClientTimeout:
    """What aiohttp watches; the total time is the `Deadline`'s, which costs a tenth of its own."""
    connect = min(CONNECT_SECONDS, timeouts.total)
    return aiohttp.ClientTimeout(sock_connect=connect, sock_read=timeouts.idle if passes else None)


def _forwarded(response: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    headers = []
    for name, value in response.raw_headers:
        lower = name.lower()
        if lower in FORWARDED_HEADERS or lower.startswith(FORWARDED_PREFIXES):
            headers.append((lower.decode("latin-1"), value.decode("latin-1")))
    return headers
