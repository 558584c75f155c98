"""Two WebSockets as one: what either side says reaches the other, and so does its end.

Each direction waits for the slower side before it takes the next message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Never

from ..dataclass import dataclass
from ..errors import GatewayError
from ..providers.client import aiohttp
from .http import Receive, Send

NORMAL, GOING_AWAY, TOO_BIG, FAILED = 1000, 1001, 1009, 1011
_MESSAGES = {1: "text", 2: "bytes"}
"""What a message is called in ASGI, by its opcode (RFC 6455)."""

Heard = Callable[[str], Awaitable[GatewayError | None] | None]
"""Takes a provider's text before the client gets it. What is given is awaited before that, and may
be what the talk ends with once the client has it."""
Said = Callable[[str], str]
Watch = Callable[[], Awaitable[Never]]
"""Raises what a talk is to end with, as soon as it is."""


@dataclass(frozen=True, slots=True)
class End:
    """How a side ended: its close code, and its words.

    broken: what happened where there was no closing handshake.
    """

    code: int
    reason: str = ""
    broken: str = ""


async def bridge(
    receive: Receive,
    send: Send,
    provider: aiohttp.ClientWebSocketResponse,
    heard: Heard | None = None,
    said: Said | None = None,
    watch: Watch | None = None,
    leaving: Callable[[], Awaitable[None]] | None = None,
) -> End | None:
    """Talks until one side ends, or something says that it is to end.

    heard: is told every text of the provider. said: makes of a client's text what is said. watch:
    runs beside the talk. leaving: is awaited before the provider's side is closed, where that is
    not the provider's doing; nobody else reads from it any more.

    The provider's end is returned, for the caller to close the client's side with; None once the
    client has ended, and the provider's side is closed. Raises what `heard` and `watch` say.
    """
    client = asyncio.ensure_future(_from_client(receive, provider, said))
    speaker = asyncio.ensure_future(_from_provider(send, provider, heard))
    tasks: set[asyncio.Future[Any]] = {client, speaker}
    if watch is not None:
        tasks.add(asyncio.ensure_future(watch()))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for watching in done - {client, speaker}:
            watching.result()
        if client not in done or (left := client.result()) is None:
            return await speaker
        await _cancelled(tasks)
        if leaving is not None:
            await leaving()
        await provider.close(code=left.code)
        return None
    except GatewayError:
        await _cancelled(tasks)
        if leaving is not None:
            await leaving()
        raise
    finally:
        await _cancelled(tasks)


async def _cancelled(tasks: Iterable[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _from_client(
    receive: Receive, provider: aiohttp.ClientWebSocketResponse, said: Said | None
) -> End | None:
    """Says what the client says; its end, or None where the provider no longer listens."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return End(_passed_on(message.get("code"), otherwise=GOING_AWAY))
        try:
            text = message.get("text")
            if text is not None:
                await provider.send_str(said(text) if said else text)
            else:
                await provider.send_bytes(message["bytes"])
        except ConnectionError:
            return None


async def _from_provider(
    send: Send, provider: aiohttp.ClientWebSocketResponse, heard: Heard | None
) -> End:
    while True:
        message = await provider.receive()
        kind = _MESSAGES.get(message.type)
        if kind is None:
            return _end_of(message)
        pending = heard(message.data) if heard and kind == "text" else None
        last = await pending if pending is not None else None
        await send({"type": "websocket.send", kind: message.data})
        if last is not None:
            raise last


def _end_of(message: aiohttp.WSMessage) -> End:
    if message.type is aiohttp.WSMsgType.CLOSE:
        return End(_passed_on(message.data, otherwise=NORMAL), message.extra or "")
    if isinstance(message.data, aiohttp.WebSocketError):
        too_big = message.data.code == TOO_BIG
        return End(FAILED, broken="a message is larger than it may be" if too_big else "bad frames")
    return End(FAILED, broken="the connection broke without a closing handshake")


def _passed_on(code: int | None, *, otherwise: int) -> int:
    """A close code that may be sent (RFC 6455, section 7.4)."""
    if code is not None and (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code < 5000):
        return code
    return otherwise
