"""What a provider's error answer says: message, type, code and parameter, whatever its shape.

OpenAI, Azure    {"error": {"message", "type", "param", "code", "innererror": {"code"}}}
Anthropic        {"type": "error", "error": {"type", "message"}}
Google           {"error": {"code": 400, "message", "status", "details": [{"reason"}]}}, in a list
                 when the answer would have been a stream
Cohere, Bedrock  {"message"}; Bedrock names the class in the header `x-amzn-errortype`
FastAPI          {"detail": "…" | [{"loc", "msg"}]}; also Mistral, vLLM and many small servers
OAuth 2.0        {"error", "error_description"} (RFC 6749, section 5.2)
others           {"error": "…"}, {"errors": [{"code", "message"}]}, plain text, a proxy's HTML page
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

from ..dataclass import dataclass

LARGEST_BODY = 1_000_000
"""Bytes of an error's body that are read as JSON; a longer one is taken for a page of text."""

TEXT_READ = 80_000
"""Bytes of a body that is not JSON that are looked at."""

_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,300})", re.IGNORECASE)
_TAG = re.compile(r"<(?:script|style)\b[^>]*>[^<]*</(?:script|style)>|<[^<>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What a provider said about a failure.

    message: its own words; empty where it had none.
    codes: every name that it gave to the failure, the most specific first, in lower case.
    status: the HTTP status that the body states; None where it states none.
    error: the object that holds the error, as decoded; None when there was no JSON object.
    """

    message: str
    codes: tuple[str, ...] = ()
    type: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None
    error: Mapping[str, Any] | None = None


def read(body: bytes, headers: Mapping[str, str]) -> ErrorBody:
    """The error in an answer's body. Never raises."""
    decoded: Any = None
    if len(body) <= LARGEST_BODY:
        try:
            decoded = orjson.loads(body)
        except (orjson.JSONDecodeError, RecursionError):
            decoded = None
    if isinstance(decoded, list) and decoded:
        decoded = decoded[0]
    if isinstance(decoded, str) and decoded:
        return ErrorBody(decoded)
    if isinstance(decoded, dict) and decoded:
        return _read_object(decoded, headers)
    codes = _aws_class(headers)
    text = body[:TEXT_READ].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        return ErrorBody(_page(text), codes)
    return ErrorBody(text, codes)


def _read_object(outer: dict[str, Any], headers: Mapping[str, str]) -> ErrorBody:
    error = _error_object(outer)
    inner = error.get("innererror") or error.get("inner_error")
    inner = inner if isinstance(inner, dict) else {}
    code, type_ = _name(error.get("code")), _name(error.get("type"))
    type_ = type_ or _name(error.get("error_type")) or _name(outer.get("error_type"))
    names = (
        *_reasons(error),
        _name(inner.get("code")),
        code,
        _name(error.get("error_code")),
        *_aws_class(headers),
        _name(outer.get("__type")),
        type_,
        _name(error.get("status")),
        _name(outer.get("error")) if "error_description" in outer else None,
    )
    return ErrorBody(
        message=_message(error) or _message(outer),
        codes=tuple(name.rpartition("#")[2].lower() for name in names if name),
        type=type_,
        code=code or _name(error.get("status")),
        param=_name(error.get("param")),
        status=_http_status(error, outer),
        error=error,
    )


def _error_object(outer: dict[str, Any]) -> dict[str, Any]:
    for key in ("error", "errors", "Error"):
        held = outer.get(key)
        if isinstance(held, list) and held:
            held = held[0]
        if isinstance(held, dict) and held:
            return held
    response = outer.get("response")  # the Responses API's `response.failed` event
    if isinstance(response, dict) and isinstance(response.get("error"), dict):
        return _error_object(response)
    return outer


_MESSAGES = (
    "message",
    "Message",
    "detail",
    "error_description",
    "error",
    "error_message",
    "errorMessage",
    "msg",
    "reason",
    "title",
)


def _message(error: Mapping[str, Any]) -> str:
    for key in _MESSAGES:
        held = error.get(key)
        if isinstance(held, str) and held.strip():
            return held.strip()
        if isinstance(held, list):
            found = "; ".join(filter(None, map(_validation, held[:5])))
            if found:
                return found
        if isinstance(held, dict):
            found = _message(held) if key != "error" else ""
            if found:
                return found
    return ""


def _validation(item: Any) -> str:
    """One entry of FastAPI's `detail` list."""
    if isinstance(item, str):
        return item
    if not isinstance(item, dict):
        return ""
    message = item.get("msg") or item.get("message")
    if not isinstance(message, str):
        return ""
    place = item.get("loc")
    if isinstance(place, list) and place:
        return f"{'.'.join(map(str, place))}: {message}"
    return message


def _reasons(error: Mapping[str, Any]) -> list[str]:
    """Reasons in the details of a `google.rpc.Status`."""
    details = error.get("details")
    if not isinstance(details, list):
        return []
    return [_name(item.get("reason")) or "" for item in details if isinstance(item, dict)]


def _aws_class(headers: Mapping[str, str]) -> tuple[str, ...]:
    """`ThrottlingException` out of `ThrottlingException:http://internal.amazon.com/…`."""
    name = headers.get("x-amzn-errortype", "").partition(":")[0].rpartition("#")[2].strip()
    return (name.lower(),) if name else ()


def _name(value: Any) -> str | None:
    if isinstance(value, str) and value.strip():
        return value.strip()[:200]
    return None


def _http_status(*objects: Mapping[str, Any]) -> int | None:
    for error in objects:
        for key in ("code", "status", "statusCode", "status_code", "http_code"):
            value = error.get(key)
            if isinstance(value, str) and len(value) == 3 and value.isdecimal():
                value = int(value)
            if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
                return value
    return None


def _page(text: str) -> str:
    """The words of an HTML or XML page: its title, else its text."""
    title = _TITLE.search(text)
    words = title.group(1) if title else _TAG.sub(" ", text)
    return " ".join(html.unescape(words).split())


def phrase(status: int) -> str:
    """ "429 Too Many Requests"; the number alone where it has no name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
