"""LiteLLM's answers as the bytes that go to the client, in the client's wire.

As LiteLLM's proxy encodes them: fields that an answer leaves out stay out, and what a provider adds
is kept. Streams end as the API that the client speaks ends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import json_text
from ..call import Call, Headers
from . import failures
from .usage import read_answer, read_object

JSON = ("content-type", "application/json")
EVENTS = ("content-type", "text/event-stream")

_TEXT_FORMATS = {"text": "text/plain; charset=utf-8", "srt": "text/plain; charset=utf-8"}
_TEXT_FORMATS["vtt"] = _TEXT_FORMATS["srt"]
"""Transcriptions that OpenAI answers as text, by `response_format`."""

_VIDEOS = {"thumbnail": "image/webp", "spritesheet": "image/jpeg"}
"""What OpenAI's variants of a video are; LiteLLM gives bytes without their content type."""

_PROVIDER_PREFIX = "llm_provider-"
_KEPT = frozenset(
    {"x-request-id", "request-id", "apim-request-id", "x-amzn-requestid", "retry-after"}
)
_KEPT_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")


def encode(call: Call, result: Any) -> tuple[Headers, bytes]:
    """A whole answer's headers and body. Fills the call's usage.

    Raises ProviderError when the answer is of no kind that goes into a body.
    """
    headers = kept_headers(result)
    if call.operation.function == "acount_tokens":
        return [JSON, *headers], json_text.dumps(_count(call, result))
    if call.operation.function == "atranscription":
        kind = _TEXT_FORMATS.get(str(call.body.get("response_format")))
        if kind and isinstance(text := getattr(result, "text", None), str):
            return [("content-type", kind), *headers], text.encode()
    if isinstance(result, bytes):
        return [("content-type", _kind_of_bytes(call)), *headers], result
    if hasattr(result, "model_dump_json"):
        body = result.model_dump_json(by_alias=True, warnings=False).encode()
        read_answer(call.operation.usage, body, call.usage)
        return [JSON, *headers], body
    if isinstance(result, str):
        return [("content-type", "text/plain; charset=utf-8"), *headers], result.encode()
    if result is None or isinstance(result, dict | list | bool | int | float):
        read_object(call.operation.usage, result, call.usage)
        return [JSON, *headers], json_text.dumps(result)
    raise failures.malformed(f"it is of an unknown kind ({type(result).__name__})")


def encode_chunk(chunk: Any, *, named: bool) -> bytes:
    """One piece of a stream as a server-sent event.

    named: whether the event's type stands in an `event:` line too.
    """
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, str):
        return (
            chunk.encode() if chunk.startswith(("data:", "event:", ":")) else _event(chunk.encode())
        )
    if hasattr(chunk, "model_dump_json"):
        text = chunk.model_dump_json(exclude_none=True, exclude_unset=True, warnings=False)
        encoded = _event(text.encode())
    else:
        encoded = _event(json_text.dumps(chunk))
    kind = getattr(chunk, "type", None) if named else None
    if kind is None:
        return encoded
    return b"event: " + str(getattr(kind, "value", kind)).encode() + b"\n" + encoded


def kept_headers(result: Any) -> Headers:
    """The provider's headers that clients read: rate limits and the request's id."""
    hidden: Any = getattr(result, "_hidden_params", None)
    found = hidden.get("additional_headers") if hasattr(hidden, "get") else None
    if not isinstance(found, Mapping):
        return []
    kept: dict[str, str] = {}
    for name, value in found.items():
        plain_name = str(name).lower().removeprefix(_PROVIDER_PREFIX)
        if plain_name in _KEPT or plain_name.startswith(_KEPT_PREFIXES):
            kept[plain_name] = str(value)
    return list(kept.items())


def plain(result: Any) -> Any:
    """An answer as JSON values."""
    return (
        result.model_dump(mode="json", warnings=False) if hasattr(result, "model_dump") else result
    )


def _kind_of_bytes(call: Call) -> str:
    if call.operation.function != "avideo_content":
        return "application/octet-stream"
    return _VIDEOS.get(dict(call.query).get("variant", ""), "video/mp4")


def _event(payload: bytes) -> bytes:
    return b"data: " + payload + b"\n\n"


def _count(call: Call, result: Any) -> dict[str, Any]:
    """The answer to a request for the number of tokens, in the client's wire."""
    original = result.original_response or {}
    match call.operation.wire.value:
        case "anthropic":
            return {"input_tokens": result.total_tokens}
        case "google":
            details = original.get("promptTokensDetails")
            counted = {"totalTokens": original.get("totalTokens") or result.total_tokens}
            return counted | ({"promptTokensDetails": details} if details else {})
    counted_by: dict[str, Any] = plain(result)
    return counted_by
