"""What a request needs of a model, in the names that LiteLLM's price map gives to capabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..call import Call

_PARTS = {
    "image_url": "supports_vision",
    "input_image": "supports_vision",
    "image": "supports_vision",
    "input_audio": "supports_audio_input",
    "document": "supports_pdf_input",
    "file": "supports_pdf_input",
    "input_file": "supports_pdf_input",
}
"""Types of content parts, of OpenAI's and Anthropic's APIs."""


def needed(call: Call) -> frozenset[str]:
    """The capabilities without which the request would fail."""
    return frozenset(_needed(call.body))


def _needed(body: dict[str, Any]) -> Iterator[str]:
    if body.get("tools") or body.get("functions"):
        yield "supports_function_calling"
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        yield "supports_response_schema"
    for name in ("messages", "input"):
        messages = body.get(name)
        for message in messages if isinstance(messages, list) else ():
            content = message.get("content") if isinstance(message, dict) else None
            for part in content if isinstance(content, list) else ():
                kind = part.get("type") if isinstance(part, dict) else None
                if isinstance(kind, str) and kind in _PARTS:
                    yield _PARTS[kind]
