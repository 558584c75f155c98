"""Errors as the API that was called shapes them; the one place where they become HTTP."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import json_text
from ..call import Headers, Wire
from ..errors import GatewayError, ProviderError

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_GOOGLE_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def told(error: GatewayError) -> dict[str, Any]:
    """What a log tells of an error: not its words, which may repeat a prompt."""
    kind = error.kind.value if isinstance(error, ProviderError) else error.code or error.type
    return {"error": kind, "status": error.status}


def render(error: GatewayError, wire: Wire) -> tuple[int, Headers, bytes]:
    """Status, headers and body of an error."""
    headers: Headers = [("content-type", "application/json")]
    headers += getattr(error, "headers", ())
    if error.retry_after is not None and not any(name == "retry-after" for name, _ in headers):
        headers.append(("retry-after", str(max(1, math.ceil(error.retry_after)))))
    if error.status == 401:
        headers.append(("www-authenticate", "Bearer"))
    return error.status, headers, json_text.dumps(_SHAPES[wire](error))


def stream_event(error: GatewayError, wire: Wire, operation: str) -> bytes:
    """The event that ends a stream which failed after its first byte."""
    if operation == "responses":
        body: dict[str, Any] = {
            "type": "error",
            "code": error.code or error.type,
            "message": _message(error),
            "param": error.param,
        }
        return b"event: error\ndata: " + json_text.dumps(body) + b"\n\n"
    event = b"event: error\n" if wire is Wire.ANTHROPIC else b""
    return event + b"data: " + json_text.dumps(_SHAPES[wire](error)) + b"\n\n"


def _openai(error: GatewayError) -> dict[str, Any]:
    detail = dict(getattr(error, "detail", None) or {})
    detail |= {
        "message": _message(error),
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.attempts:
        detail["attempts"] = error.attempts
    return {"error": detail}


def _anthropic(error: GatewayError) -> dict[str, Any]:
    kind = _ANTHROPIC_TYPES.get(error.status, "api_error")
    detail: dict[str, Any] = {"type": kind, "message": _message(error)}
    if error.attempts:
        detail["attempts"] = error.attempts
    return {"type": "error", "error": detail}


def _google(error: GatewayError) -> dict[str, Any]:
    status = _GOOGLE_STATUSES.get(error.status, "INTERNAL")
    detail: dict[str, Any] = {"code": error.status, "message": _message(error), "status": status}
    if error.attempts:
        reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.code or ""}
        detail["details"] = [
            {**reason, "metadata": {"attempts": json_text.dumps(error.attempts).decode()}}
        ]
    return {"error": detail}


def _message(error: GatewayError) -> str:
    if len(error.attempts) < 2:
        return error.message
    tried = "; ".join(
        f"{attempt['model']} ({attempt['deployment']}): {attempt['status']} {attempt['error']}"
        for attempt in error.attempts
    )
    return f"{error.message} Tried {len(error.attempts)} times: {tried}."


_SHAPES: dict[Wire, Callable[[GatewayError], dict[str, Any]]] = {
    Wire.OPENAI: _openai,
    Wire.ANTHROPIC: _anthropic,
    Wire.GOOGLE: _google,
}
