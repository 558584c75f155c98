"""What a provider said, where it didn't say how much it was: its texts, and about as many tokens.

A client that goes in mid-stream is charged for what was generated until then, and providers tell
the usage last. Some never tell it, and their answers are charged for all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..call import Call, Wire
from ..routing.prompt_size import USUAL_BYTES, text_bytes

_TEXTS = re.compile(
    rb'"(?:content|text|delta|thinking|reasoning_content|partial_json|arguments)"\s*:\s*'
    rb'"((?:[^"\\]|\\.)*)"'
)

_ENDS: Mapping[Wire, tuple[bytes, re.Pattern[bytes]]] = {
    Wire.OPENAI: (b"[DONE]", re.compile(rb"(?:^|\n)data: ?\[DONE\]")),
    Wire.ANTHROPIC: (b'"message_stop"', re.compile(rb'"type" ?: ?"message_stop"')),
    # Nothing says that a frame of Google's was the last.
}
"""What stands in the last frame of a stream: bytes to look for first, and what tells it from the
same in a text, which a client can have a model say: line breaks and quotes are escaped there.
"""

_FINAL: Mapping[Wire, bytes] = {Wire.ANTHROPIC: b'"message_delta"'}
"""What stands in the frame that tells the usage for good, where an earlier one tells a part."""

_TALKING = frozenset(
    {"chat", "completions", "messages", "responses", "generate_content", "embeddings"}
)
"""Operations that are charged by the tokens of texts."""


class Spoken:
    """What a stream has said until now, and whether the provider told how much that was."""

    __slots__ = ("_call", "_ends", "_final", "_size", "_told")

    def __init__(self, call: Call) -> None:
        wire = call.operation.wire
        self._call = call
        self._ends = _ENDS.get(wire)
        self._final = _FINAL.get(wire)
        self._size = 0
        self._told = False

    def hear(self, chunk: bytes) -> bool:
        """Takes the next piece, of whole frames; whether it ends the stream."""
        if not self._told:
            final = self._final is None or self._final in chunk
            self._told = final and self._call.usage.output_tokens is not None
            if not self._told:
                self._size += _text_size(chunk)
        ends = self._ends
        return ends is not None and ends[0] in chunk and ends[1].search(chunk) is not None

    def fill(self) -> None:
        """Sets the usage that the provider didn't tell, by what was sent and said."""
        if not self._told and self._size:
            _fill(self._call, self._size)


def fill_answer(call: Call, answer: bytes) -> None:
    """The same of a whole answer."""
    usage = call.usage
    if call.operation.name in _TALKING and usage.input_tokens is None:
        _fill(call, _text_size(answer))


def _text_size(chunk: bytes) -> int:
    """Bytes of the texts in a piece of an answer."""
    return sum(map(len, _TEXTS.findall(chunk)))


def _fill(call: Call, size: int) -> None:
    usage = call.usage
    if usage.input_tokens is None:
        usage.input_tokens = -(-text_bytes(call) // USUAL_BYTES)
    usage.output_tokens = max(usage.output_tokens or 0, -(-size // USUAL_BYTES))
