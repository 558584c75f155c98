"""Converse and ConverseStream. Source: the API reference of the Bedrock runtime."""

from __future__ import annotations

from typing import Any

import orjson

from ..model import Ask, Content, offered, speak
from ..reply import Exchange, Reply, ok, stream
from ..script import halves, pieces, text_of, tokens_of
from . import eventstream

Object = dict[str, Any]

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_SIGNATURE = "RmFrZVNpZ25hdHVyZQ=="


def converse(x: Exchange) -> Reply:
    content = _content(x, x.json)
    message = {"role": "assistant", "content": _blocks(x, content)}
    return ok(
        {
            "metrics": {"latencyMs": 7},
            "output": {"message": message},
            "stopReason": _stop_reason(content),
            "usage": _usage(content),
        }
    )


def converse_stream(x: Exchange) -> Reply:
    content = _content(x, x.json)
    events: list[tuple[str, Object]] = [("messageStart", {"role": "assistant"})]
    for index, block in enumerate(_blocks(x, content)):
        start, deltas = _streamed(block)
        if start:
            events.append(("contentBlockStart", {"contentBlockIndex": index, "start": start}))
        events += [
            ("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas
        ]
        events.append(("contentBlockStop", {"contentBlockIndex": index}))
    events.append(("messageStop", {"stopReason": _stop_reason(content)}))
    events.append(("metadata", {"usage": _usage(content), "metrics": {"latencyMs": 7}}))
    # Bedrock pads its events with `p`, so that their lengths say nothing of the text.
    padded = [
        eventstream.event(kind, data | {"p": "abcdefghijklmnop"[: 1 + number % 16]})
        for number, (kind, data) in enumerate(events)
    ]
    return stream(padded, eventstream.CONTENT_TYPE)


def count_tokens(x: Exchange) -> Reply:
    asked = x.json.get("input") or {}
    return ok({"inputTokens": _input_tokens(asked.get("converse") or {})})


def _content(x: Exchange, body: Object) -> Content:
    messages = body.get("messages") or []
    heard = next((m for m in reversed(messages) if m.get("role") == "user"), {})
    answered = any("toolResult" in part for part in heard.get("content") or ())
    config = body.get("inferenceConfig") or {}
    extra = body.get("additionalModelRequestFields") or {}
    thinking = (extra.get("thinking") or extra.get("reasoning_config") or {}).get("type")
    ask = Ask(
        heard=text_of(heard.get("content")),
        input_tokens=_input_tokens(body),
        tools=() if answered else _tools(body.get("toolConfig") or {}),
        stops=tuple(config.get("stopSequences") or ()),
        limit=config.get("maxTokens"),
        thinks=thinking in ("enabled", "adaptive"),
    )
    return speak(x.script, ask)


def _input_tokens(body: Object) -> int:
    said = [body.get("system") or "", *(m.get("content") for m in body.get("messages") or ())]
    return sum(map(tokens_of, said))


def _tools(config: Object) -> tuple[tuple[str, Object], ...]:
    specs = (tool["toolSpec"] for tool in config.get("tools") or () if "toolSpec" in tool)
    only = ((config.get("toolChoice") or {}).get("tool") or {}).get("name")
    return offered(((spec["name"], spec["inputSchema"]["json"]) for spec in specs), only=only)


def _stop_reason(content: Content) -> str:
    return _STOP_REASONS.get(content.finish_reason, content.finish_reason)


def _usage(content: Content) -> Object:
    """`inputTokens` leaves out what was read from or written to the cache."""
    cached, created = content.cached_tokens, content.cache_creation_tokens
    return {
        "inputTokens": content.input_tokens - cached - created,
        "outputTokens": content.output_tokens,
        "totalTokens": content.input_tokens + content.output_tokens,
        "cacheReadInputTokens": cached,
        "cacheWriteInputTokens": created,
    }


def _blocks(x: Exchange, content: Content) -> list[Object]:
    blocks: list[Object] = []
    if content.reasoning:
        thought = {"text": content.reasoning, "signature": _SIGNATURE}
        blocks.append({"reasoningContent": {"reasoningText": thought}})
    if content.text or not content.tool_calls:
        blocks.append({"text": content.text})
    for call in content.tool_calls:
        call_id = call.id or x.provider.new_id("tooluse_", 22)
        blocks.append(
            {"toolUse": {"toolUseId": call_id, "name": call.name, "input": call.arguments}}
        )
    return blocks


def _streamed(block: Object) -> tuple[Object | None, list[Object]]:
    """How a block starts, if it announces itself, and the deltas that fill it."""
    if "text" in block:
        return None, [{"text": piece} for piece in pieces(block["text"])]
    if "reasoningContent" in block:
        thought = block["reasoningContent"]["reasoningText"]
        deltas = [{"reasoningContent": {"text": piece}} for piece in pieces(thought["text"])]
        return None, [*deltas, {"reasoningContent": {"signature": thought["signature"]}}]
    use = block["toolUse"]
    text = orjson.dumps(use["input"]).decode()
    start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
    return start, [{"toolUse": {"input": half}} for half in halves(text)]
