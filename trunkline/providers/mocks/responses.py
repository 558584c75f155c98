"""Mocked answers of OpenAI's Responses API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from .answer import Builder, Mocked, count, make_id, named_event, words


def _response(mocked: Mocked) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    if mocked.text or not mocked.tool_calls:
        part = {"type": "output_text", "text": mocked.text, "annotations": []}
        output.append(
            {
                "type": "message",
                "id": make_id("msg_"),
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    output += [
        {
            "type": "function_call",
            "id": make_id("fc_"),
            "status": "completed",
            "call_id": call.get("id", make_id("call_")),
            **call["function"],
        }
        for call in mocked.tool_calls
    ]
    used = count(mocked, [mocked.body.get("instructions"), mocked.body.get("input")])
    return {
        "id": make_id("resp_"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": mocked.body.get("instructions"),
        "max_output_tokens": mocked.body.get("max_output_tokens"),
        "model": mocked.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": mocked.body.get("previous_response_id"),
        "store": False,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "metadata": {},
        "usage": {
            "input_tokens": used["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": used["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used["total_tokens"],
        },
    }


def _response_frames(mocked: Mocked) -> Iterator[bytes]:
    response = _response(mocked)
    for number, event in enumerate(_response_events(response)):
        yield named_event({**event, "sequence_number": number})


def _response_events(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(response["output"]):
        empty: dict[str, Any] = {"content": []} if item["type"] == "message" else {"arguments": ""}
        opened = {**item, "status": "in_progress", **empty}
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        where = {"item_id": item["id"], "output_index": index}
        yield from (
            _text_events(item, where) if item["type"] == "message" else _call_events(item, where)
        )
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": response}


def _text_events(item: dict[str, Any], where: dict[str, Any]) -> Iterator[dict[str, Any]]:
    part = item["content"][0]
    where = {**where, "content_index": 0}
    yield {"type": "response.content_part.added", **where, "part": {**part, "text": ""}}
    for word in words(part["text"]):
        yield {"type": "response.output_text.delta", **where, "delta": word, "logprobs": []}
    text = part["text"]
    yield {"type": "response.output_text.done", **where, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": part}


def _call_events(item: dict[str, Any], where: dict[str, Any]) -> Iterator[dict[str, Any]]:
    arguments, name = item.get("arguments", ""), item.get("name", "")
    kind = "response.function_call_arguments"
    yield {"type": f"{kind}.delta", **where, "delta": arguments}
    yield {"type": f"{kind}.done", **where, "name": name, "arguments": arguments}


RESPONSES = Builder(_response, _response_frames)
