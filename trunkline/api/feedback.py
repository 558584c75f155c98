"""What clients think of answers: the labels that the next router is trained on."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends, Request

from ..deadline import Alarms
from ..errors import InvalidRequest
from ..gateway import Gateway
from ..store.rows import Feedback
from ..telemetry import logs
from .access import required
from .http import read_body
from .requests import json_object

log = logging.getLogger("trunkline.feedback")

LONGEST_COMMENT = 4000
LARGEST_BODY = 64 * 1024
"""Bytes."""

_CALL_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_THUMBS = {"up": 1.0, "down": 0.0}
_FIELDS = frozenset({"call_id", "score", "thumbs", "comment"})

_REQUEST = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["call_id"],
                    "properties": {
                        "call_id": {
                            "type": "string",
                            "description": "The answer's header `x-trunkline-call-id`",
                        },
                        "score": {"type": "number", "minimum": 0, "maximum": 1},
                        "thumbs": {"type": "string", "enum": list(_THUMBS)},
                        "comment": {"type": "string", "maxLength": LONGEST_COMMENT},
                    },
                }
            }
        },
    }
}


def router(gateway: Gateway, alarms: Alarms) -> APIRouter:
    routes = APIRouter(tags=["routing"], dependencies=[Depends(required(gateway))])

    @routes.post("/v1/feedback", summary="Judge an answer", openapi_extra=_REQUEST)
    @routes.post("/feedback", summary="Judge an answer", openapi_extra=_REQUEST)
    async def feedback(request: Request) -> dict[str, Any]:
        given = read_feedback(await read_body(request.receive, LARGEST_BODY, alarms))
        recorder = gateway.serving.recorder
        if recorder is not None:
            recorder.judged(given)
        if gateway.serving.router.learned is not None:
            await gateway.serving.router.learned.judged(given.call_id, given.score)
        logs.tell(log, "feedback", {"call_id": given.call_id, "score": given.score})
        return {"call_id": given.call_id, "score": given.score, "stored": recorder is not None}

    return routes


def read_feedback(body: bytes) -> Feedback:
    """The judgement in a request's body. Raises InvalidRequest."""
    fields = json_object(body)
    for name in fields.keys() - _FIELDS:
        raise InvalidRequest(f"Unknown parameter: '{name[:80]}'.", param=name[:80])
    return Feedback(
        call_id=_call_id(fields.get("call_id")),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        score=_score(fields),
        comment=_comment(fields.get("comment", "")),
        source="api",
    )


def _call_id(value: Any) -> str:
    if not isinstance(value, str) or not _CALL_ID.fullmatch(value):
        raise InvalidRequest(
            "'call_id' must be what the answer's header x-trunkline-call-id says.", param="call_id"
        )
    return value


def _score(fields: dict[str, Any]) -> float:
    score, thumbs = fields.get("score"), fields.get("thumbs")
    if (score is None) == (thumbs is None):
        raise InvalidRequest("Give either 'score' or 'thumbs'.", param="score")
    if thumbs is not None:
        if not isinstance(thumbs, str) or thumbs not in _THUMBS:
            raise InvalidRequest("'thumbs' must be 'up' or 'down'.", param="thumbs")
        return _THUMBS[thumbs]
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise InvalidRequest("'score' must be a number from 0 to 1.", param="score")
    return float(score)


def _comment(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_COMMENT:
        raise InvalidRequest(
            f"'comment' must be a string of at most {LONGEST_COMMENT} characters.", param="comment"
        )
    return value
