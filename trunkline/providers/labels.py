"""Ids of objects: the tags of accounts on them, put on in answers and taken off in requests.

LiteLLM hides some ids in longer ones of its own (`resp_` and base64), which only LiteLLM can read.
Clients are given the provider's: what one lane made can then be asked for in the other.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from .. import json_text
from .sse import data_of, split

MARK = "_tl_"
MARK_BYTES = MARK.encode()

_TAGGED = re.compile(rf"(.+){MARK}([0-9a-f]{{8}})", re.DOTALL)

_REFERENCES = frozenset(
    """
    assistant_id batch_id container container_id conversation error_file_id file_id file_ids
    input_file_id output_file_id previous_interaction_id previous_response_id response_id
    result_files thread_id training_file upload_id validation_file vector_store_id vector_store_ids
    video_id
    """.split()
)
"""Fields whose values are ids of objects that live with an account."""

_OBJECTS = frozenset(
    """
    assistant batch container conversation file fine_tuning.job interaction response thread upload
    vector_store vector_store.file video
    """.split()
)
"""What OpenAI's `object` field says of things that have an id of their own in the account. Parts
of them (a message of a thread, a file of a container) are only asked for with the whole's id."""

_UNTOUCHED = frozenset({"metadata"})
"""Objects that belong to the client."""

_MARKS = (b'"response"', b'"thread_id"', b'"object":"thread"', b'"object": "thread"')
"""Without one of these a frame of a stream holds no id to tag."""


_HIDDEN = base64.b64encode(b"litellm:").rstrip(b"=")[:-1]
"""What base64 makes of the beginning of LiteLLM's own ids."""
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_HIDDEN_ID = re.compile(rb'(?<=")[a-z]+_(' + re.escape(_HIDDEN) + rb'[\w+/-]*)=*(?=")')
_PROVIDERS_ID = re.compile(rb"litellm:custom_llm_provider:.*;[a-z]+_id:(.+)", re.DOTALL)


def with_providers_ids(body: bytes) -> bytes:
    """JSON, or frames of a stream, with the provider's ids in place of LiteLLM's own."""
    return _HIDDEN_ID.sub(_providers_id, body) if _HIDDEN in body else body


def _providers_id(found: re.Match[bytes]) -> bytes:
    try:
        text = base64.b64decode(found[1].translate(_URL_SAFE) + b"==", altchars=b"-_")
    except (ValueError, binascii.Error):
        return found[0]
    inner = _PROVIDERS_ID.fullmatch(text)
    return inner[1] if inner else found[0]


def without(value: str, tags: set[str]) -> str:
    """The provider's id, without a tag, which is added to the tags."""
    found = _TAGGED.fullmatch(value) if MARK in value else None
    if found is not None:
        tags.add(found[2])
        value = found[1]
    if "_bGl0" in value:
        value = with_providers_ids(f'"{value}"'.encode())[1:-1].decode()
    return value


def take_off(body: Any, tags: set[str]) -> None:
    """Takes the tags off all ids in a decoded body, in place, and adds them to the tags."""
    for holder, name, value in _values(body):
        if isinstance(value, str) and (name == "id" or name in _REFERENCES):
            holder[name] = without(value, tags)
        elif isinstance(value, list) and name in _REFERENCES:
            holder[name] = [
                without(item, tags) if isinstance(item, str) else item for item in value
            ]


def put_on(body: bytes, tag: str) -> bytes:
    """An answer's JSON with the tag on all ids in it; bytes that are no JSON as they are."""
    try:
        decoded = json_text.loads(body)
    except ValueError:
        return body
    _put_on(decoded, tag)
    return json_text.dumps(decoded)


def put_on_frames(frames: bytes, tag: str) -> bytes:
    """Whole frames of a stream with the tag on all ids in them."""
    if not any(mark in frames for mark in _MARKS):
        return frames
    return b"".join(_frame(frame, tag) for frame in split(frames))


def _frame(frame: bytes, tag: str) -> bytes:
    payload = data_of(frame)
    if not payload.startswith(b"{") or not any(mark in payload for mark in _MARKS):
        return frame
    lines = [line for line in frame.splitlines() if line and not line.startswith(b"data:")]
    return b"\n".join([*lines, b"data: " + put_on(payload, tag), b"", b""])


def _put_on(decoded: Any, tag: str) -> None:
    if isinstance(decoded, dict) and "object" not in decoded and "type" not in decoded:
        _tag(decoded, "id", tag)
    for holder, name, value in _values(decoded):
        if name in _REFERENCES:
            _tag(holder, name, tag)
        elif name == "object" and _is_object(value):
            _tag(holder, "id", tag)
    if isinstance(decoded, dict) and isinstance(decoded.get("data"), list) and decoded["data"]:
        _tag_ends(decoded, tag)


def _is_object(kind: Any) -> bool:
    return isinstance(kind, str) and kind.removesuffix(".deleted") in _OBJECTS


def _tag_ends(page: dict[str, Any], tag: str) -> None:
    """A page's `first_id` and `last_id`, with which clients ask for the next one."""
    for name, index in (("first_id", 0), ("last_id", -1)):
        item = page["data"][index]
        if isinstance(item, dict) and item.get("id") == f"{page.get(name)}{MARK}{tag}":
            page[name] = item["id"]


def _tag(holder: dict[str, Any], name: str, tag: str) -> None:
    value = holder.get(name)
    if isinstance(value, str):
        holder[name] = _with(value, tag)
    elif isinstance(value, list):
        holder[name] = [_with(item, tag) if isinstance(item, str) else item for item in value]
    elif isinstance(value, dict) and name != "id":
        _tag(value, "id", tag)


def _with(value: str, tag: str) -> str:
    ending = f"{MARK}{tag}"
    return value if not value or value.endswith(ending) else value + ending


def _values(decoded: Any) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Every field of every object in a decoded value, with the object that holds it."""
    waiting = [decoded]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += [item for item in value if isinstance(item, dict | list)]
        elif isinstance(value, dict):
            for name, held in list(value.items()):
                if name in _UNTOUCHED:
                    continue
                if isinstance(held, dict | list):
                    waiting.append(held)
                yield value, name, held
