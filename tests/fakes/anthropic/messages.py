"""POST /v1/messages and /v1/messages/count_tokens.

Source: the API reference of Messages and its page on streaming.
"""

from __future__ import annotations

from typing import Any

import orjson

from ..model import Ask, Content, offered, speak
from ..reply import Exchange, Refused, Reply, event, ok, stream
from ..script import halves, pieces, text_of, tokens_of

_SIGNATURE = "RmFrZVNpZ25hdHVyZQ=="
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def create(x: Exchange) -> Reply:
    return answer(x, x.json)


def answer(x: Exchange, body: dict[str, Any]) -> Reply:
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            raise Refused(x.provider.error(400, f"{name}: Field required"))
    if x.provider.models is not None and body["model"] not in x.provider.models:
        raise Refused(x.provider.failure("model_not_found", x))
    content = content_of(x, body)
    message = whole(x, body, content)
    if not body.get("stream"):
        return ok(message)
    return stream([event(data, data["type"]) for data in event_objects(message)])


def count_tokens(x: Exchange) -> Reply:
    body = x.json
    if "messages" not in body:
        raise Refused(x.provider.error(400, "messages: Field required"))
    given = x.script.usage.input
    return ok({"input_tokens": _input_tokens(body) if given is None else given})


def content_of(x: Exchange, body: dict[str, Any]) -> Content:
    last = body["messages"][-1]
    heard = next((m for m in reversed(body["messages"]) if m.get("role") == "user"), {})
    ask = Ask(
        heard=text_of(heard.get("content")),
        input_tokens=_input_tokens(body),
        tools=() if _has_tool_result(last) else _tools(body),
        schema=_schema(body),
        stops=tuple(body.get("stop_sequences") or ()),
        limit=body.get("max_tokens"),
        thinks=(body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
    )
    return speak(x.script, ask)


def whole(x: Exchange, body: dict[str, Any], content: Content) -> dict[str, Any]:
    """The message; `usage.input_tokens` leaves out what was read from or written to the cache."""
    new_id = x.provider.new_id
    blocks: list[dict[str, Any]] = []
    if content.reasoning:
        blocks.append({"type": "thinking", "thinking": content.reasoning, "signature": _SIGNATURE})
    if content.text or not content.tool_calls:
        blocks.append({"type": "text", "text": content.text})
    for call in content.tool_calls:
        call_id = call.id or new_id("toolu_")
        blocks.append(
            {"type": "tool_use", "id": call_id, "name": call.name, "input": call.arguments}
        )
    said = text_of([block for block in blocks if block["type"] == "text"])
    stopped = _stop_sequence(x, body, said)
    reason = _STOP_REASONS.get(content.finish_reason, content.finish_reason)
    return {
        "id": new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": x.script.model or body["model"],
        "content": blocks,
        "stop_reason": "stop_sequence" if stopped and reason == "end_turn" else reason,
        "stop_sequence": stopped,
        "usage": usage_object(content),
    }


def usage_object(content: Content) -> dict[str, Any]:
    fresh = content.input_tokens - content.cached_tokens - content.cache_creation_tokens
    return {
        "input_tokens": fresh,
        "cache_creation_input_tokens": content.cache_creation_tokens,
        "cache_read_input_tokens": content.cached_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": content.cache_creation_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": content.output_tokens,
        "service_tier": "standard",
    }


def event_objects(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The events that a message is streamed in."""
    usage = message["usage"]
    opening = message | {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage | {"output_tokens": 1},
    }
    events: list[dict[str, Any]] = [{"type": "message_start", "message": opening}]
    for index, block in enumerate(message["content"]):
        started, deltas = _block(block)
        events.append({"type": "content_block_start", "index": index, "content_block": started})
        if index == 0:
            events.append({"type": "ping"})
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        events.append({"type": "content_block_stop", "index": index})
    ending = {name: message[name] for name in ("stop_reason", "stop_sequence")}
    events.append({"type": "message_delta", "delta": ending, "usage": _final(usage)})
    events.append({"type": "message_stop"})
    return events


def _final(usage: dict[str, Any]) -> dict[str, Any]:
    names = (
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
    )
    return {name: usage[name] for name in names}


def _block(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How a block starts, and the deltas that fill it."""
    if block["type"] == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        return block | {"text": ""}, deltas
    if block["type"] == "thinking":
        deltas = [
            {"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])
        ]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return block | {"thinking": "", "signature": ""}, deltas
    text = orjson.dumps(block["input"]).decode()
    deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", *halves(text))]
    return block | {"input": {}}, deltas


def _input_tokens(body: dict[str, Any]) -> int:
    said = [body.get("system") or "", *(m.get("content") for m in body["messages"])]
    return sum(map(tokens_of, said))


def _has_tool_result(message: dict[str, Any]) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(p.get("type") == "tool_result" for p in content)


def _tools(body: dict[str, Any]) -> tuple[tuple[str, dict[str, Any]], ...]:
    choice = body.get("tool_choice") or {}
    if choice.get("type") == "none":
        return ()
    tools = ((t["name"], t["input_schema"]) for t in body.get("tools") or () if "input_schema" in t)
    return offered(
        tools,
        only=choice.get("name"),
        parallel=not choice.get("disable_parallel_tool_use"),
    )


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return wanted.get("schema")


def _stop_sequence(x: Exchange, body: dict[str, Any], said: str) -> str | None:
    """The stop sequence that ended the echo, if one did."""
    if x.script.finish_reason:
        return None
    full = x.script.text
    if full is None:
        heard = next((m for m in reversed(body["messages"]) if m.get("role") == "user"), {})
        full = text_of(heard.get("content"))
    return next((s for s in body.get("stop_sequences") or () if s in full and s not in said), None)
