"""Calls in the gateway's own logs, written as JSON: which model answered, and what it was worth.

Logs hold no prompts and no embeddings: they complete what another source tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .seen import Seen

ROUTED = "routed"
FEEDBACK = "feedback"


def calls(event: Mapping[str, Any]) -> Iterator[Seen]:
    """What one log line tells."""
    call_id, message = event.get("call_id"), event.get("message")
    if not isinstance(call_id, str):
        return
    if message == ROUTED and isinstance(event.get("label"), str):
        yield Seen(call_id, model=event["label"])
    score = event.get("score")
    if message == FEEDBACK and isinstance(score, int | float) and 0 <= score <= 1:
        yield Seen(call_id, score=float(score))
