"""What all WebSockets have in common: how they are let in, answered, refused and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Never

from ..call import Wire
from ..errors import AuthenticationFailed, GatewayError, LimitExceeded, PermissionDenied
from . import errors
from .bridge import FAILED
from .http import Scope, Send, encode

KEY_PROTOCOL = "openai-insecure-api-key."
"""How a subprotocol begins that carries a key: browsers can set no headers on a WebSocket."""

UNAVAILABLE = 503
LOOK_SECONDS = 1.0
"""Seconds between two looks at whether a client may still call."""

POLICY, TRY_AGAIN = 1008, 1013
"""Close codes of clients that may not go on, and of those that may later (RFC 6455, section 7.4.1;
IANA's registry of close codes)."""

_LONGEST_REASON = 123
"""Bytes of a close frame's reason (RFC 6455, section 5.5)."""


def key_in(protocols: Iterable[str]) -> str | None:
    """Our key as browsers send it."""
    for protocol in protocols:
        if protocol.startswith(KEY_PROTOCOL):
            return protocol.removeprefix(KEY_PROTOCOL)
    return None


def code_of(error: GatewayError) -> int:
    """The close code of an error that ends a WebSocket."""
    if isinstance(error, LimitExceeded) and error.retry_after is not None:
        return TRY_AGAIN
    refused = (LimitExceeded, AuthenticationFailed, PermissionDenied)
    return POLICY if isinstance(error, refused) else FAILED


async def until_refused(let_in: Callable[[], Awaitable[object]]) -> Never:
    """Looks each second whether a client may still call. Raises what `let_in` raises when not;
    while that can't be told, nothing."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await let_in()
        except GatewayError as error:
            if error.status != UNAVAILABLE:
                raise


async def accept(send: Send, call_id: str, protocol: str | None) -> None:
    headers = [("x-trunkline-call-id", call_id), ("x-litellm-call-id", call_id)]
    await send({"type": "websocket.accept", "subprotocol": protocol, "headers": encode(headers)})


async def close(send: Send, code: int, reason: str) -> None:
    short = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
    await send({"type": "websocket.close", "code": code, "reason": short})


async def refuse(scope: Scope, send: Send, error: GatewayError, wire: Wire = Wire.OPENAI) -> None:
    """Answers the handshake with an HTTP error, where the server can; else by closing."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": FAILED})
        return
    status, headers, body = errors.render(error, wire)
    headers.append(("content-length", str(len(body))))
    start = {"type": "websocket.http.response.start", "status": status}
    await send({**start, "headers": encode(headers)})
    await send({"type": "websocket.http.response.body", "body": body})
