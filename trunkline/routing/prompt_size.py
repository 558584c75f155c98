"""A cheap estimate of how many tokens a request sends, from the length of its texts.

Counting with a tokenizer takes milliseconds and a tokenizer for each model. English takes about
four bytes a token, other languages and code fewer, and no text that people write more than six.
"""

from __future__ import annotations

from typing import Any

from ..call import Call

USUAL_BYTES = 4
MOST_BYTES = 6

_PROMPTS = (
    "messages",
    "input",
    "prompt",
    "instructions",
    "system",
    "tools",
    "contents",
    "systemInstruction",
    "system_instruction",
)
_BINARY = frozenset(
    {
        "image_url",
        "url",
        "data",
        "file_data",
        "b64_json",
        "inline_data",
        "inlineData",
        "input_audio",
    }
)
"""Fields whose length says nothing about tokens: images, sounds, files."""


def text_bytes(call: Call) -> int:
    """Bytes of the texts that the request sends to the model."""
    body = call.body
    return sum(size_of(body[name]) for name in _PROMPTS if name in body)


def size_of(value: Any) -> int:
    """Bytes of all texts in a JSON value; walks without recursion, since clients nest deeply."""
    total = 0
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            total += len(item) if item.isascii() else len(item.encode(errors="replace"))
        elif isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            pending += (part for name, part in item.items() if name not in _BINARY)
    return total
