"""The Responses API: create (whole and streamed), get, delete, cancel, input items.

Source: the API reference of Responses and of its streaming events.
"""

from __future__ import annotations

import time
from typing import Any

from ..model import Ask, Content, arguments_of, offered, speak
from ..reply import Exchange, Refused, Reply, ok, stream
from ..script import text_of, tokens_of
from .content import required
from .objects import Object, page
from .response_events import events_of

_ECHOED: Object = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields of a request that its response repeats, with their defaults."""


def create(x: Exchange) -> Reply:
    body = required(x, "model", "input")
    before = body.get("previous_response_id")
    earlier = _history(x, before) if before else []
    items = _items(body["input"])
    response = _response(x, body, [*earlier, *items])
    if body.get("store", True):
        x.provider.objects["responses"][response["id"]] = response
        x.provider.objects["inputs"][response["id"]] = {"items": items, "earlier": earlier}
    if body.get("background") and not body.get("stream"):
        return ok(response | {"status": "queued", "output": [], "usage": None})
    return stream(events_of(response)) if body.get("stream") else ok(response)


def _find(x: Exchange) -> Object:
    return _named(x, x.path["response"])


def _named(x: Exchange, wanted: str) -> Object:
    response = x.provider.objects["responses"].get(wanted)
    if response is None:
        raise Refused(x.provider.error(404, f"Response with id '{wanted}' not found."))
    return response


def _history(x: Exchange, response_id: str) -> list[Object]:
    response = _named(x, response_id)
    kept = x.provider.objects["inputs"][response_id]
    return [*kept["earlier"], *kept["items"], *response["output"]]


def _get(x: Exchange) -> Reply:
    response = _find(x)
    return stream(events_of(response)) if x.recorded.parameter("stream") == "true" else ok(response)


def _delete(x: Exchange) -> Reply:
    response = _find(x)
    del x.provider.objects["responses"][response["id"]]
    return ok({"id": response["id"], "object": "response", "deleted": True})


def _cancel(x: Exchange) -> Reply:
    response = _find(x)
    if not response["background"]:
        raise Refused(x.provider.error(400, "Cannot cancel a synchronous response."))
    response["status"] = "cancelled"
    return ok(response)


def _input_items(x: Exchange) -> Reply:
    items = x.provider.objects["inputs"][_find(x)["id"]]["items"]
    shown = [item | {"id": item.get("id") or f"msg_{number}"} for number, item in enumerate(items)]
    return ok(page(x, shown))


def _count_input(x: Exchange) -> Reply:
    body = x.json
    items = _items(body.get("input") or "")
    return ok({"object": "response.input_tokens", "input_tokens": _input_tokens(body, items)})


def _compact(x: Exchange) -> Reply:
    body = required(x, "model")
    items = _items(body.get("input") or "")
    item = {
        "id": x.provider.new_id("cmp_"),
        "type": "compaction",
        "encrypted_content": "RmFrZQ==",
    }
    return ok(
        {
            "id": x.provider.new_id("resp_", 48),
            "object": "response.compaction",
            "created_at": int(time.time()),
            "output": [*(i for i in items if i.get("role") == "user"), item],
            "usage": _usage(speak(x.script, Ask("", _input_tokens(body, items)))),
        }
    )


ROUTES = [
    ("POST", "/responses", create),
    ("POST", "/responses/input_tokens", _count_input),
    ("POST", "/responses/compact", _compact),
    ("GET", "/responses/{response}", _get),
    ("DELETE", "/responses/{response}", _delete),
    ("POST", "/responses/{response}/cancel", _cancel),
    ("GET", "/responses/{response}/input_items", _input_items),
]


def _items(given: Any) -> list[Object]:
    """The input as items; plain messages get the type that they may leave out."""
    if isinstance(given, str):
        content = [{"type": "input_text", "text": given}]
        return [{"type": "message", "role": "user", "content": content, "status": "completed"}]
    return [_item(item) for item in given]


def _item(item: Object) -> Object:
    if item.get("type", "message") != "message":
        return item
    content = item.get("content")
    if isinstance(content, str):
        kind = "output_text" if item.get("role") == "assistant" else "input_text"
        content = [{"type": kind, "text": content}]
    return {"type": "message", "status": "completed", **item, "content": content}


def _said_in(item: Object) -> Any:
    return item.get("output") if item.get("type") == "function_call_output" else item.get("content")


def _input_tokens(body: Object, items: list[Object]) -> int:
    said = [body.get("instructions") or "", *(_said_in(item) or "" for item in items)]
    return sum(map(tokens_of, said))


def _content(x: Exchange, body: Object, items: list[Object]) -> Content:
    heard = next(
        (
            item
            for item in reversed(items)
            if item.get("role") == "user" or item.get("type") == "function_call_output"
        ),
        {},
    )
    answered = bool(items) and items[-1].get("type") == "function_call_output"
    wanted = (body.get("text") or {}).get("format") or {}
    schema = wanted.get("schema") if wanted.get("type") == "json_schema" else None
    ask = Ask(
        heard=text_of(_said_in(heard)),
        input_tokens=_input_tokens(body, items),
        tools=() if answered else _tools(body),
        schema={} if wanted.get("type") == "json_object" else schema,
        limit=body.get("max_output_tokens"),
        thinks=(body.get("reasoning") or {}).get("effort") not in (None, "none"),
    )
    return speak(x.script, ask)


def _tools(body: Object) -> tuple[tuple[str, Object], ...]:
    choice = body.get("tool_choice") or "auto"
    if choice == "none":
        return ()
    functions = (tool for tool in body.get("tools") or () if tool.get("type") == "function")
    return offered(
        ((tool["name"], tool.get("parameters") or {}) for tool in functions),
        only=choice.get("name") if isinstance(choice, dict) else None,
        parallel=body.get("parallel_tool_calls") is not False,
    )


def _response(x: Exchange, body: Object, items: list[Object]) -> Object:
    content = _content(x, body, items)
    cut = content.finish_reason == "length"
    now = int(time.time())
    return {
        "id": x.provider.new_id("resp_", 48),
        "object": "response",
        "created_at": now,
        "status": "incomplete" if cut else "completed",
        "completed_at": None if cut else now,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        **{name: body.get(name) or default for name, default in _ECHOED.items()},
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "store": body.get("store", True),
        "model": x.script.model or body["model"],
        "output": _output(x, body, content),
        "usage": _usage(content),
    }


def _usage(content: Content) -> Object:
    return {
        "input_tokens": content.input_tokens,
        "input_tokens_details": {
            "cached_tokens": content.cached_tokens,
            "cache_write_tokens": content.cache_creation_tokens,
        },
        "output_tokens": content.output_tokens,
        "output_tokens_details": {"reasoning_tokens": content.reasoning_tokens},
        "total_tokens": content.input_tokens + content.output_tokens,
    }


def _output(x: Exchange, body: Object, content: Content) -> list[Object]:
    """Reasoning (its summary only when asked for), then the calls or the message."""
    new_id = x.provider.new_id
    output: list[Object] = []
    if content.reasoning:
        summarised = (body.get("reasoning") or {}).get("summary") or x.script.reasoning
        summary = [{"type": "summary_text", "text": content.reasoning}] if summarised else []
        output.append({"id": new_id("rs_", 48), "type": "reasoning", "summary": summary})
    output += [
        {
            "id": new_id("fc_", 48),
            "type": "function_call",
            "status": "completed",
            "call_id": call.id or new_id("call_"),
            "name": call.name,
            "arguments": arguments_of(call),
        }
        for call in content.tool_calls
    ]
    if content.text or content.refusal or not content.tool_calls:
        output.append(_message(x, content))
    return output


def _message(x: Exchange, content: Content) -> Object:
    said: Object = {
        "type": "output_text",
        "annotations": [],
        "logprobs": [],
        "text": content.text,
    }
    if content.refusal:
        said = {"type": "refusal", "refusal": content.refusal}
    return {
        "id": x.provider.new_id("msg_", 48),
        "type": "message",
        "status": "incomplete" if content.finish_reason == "length" else "completed",
        "role": "assistant",
        "content": [said],
    }
