"""Mocked answers of Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ... import json_text
from .answer import Builder, Mocked, count, function_of, make_id, named_event, words


def _message(mocked: Mocked) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if mocked.text or not mocked.tool_calls:
        content.append({"type": "text", "text": mocked.text})
    for call in mocked.tool_calls:
        name, arguments = function_of(call)
        content.append(
            {"type": "tool_use", "id": call.get("id", ""), "name": name, "input": arguments}
        )
    used = count(mocked, [mocked.body.get("system"), mocked.body.get("messages")])
    return {
        "id": make_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": mocked.model,
        "content": content,
        "stop_reason": "tool_use" if mocked.tool_calls else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": used["prompt_tokens"],
            "output_tokens": used["completion_tokens"],
        },
    }


def _message_frames(mocked: Mocked) -> Iterator[bytes]:
    message = _message(mocked)
    used = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**used, "output_tokens": 1}}
    yield named_event({"type": "message_start", "message": begun})
    for index, block in enumerate(message["content"]):
        text = block["type"] == "text"
        opened = {**block, "text": ""} if text else {**block, "input": {}}
        yield named_event({"type": "content_block_start", "index": index, "content_block": opened})
        for delta in _block_deltas(block):
            yield named_event({"type": "content_block_delta", "index": index, "delta": delta})
        yield named_event({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield named_event({"type": "message_delta", "delta": stop, "usage": used})
    yield named_event({"type": "message_stop"})


def _block_deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": word} for word in words(block["text"]))
    else:
        arguments = json_text.dumps(block["input"]).decode()
        yield {"type": "input_json_delta", "partial_json": arguments}


MESSAGES = Builder(_message, _message_frames)
