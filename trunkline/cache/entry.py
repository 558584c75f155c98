"""An answer as it is kept: its bytes, and what has to be known about them."""

from __future__ import annotations

from typing import Any

from .. import json_text
from ..call import Usage
from ..dataclass import dataclass

VERSION = 1
_SIZE = 4
"""Bytes of the length that a packed entry begins with."""
_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "reasoning_tokens",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """status, content_type: of the answer. chunks: its body; of a stream, as its chunks came.

    streamed: whether it is given again chunk by chunk. created: seconds since the epoch.
    usage: what the answer had cost. group: the `model_name` of the deployment that gave it.
    """

    status: int
    content_type: str
    chunks: tuple[bytes, ...]
    streamed: bool
    created: float
    usage: Usage
    group: str = ""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def packed(self) -> bytes:
        """As every store holds it: the length of the facts, the facts as JSON, the chunks."""
        facts = {
            "version": VERSION,
            "status": self.status,
            "type": self.content_type,
            "streamed": self.streamed,
            "created": self.created,
            "usage": [getattr(self.usage, name) for name in _COUNTS],
            "raw": self.usage.raw,
            "group": self.group,
            "sizes": [len(chunk) for chunk in self.chunks],
        }
        told = json_text.dumps(facts)
        return b"".join((len(told).to_bytes(_SIZE, "big"), told, *self.chunks))


def unpacked(data: bytes) -> Entry | None:
    """The entry; None for what no `packed` of this version made."""
    start = _SIZE + int.from_bytes(data[:_SIZE], "big")
    try:
        facts: dict[str, Any] = json_text.loads(data[_SIZE:start])
        if facts["version"] != VERSION or start + sum(facts["sizes"]) != len(data):
            return None
        chunks = []
        for size in facts["sizes"]:
            chunks.append(data[start : start + size])
            start += size
        counts = dict(zip(_COUNTS, facts["usage"], strict=True))
        return Entry(
            facts["status"],
            facts["type"],
            tuple(chunks),
            facts["streamed"],
            facts["created"],
            Usage(**counts, raw=facts["raw"]),
            facts["group"],
        )
    except (KeyError, TypeError, ValueError):
        return None
