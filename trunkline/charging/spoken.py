"""What a provider said, where it didn't say how much it was: its texts, and about as many tokens.

A client that goes in mid-stream is charged for what was generated until then, and providers tell
the usage last.
"""

from __future__ import annotations

import re

from ..call import Call
from ..routing.prompt_size import USUAL_BYTES, text_bytes

_TEXTS = re.compile(
    rb'"(?:content|text|delta|thinking|reasoning_content|partial_json|arguments)"\s*:\s*'
    rb'"((?:[^"\\]|\\.)*)"'
)


def text_size(chunk: bytes) -> int:
    """Bytes of the texts in a piece of an answer."""
    return sum(map(len, _TEXTS.findall(chunk)))


def fill_usage(call: Call, size: int) -> None:
    """Sets the usage that the provider didn't tell by what was sent and said.

    size: bytes of the texts that came.
    """
    usage = call.usage
    if usage.input_tokens is None:
        usage.input_tokens = -(-text_bytes(call) // USUAL_BYTES)
    if usage.output_tokens is None:
        usage.output_tokens = -(-size // USUAL_BYTES)
