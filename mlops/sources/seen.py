"""What one source tells of a call. Several sources may tell of the same one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

FINE = "ok"


@dataclass(slots=True)
class Seen:
    """Of a call, as much as is known; what isn't is empty.

    query: where content was captured. embedding: of the query, with the SHA-256 of its embedder.
    model: the label that answered. status: `FINE`, or how it failed. score: feedback in [0, 1].
    """

    call_id: str
    query: str = ""
    embedding: tuple[float, ...] = ()
    embedder_sha256: str = ""
    user: str = ""
    model: str = ""
    output_tokens: float | None = None
    status: str = ""
    score: float | None = None


_TOLD = tuple(field.name for field in fields(Seen) if field.name != "call_id")
_NOTHING: tuple[object, ...] = ("", (), None)


def joined(sightings: Iterable[Seen]) -> dict[str, Seen]:
    """What all sources tell of each call together; the later tells it better."""
    calls: dict[str, Seen] = {}
    for seen in sightings:
        known = calls.setdefault(seen.call_id, seen)
        for name in _TOLD:
            value = getattr(seen, name)
            if value not in _NOTHING:
                setattr(known, name, value)
    return calls
