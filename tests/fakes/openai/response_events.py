"""A response of the Responses API as the events that it is streamed in."""

from __future__ import annotations

from collections.abc import Iterator

from ..reply import event
from ..script import halves, pieces
from .objects import Object


def events_of(response: Object) -> list[bytes]:
    numbered = (
        {"type": kind, "sequence_number": number} | data
        for number, (kind, data) in enumerate(_events(response))
    )
    return [event(data, data["type"]) for data in numbered]


Event = tuple[str, Object]


def _events(response: Object) -> Iterator[Event]:
    started = response | {
        "status": "in_progress",
        "completed_at": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }
    yield "response.created", {"response": started}
    yield "response.in_progress", {"response": started}
    for index, item in enumerate(response["output"]):
        yield from _item(index, item)
    yield f"response.{response['status']}", {"response": response}


def _item(index: int, item: Object) -> Iterator[Event]:
    kinds = {"message": _message, "function_call": _call, "reasoning": _reasoning}
    empty = {"message": {"content": []}, "function_call": {"arguments": ""}}
    empty["reasoning"] = {"summary": []}
    opened = item | empty[item["type"]]
    if "status" in item:
        opened["status"] = "in_progress"
    yield "response.output_item.added", {"output_index": index, "item": opened}
    place = {"item_id": item["id"], "output_index": index}
    yield from kinds[item["type"]](item, place)
    yield "response.output_item.done", {"output_index": index, "item": item}


def _message(item: Object, place: Object) -> Iterator[Event]:
    for index, part in enumerate(item["content"]):
        here = place | {"content_index": index}
        field = "text" if part["type"] == "output_text" else "refusal"
        name = "response.output_text" if field == "text" else "response.refusal"
        extra: Object = {"logprobs": []} if field == "text" else {}
        yield "response.content_part.added", here | {"part": part | {field: ""}}
        for piece in pieces(part[field]):
            yield f"{name}.delta", here | {"delta": piece} | extra
        yield f"{name}.done", here | {field: part[field]} | extra
        yield "response.content_part.done", here | {"part": part}


def _call(item: Object, place: Object) -> Iterator[Event]:
    name = "response.function_call_arguments"
    for half in halves(item["arguments"]):
        yield f"{name}.delta", place | {"delta": half}
    yield f"{name}.done", place | {"name": item["name"], "arguments": item["arguments"]}


def _reasoning(item: Object, place: Object) -> Iterator[Event]:
    for index, part in enumerate(item["summary"]):
        here = place | {"summary_index": index}
        yield "response.reasoning_summary_part.added", here | {"part": part | {"text": ""}}
        for piece in pieces(part["text"]):
            yield "response.reasoning_summary_text.delta", here | {"delta": piece}
        yield "response.reasoning_summary_text.done", here | {"text": part["text"]}
        yield "response.reasoning_summary_part.done", here | {"part": part}
