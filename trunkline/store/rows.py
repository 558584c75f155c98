"""The rows that are kept of routing: see `routing_records.py`."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from ..dataclass import dataclass


@dataclass(frozen=True, slots=True)
class RoutingRecord:
    """A call that a learned strategy routed.

    at: when it ended, ISO 8601 UTC. query_text: where content is captured; else None.
    embedding: float16 of the query, little-endian. model: the label that answered.
    scores: JSON object of labels and scores. cost_nano: nano-dollars; None where no price is known.
    status: "ok", or the kind of the failure.
    """

    call_id: str
    at: str
    strategy: str
    bundle: str
    query_text: str | None
    embedding: bytes | None
    embedder_sha256: str | None
    user_id: str
    model: str
    deployment: str
    group_name: str
    scores: str
    input_tokens: int | None
    output_tokens: int | None
    cost_nano: int | None
    latency_ms: float
    status: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody thinks of an answer. score: from 0 to 1. source: who says so."""

    call_id: str
    at: str
    score: float
    comment: str
    source: str


Row = RoutingRecord | Feedback


def values(row: Row) -> tuple[Any, ...]:
    """Of a row's fields, in their order; of texts, what every database can hold."""
    return tuple(_storable(each) if isinstance(each, str) else each for each in astuple(row))


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()
