"""What a provider's events tell of a realtime session: responses that begin and end, and what they
consumed.

Source: OpenAI's reference of Realtime's server events; the beta's names are the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from .. import json_text
from ..call import Usage
from ..dataclass import dataclass
from .figures import inner
from .usage import read_object

_HEAD = re.compile(r'\s*\{\s*(?:"event_id"\s*:\s*"[^"\\]*"\s*,\s*)?"type"\s*:\s*"([^"\\]*)"')
"""How events begin, so that hardly any is decoded or searched: audio comes in large ones."""


class Kind(StrEnum):
    """What an event tells. CONFIGURED: how the session is from now on."""

    CONFIGURED = "configured"
    BEGUN = "begun"
    ENDED = "ended"
    TRANSCRIBED = "transcribed"


@dataclass(frozen=True, slots=True)
class Event:
    """usage: of a response, or of a transcription. status: of a response ("cancelled").

    said: bytes of the texts of a response. transcriber: the model that writes down what is heard,
    where the session has one. transcribes: whether the session does nothing else.
    """

    kind: Kind
    usage: Usage | None = None
    status: str = ""
    said: int = 0
    transcriber: str = ""
    transcribes: bool = False


def read(text: str) -> Event | None:
    """What an event tells; None where that is nothing of interest here."""
    head = _HEAD.match(text)
    if head is not None:
        if head[1] not in _READERS:
            return None
    elif not any(mark in text for mark in _MARKS):
        return None
    try:
        event = json_text.loads(text.encode())
    except ValueError:
        return None
    name = event.get("type") if isinstance(event, dict) else None
    reader = _READERS.get(name) if isinstance(name, str) else None
    return reader(event) if reader is not None else None


def _configured(event: Mapping[str, Any]) -> Event:
    session = inner(event, "session")
    heard = inner(inner(inner(session, "audio"), "input"), "transcription")
    heard = heard or inner(session, "input_audio_transcription")
    kinds = (_text(session.get("type")), _text(event.get("type")).partition("_")[0])
    return Event(
        Kind.CONFIGURED,
        transcriber=_text(heard.get("model")),
        transcribes="transcription" in kinds,
    )


def _begun(event: Mapping[str, Any]) -> Event:
    return Event(Kind.BEGUN)


def _ended(event: Mapping[str, Any]) -> Event:
    response, usage = inner(event, "response"), Usage()
    read_object("responses", event, usage)
    said = _said(response.get("output"))
    return Event(Kind.ENDED, usage, _text(response.get("status")), said)


def _transcribed(event: Mapping[str, Any]) -> Event:
    usage = Usage()
    read_object("media", event, usage)
    return Event(Kind.TRANSCRIBED, usage)


def _said(output: Any) -> int:
    """Bytes of the texts among a response's items, as far as a model says them."""
    size = 0
    for item in output if isinstance(output, list) else ():
        if isinstance(item, dict):
            content = item.get("content")
            for part in (item, *(content if isinstance(content, list) else ())):
                if isinstance(part, dict):
                    size += sum(
                        len(_text(part.get(name)).encode(errors="replace")) for name in _SAID
                    )
    return size


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


_SAID = ("text", "transcript", "arguments")

_READERS: Mapping[str, Callable[[Mapping[str, Any]], Event]] = {
    "session.created": _configured,
    "session.updated": _configured,
    "transcription_session.created": _configured,
    "transcription_session.updated": _configured,
    "response.created": _begun,
    "response.done": _ended,
    "conversation.item.input_audio_transcription.completed": _transcribed,
}
_MARKS = tuple(f'"{name}"' for name in _READERS)
