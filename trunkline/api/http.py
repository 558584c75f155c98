"""ASGI, as thin as the hot path needs it: bodies in with a limit, answers out with heartbeats."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from ..call import Headers
from ..deadline import Alarm, Alarms, Deadline
from ..errors import GatewayError, InvalidRequest, RequestTimeout, RequestTooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
EncodedHeaders = list[tuple[bytes, bytes]]

BODY_SECONDS = 60.0
"""The longest that a client may pause while it sends its body."""
LINGER_SECONDS = 20.0
"""How long the rest of a refused body is listened to."""
WATCH_AFTER_SECONDS = 0.2
HEARTBEAT = b": keep-alive\n\n"


class ClientGone(Exception):
    """The client closed the connection; there is nobody to answer."""


class AnswerCut(Exception):
    """The provider died while its answer was on the way, and the answer's format can't say so.

    Whoever gets it ends without ending the answer: the server then breaks the connection, and the
    client doesn't take the part for the whole.

    error: what the provider died of.
    """

    def __init__(self, error: GatewayError) -> None:
        super().__init__(error.message)
        self.error = error


def header_map(scope: Scope) -> dict[str, str]:
    """The request's headers; of a repeated one the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def read_body(receive: Receive, limit: int, alarms: Alarms) -> bytes:
    """The whole body, of at most `limit` bytes.

    Raises RequestTooLarge, RequestTimeout, and InvalidRequest for one that breaks off.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise too_large(limit)
        return body
    parts: list[bytes] = []
    size = 0
    deadline = Deadline(alarms, BODY_SECONDS)
    try:
        while True:
            if message["type"] == "http.disconnect":
                raise broken_off()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise too_large(limit)
            if not message.get("more_body"):
                return b"".join(parts)
            if len(parts) > 1:
                deadline.renew()
            message = await receive()
    except asyncio.CancelledError:
        if not deadline.missed:
            raise
        raise RequestTimeout(
            f"No more of the request's body came for {BODY_SECONDS:.0f} seconds."
        ) from None
    finally:
        deadline.end()


class Incoming:
    """A request's body, as ASGI's `receive`, that knows whether the client has more of it to send.

    Closing a connection while its client still sends resets it, and the client never reads the
    answer. So what was refused is listened to, for a while.

    A body that is as long as its stated length is whole, and nothing more is waited for: servers
    tell of the end in a message of its own.
    """

    __slots__ = ("_left", "_receive", "more")

    def __init__(self, receive: Receive, scope: Scope) -> None:
        self._receive = receive
        self._left = _stated_length(scope)
        self.more = True

    async def __call__(self) -> Message:
        message = await self._receive()
        self.more = message.get("more_body", False)
        if self.more and self._left is not None:
            self._left -= len(message["body"])
            self.more = message["more_body"] = self._left > 0
        return message

    async def linger(self) -> None:
        """Takes the rest of the body, once the answer is sent."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self.more:
                    await self()


def _stated_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None


def broken_off() -> InvalidRequest:
    """A body that won't come: its client may be gone, or its framing may be wrong."""
    return InvalidRequest("The request's body broke off before its end.", code="incomplete_body")


def too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request's body is larger than {limit} bytes (general_settings.max_request_size_mb).",
        code="request_too_large",
    )


class CancelledWhenGone:
    """Cancels its block, as ClientGone, once the client has closed the connection.

    Most calls are over before it is worth looking, so looking starts after a moment.
    """

    __slots__ = ("_alarm", "_alarms", "_gone", "_receive", "_task", "_watch")

    def __init__(self, receive: Receive, alarms: Alarms) -> None:
        self._receive = receive
        self._alarms = alarms
        self._alarm: Alarm | None = None
        self._gone = False
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task(self._alarms.loop)
        self._alarm = self._alarms.after(WATCH_AFTER_SECONDS, self._look)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._gone and isinstance(error, asyncio.CancelledError):
            if self._task is not None:
                self._task.uncancel()
            raise ClientGone from None

    def _look(self) -> None:
        self._watch = self._alarms.loop.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()


def encode(headers: Headers) -> EncodedHeaders:
    """Headers as ASGI takes them; what may not stand in a value becomes a question mark."""
    return [(name.encode("latin-1"), _header_value(value)) for name, value in headers]


def _header_value(value: str) -> bytes:
    # A provider's header may hold anything, and one such value would cost the whole answer.
    if not value.isprintable():
        value = "".join(char if char.isprintable() else "?" for char in value)
    return value.encode("latin-1", "replace")


async def send_answer(send: Send, status: int, headers: EncodedHeaders, body: bytes) -> None:
    """A whole answer."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_chunks(
    send: Send,
    status: int,
    headers: EncodedHeaders,
    chunks: AsyncIterator[bytes],
    *,
    heartbeat: float | None,
    last_words: Callable[[GatewayError], bytes] | None,
) -> None:
    """An answer chunk for chunk.

    heartbeat: seconds of silence after which a comment is sent; None for answers that aren't
        server-sent events.
    last_words: the event that ends a stream which failed; None where the format has no place for
        one.

    Raises AnswerCut.
    """
    await send({"type": "http.response.start", "status": status, "headers": headers})
    pulse = _Pulse(send, heartbeat) if heartbeat else None
    try:
        async for chunk in chunks:
            if pulse:
                pulse.beat()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except GatewayError as error:
        if last_words is None:
            raise AnswerCut(error) from error
        event = last_words(error)
        await send({"type": "http.response.body", "body": event, "more_body": True})
    finally:
        if pulse:
            pulse.stop()
    await send({"type": "http.response.body", "body": b""})


class _Pulse:
    """Sends a comment whenever nothing was sent for a while; one timer a stream."""

    def __init__(self, send: Send, seconds: float) -> None:
        self._send = send
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._due)
        self._task: asyncio.Task[None] | None = None

    def beat(self) -> None:
        self._last = self._loop.time()

    def stop(self) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _due(self) -> None:
        silent = self._loop.time() - self._last
        if silent >= self._seconds:
            self.beat()
            self._task = self._loop.create_task(self._comment())
            silent = 0.0
        self._timer = self._loop.call_later(self._seconds - silent, self._due)

    async def _comment(self) -> None:
        await self._send({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})
