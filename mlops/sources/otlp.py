"""Calls in OpenTelemetry's JSON (OTLP 1.x, "JSON Protobuf Encoding"): spans and log records.

Names are those of the semantic conventions for generative AI, which any instrumentation writes, and
the gateway's own. Prompts are there only where content capture was on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .seen import FINE, Seen

CALL_ID = "trunkline.call_id"
LABEL = "trunkline.label"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
INPUT_MESSAGES = "gen_ai.input.messages"
EVALUATION = "gen_ai.evaluation.result"
SCORE = "gen_ai.evaluation.score.value"
FEEDBACK = "feedback"
PARTS = {"trunkline.attempt", "trunkline.inner"}
"""What the gateway's spans have that are parts of a call only."""
USER = "user.id"
ERROR_TYPE = "error.type"
FAILED = 2
"""`STATUS_CODE_ERROR` of a span."""


def calls(document: Mapping[str, Any]) -> Iterator[Seen]:
    """What each span and each log record of an export request tells."""
    for resource in _objects(document.get("resourceSpans")):
        for scope in _objects(resource.get("scopeSpans")):
            for span in _objects(scope.get("spans")):
                yield from _span(span)
    for resource in _objects(document.get("resourceLogs")):
        for scope in _objects(resource.get("scopeLogs")):
            for record in _objects(scope.get("logRecords")):
                yield from _log(record)


def _span(span: Mapping[str, Any]) -> Iterator[Seen]:
    told = _attributes(span)
    # Spans of other programs have no call id: the span is the call.
    call_id = _text(told.get(CALL_ID)) or f"{span.get('traceId')}/{span.get('spanId')}"
    if PARTS & told.keys() or not {CALL_ID, REQUEST_MODEL, RESPONSE_MODEL} & told.keys():
        return
    code = span.get("status", {}).get("code")
    failed = ERROR_TYPE in told or code in {FAILED, "STATUS_CODE_ERROR"}
    model = told.get(LABEL) or told.get(RESPONSE_MODEL) or told.get(REQUEST_MODEL)
    yield Seen(
        call_id,
        query=last_question(told.get(INPUT_MESSAGES)),
        user=_text(told.get(USER)),
        model=_text(model),
        output_tokens=_number(told.get(OUTPUT_TOKENS)),
        status=_text(told.get(ERROR_TYPE)) or ("error" if failed else FINE),
    )
    for event in _objects(span.get("events")):
        if event.get("name") == EVALUATION:
            yield Seen(call_id, score=_share(_attributes(event).get(SCORE)))


def _log(record: Mapping[str, Any]) -> Iterator[Seen]:
    told = _attributes(record)
    name = record.get("eventName") or told.get("event.name") or _value(record.get("body", {}))
    if name not in {EVALUATION, FEEDBACK}:
        return
    call_id = _text(told.get(CALL_ID)) or _text(told.get("call_id"))
    score = _share(told.get(SCORE, told.get("score")))
    if call_id and score is not None:
        yield Seen(call_id, score=score)


def last_question(messages: Any) -> str:
    """The text of the user's last message, of `gen_ai.input.messages` as JSON or as it is."""
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except ValueError:
            return ""
    for message in reversed(_objects(messages)):
        if message.get("role") == "user":
            texts = [
                part.get("content")
                for part in _objects(message.get("parts"))
                if part.get("type") == "text"
            ]
            text = "\n".join(text for text in texts if isinstance(text, str))
            if text:
                return text
    return ""


def _attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {
        attribute["key"]: _value(attribute.get("value", {}))
        for attribute in _objects(holder.get("attributes"))
        if isinstance(attribute.get("key"), str)
    }


def _value(value: Any) -> Any:
    """What an AnyValue holds. Whole numbers are text there, since JSON's are too small."""
    if not isinstance(value, dict):
        return None
    for kind in ("stringValue", "doubleValue", "boolValue"):
        if kind in value:
            return value[kind]
    if "intValue" in value:
        return _number(value["intValue"])
    if "arrayValue" in value:
        return [_value(each) for each in _objects(value["arrayValue"].get("values"))]
    if "kvlistValue" in value:
        pairs = _objects(value["kvlistValue"].get("values"))
        return {pair.get("key"): _value(pair.get("value")) for pair in pairs}
    return None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _share(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None
