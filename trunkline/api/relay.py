"""Bodies that go through the gateway as they come: a client's on the way in, a provider's back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from ..call import Headers, Wire
from ..charging.passed_on import PassedOn
from ..errors import GatewayError, RequestTimeout
from ..providers.client import aiohttp
from ..providers.passthrough.send import failure, returned
from ..providers.sse import FrameBuffer
from . import errors
from .http import (
    BODY_SECONDS,
    AnswerCut,
    Receive,
    Send,
    broken_off,
    encode,
    send_chunks,
    too_large,
)

log = logging.getLogger("trunkline.api")


class Upload:
    """A request's body as it arrives, of at most `limit` bytes.

    started: whether any of it was taken, so that it can't be sent a second time.
    ended: whether all of it was taken. error: why it broke off.
    """

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self.started = False
        self.ended = False
        self.error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.started = True
        size = 0
        while not self.ended:
            try:
                message = await asyncio.wait_for(self._receive(), BODY_SECONDS)
            except TimeoutError:
                raise self._broken(
                    RequestTimeout(
                        f"No more of the request's body came for {BODY_SECONDS:.0f} seconds."
                    )
                ) from None
            if message["type"] == "http.disconnect":
                raise self._broken(broken_off())
            part = message.get("body", b"")
            size += len(part)
            if size > self._limit:
                raise self._broken(too_large(self._limit))
            self.ended = not message.get("more_body")
            if part:
                yield part

    def _broken(self, error: Exception) -> Exception:
        self.error = error
        return error


async def relay(
    response: aiohttp.ClientResponse,
    send: Send,
    *,
    wire: Wire,
    extra: Headers,
    heartbeat: float,
    seconds: float,
    passed: PassedOn | None = None,
) -> None:
    """Brings a provider's answer to the client, piece by piece as it comes.

    Server-sent events go frame by frame, with heartbeats, and end with an error event where the
    provider broke off; any other answer that breaks off ends with the connection.

    extra: headers beside the provider's. seconds: the longest silence, for the error's words.
    passed: reads a copy, and settles the call; None where it is charged to nobody.

    Raises ProviderError for an answer that was cut, once the client has what there is of it.
    """
    headers = returned(response) + extra
    events = response.headers.get("content-type", "").lower().startswith("text/event-stream")
    if not events or "content-encoding" in response.headers:
        chunks = _chunks(response, seconds)
        if passed is not None:
            chunks = passed.through(chunks)
        try:
            await send_chunks(
                send, response.status, encode(headers), chunks, heartbeat=None, last_words=None
            )
        except AnswerCut as cut:
            raise cut.error from None
        return
    frames = _frames(response, seconds)
    if passed is not None:
        frames = passed.through(frames)
    broken: list[GatewayError] = []

    def last_words(error: GatewayError) -> bytes:
        broken.append(error)
        return errors.stream_event(error, wire, "pass_through")

    await send_chunks(
        send,
        response.status,
        encode([(name, value) for name, value in headers if name != "content-length"]),
        frames,
        heartbeat=heartbeat,
        last_words=last_words,
    )
    if broken:
        raise broken[0]


async def _chunks(response: aiohttp.ClientResponse, seconds: float) -> AsyncIterator[bytes]:
    try:
        async for data in response.content.iter_any():
            yield data
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise failure(error, seconds) from error


async def _frames(response: aiohttp.ClientResponse, seconds: float) -> AsyncIterator[bytes]:
    frames = FrameBuffer()
    async for data in _chunks(response, seconds):
        if whole := frames.feed(data):
            yield whole
    if rest := frames.flush():
        yield rest
