"""Chat, in the second version of the API and in the first.

The second streams named server-sent events and ends with [DONE], the first JSON in lines, unless
the request's `Accept` asks for the other. The reference says so of the first only; of the second it
is inferred from clients: the official SDK (any type) reads events, LiteLLM (JSON) reads lines.
Source: the API reference of Chat and its guide to streaming.
"""

from __future__ import annotations

from typing import Any

import orjson

from ..model import Ask, Content, arguments_of, offered, speak
from ..reply import Exchange, Refused, Reply, event, ok, stream
from ..script import halves, pieces, text_of, tokens_of

Object = dict[str, Any]

_FINISH_REASONS = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}
_JSON_LINES = "application/stream+json"
_PARAMETER_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def chat(x: Exchange) -> Reply:
    body = asked(x, "model", "messages")
    messages: list[Object] = body["messages"]
    heard = next((m for m in reversed(messages) if m.get("role") in ("user", "tool")), {})
    answered = messages[-1].get("role") == "tool"
    wanted = body.get("response_format") or {}
    schema = wanted.get("json_schema") or wanted.get("schema") or {}
    ask = Ask(
        heard=text_of(heard.get("content")),
        input_tokens=sum(tokens_of(m.get("content")) for m in messages),
        tools=() if answered or body.get("tool_choice") == "NONE" else _tools(body),
        schema=schema if wanted.get("type") == "json_object" else None,
        stops=tuple(body.get("stop_sequences") or ()),
        limit=body.get("max_tokens"),
        thinks=(body.get("thinking") or {}).get("type") == "enabled",
    )
    content = speak(x.script, ask)
    message = _message(x, content)
    answer_id = x.provider.new_id("", 36)
    end = {"finish_reason": _finish_reason(content), "usage": _usage(content)}
    if not body.get("stream"):
        return ok({"id": answer_id, "message": message, **end})
    events = _events(answer_id, message, end)
    if "json" in x.recorded.headers.get("accept", ""):
        return _lines(events)
    return stream([*(event(one, one["type"]) for one in events), event("[DONE]")])


def _lines(events: list[Object]) -> Reply:
    return stream([orjson.dumps(one) + b"\n" for one in events], _JSON_LINES)


def asked(x: Exchange, *names: str) -> Object:
    body = x.json
    for name in names:
        if name not in body:
            message = f"invalid request: {name} is required"
            raise Refused(x.provider.error(400, message))
    if x.provider.models is not None and body.get("model") not in x.provider.models:
        raise Refused(x.provider.failure("model_not_found", x))
    return body


def _tools(body: Object) -> tuple[tuple[str, Object], ...]:
    functions = (tool["function"] for tool in body.get("tools") or ())
    return offered((one["name"], one.get("parameters") or {}) for one in functions)


def _finish_reason(content: Content) -> str:
    return _FINISH_REASONS.get(content.finish_reason, content.finish_reason)


def _usage(content: Content) -> Object:
    figures = {"input_tokens": content.input_tokens, "output_tokens": content.output_tokens}
    usage: Object = {"billed_units": figures, "tokens": figures}
    return usage | {"cached_tokens": content.cached_tokens}


def _message(x: Exchange, content: Content) -> Object:
    message: Object = {"role": "assistant"}
    blocks = []
    if content.reasoning:
        blocks.append({"type": "thinking", "thinking": content.reasoning})
    if content.tool_calls:
        message["tool_plan"] = "I will use the tools."
        message["tool_calls"] = [
            {
                "id": call.id or x.provider.new_id(f"{call.name}_", 12),
                "type": "function",
                "function": {"name": call.name, "arguments": arguments_of(call)},
            }
            for call in content.tool_calls
        ]
    if content.text or not content.tool_calls:
        blocks.append({"type": "text", "text": content.text})
    return message | ({"content": blocks} if blocks else {})


def _events(answer_id: str, message: Object, end: Object) -> list[Object]:
    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    found: list[Object] = [{"type": "message-start", "id": answer_id, "delta": {"message": empty}}]

    def add(kind: str, index: int | None = None, **inner: Any) -> None:
        place = {} if index is None else {"index": index}
        delta = {"delta": {"message": inner}} if inner else {}
        found.append({"type": kind} | place | delta)

    for index, block in enumerate(message.get("content", ())):
        field = block["type"]
        add("content-start", index, content={"type": field, field: ""})
        for piece in pieces(block[field]):
            add("content-delta", index, content={field: piece})
        add("content-end", index)
    for piece in pieces(message.get("tool_plan", "")):
        add("tool-plan-delta", tool_plan=piece)
    for index, call in enumerate(message.get("tool_calls", ())):
        opened = call | {"function": {"name": call["function"]["name"], "arguments": ""}}
        add("tool-call-start", index, tool_calls=opened)
        for half in halves(call["function"]["arguments"]):
            add("tool-call-delta", index, tool_calls={"function": {"arguments": half}})
        add("tool-call-end", index)
    found.append({"type": "message-end", "delta": end})
    return found


def chat_v1(x: Exchange) -> Reply:
    body = asked(x, "message")
    history: list[Object] = body.get("chat_history") or []
    read = [body.get("preamble") or "", body["message"], *(m.get("message") for m in history)]
    ask = Ask(
        heard=body["message"],
        input_tokens=sum(map(tokens_of, read)),
        tools=() if body.get("tool_results") else _tools_v1(body),
        stops=tuple(body.get("stop_sequences") or ()),
        limit=body.get("max_tokens"),
    )
    content = speak(x.script, ask)
    answer = _answer_v1(x, content)
    if not body.get("stream"):
        return ok(answer)
    generation = answer["generation_id"]
    lines: list[Object] = [{"event_type": "stream-start", "generation_id": generation}]
    lines += [{"event_type": "text-generation", "text": piece} for piece in pieces(content.text)]
    if answer["tool_calls"]:
        lines.append({"event_type": "tool-calls-generation", "tool_calls": answer["tool_calls"]})
    end = {"event_type": "stream-end", "finish_reason": answer["finish_reason"], "response": answer}
    events = [{"is_finished": False} | line for line in lines] + [{"is_finished": True} | end]
    if "text/event-stream" in x.recorded.headers.get("accept", ""):
        return stream([event(one, one["event_type"]) for one in events])
    return _lines(events)


def _tools_v1(body: Object) -> tuple[tuple[str, Object], ...]:
    return offered(
        (
            tool["name"],
            {
                "properties": {
                    name: {"type": _PARAMETER_TYPES.get(one.get("type", ""), "string")}
                    for name, one in (tool.get("parameter_definitions") or {}).items()
                }
            },
        )
        for tool in body.get("tools") or ()
    )


def _answer_v1(x: Exchange, content: Content) -> Object:
    calls = [{"name": call.name, "parameters": call.arguments} for call in content.tool_calls]
    figures = {"input_tokens": content.input_tokens, "output_tokens": content.output_tokens}
    meta = {"api_version": {"version": "1"}, "billed_units": figures, "tokens": figures}
    return {
        "response_id": x.provider.new_id("", 36),
        "text": content.text,
        "generation_id": x.provider.new_id("", 36),
        "chat_history": [{"role": "CHATBOT", "message": content.text}],
        "finish_reason": "COMPLETE" if calls else _finish_reason(content),
        "tool_calls": calls,
        "meta": meta,
    }
