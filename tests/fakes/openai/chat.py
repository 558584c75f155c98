"""POST /chat/completions."""

from __future__ import annotations

import time
from typing import Any

from ..model import Content, arguments_of
from ..reply import Exchange, Reply, event, ok, stream
from ..script import ToolCall, halves, pieces
from .content import chat_content, required, usage_object


def chat(x: Exchange) -> Reply:
    body = required(x, "model", "messages")
    return _streamed(x, body) if body.get("stream") else ok(completed(x, body))


ROUTES = [("POST", "/chat/completions", chat)]


def _base(x: Exchange, body: dict[str, Any], kind: str) -> dict[str, Any]:
    provider: Any = x.provider
    base = {
        "id": provider.new_id("chatcmpl-", 29),
        "object": kind,
        "created": int(time.time()),
        "model": x.script.model or body["model"],
    }
    if provider.system_fingerprint:
        base |= {"service_tier": "default", "system_fingerprint": provider.system_fingerprint}
    return base


def completed(x: Exchange, body: dict[str, Any]) -> dict[str, Any]:
    """The whole chat completion that answers a request's body."""
    provider: Any = x.provider
    content = chat_content(x, body)
    number = body.get("n") or 1
    choices = [
        {
            "index": index,
            "message": _message(x, body, content),
            "logprobs": _logprobs(body, content.text),
            "finish_reason": _finish_reason(body, content),
        }
        for index in range(number)
    ]
    answer = _base(x, body, "chat.completion")
    answer |= {"choices": choices, "usage": usage_object(content, number)}
    return provider.extend_chat(answer)


def _message(x: Exchange, body: dict[str, Any], content: Content) -> dict[str, Any]:
    provider: Any = x.provider
    text = None if content.tool_calls or content.refusal else content.text
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": content.refusal}
    if provider.reasoning_field and content.reasoning:
        message[provider.reasoning_field] = content.reasoning
    if content.tool_calls and "functions" in body:
        message["function_call"] = _function(content.tool_calls[0])
    elif content.tool_calls:
        message["tool_calls"] = [
            {"id": _call_id(x, call), "type": "function", "function": _function(call)}
            for call in content.tool_calls
        ]
    return message | {"annotations": []}


def _finish_reason(body: dict[str, Any], content: Content) -> str:
    called_function = content.finish_reason == "tool_calls" and "functions" in body
    return "function_call" if called_function else content.finish_reason


def _function(call: ToolCall) -> dict[str, str]:
    return {"name": call.name, "arguments": arguments_of(call)}


def _call_id(x: Exchange, call: ToolCall) -> str:
    return call.id or x.provider.new_id("call_", 24)


def _logprobs(body: dict[str, Any], text: str) -> dict[str, Any] | None:
    if not body.get("logprobs"):
        return None
    alternatives = body.get("top_logprobs") or 0
    tokens = [_token(token, -0.01) for token in pieces(text)]
    for token in tokens:
        token["top_logprobs"] = [
            _token(token["token"] + "~" * rank, -0.01 - rank) for rank in range(alternatives)
        ]
    return {"content": tokens, "refusal": None}


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _streamed(x: Exchange, body: dict[str, Any]) -> Reply:
    provider: Any = x.provider
    content = chat_content(x, body)
    base = _base(x, body, "chat.completion.chunk")
    options = body.get("stream_options") or {}
    asked = bool(options.get("include_usage"))
    number = body.get("n") or 1
    deltas = _deltas(x, body, content)
    chunks: list[dict[str, Any]] = list(provider.opening_chunks(base))
    for delta, logprobs, reason in deltas:
        for index in range(number):
            choice = {
                "index": index,
                "delta": delta,
                "logprobs": logprobs,
                "finish_reason": reason,
            }
            chunks.append(provider.extend_chat(base | {"choices": [choice]}))
    if provider.usage_in_last_chunk:
        chunks[-1]["usage"] = usage_object(content, number)
    elif asked:
        chunks = [chunk | {"usage": None} for chunk in chunks]
        chunks.append(base | {"choices": [], "usage": usage_object(content, number)})
    if provider.obfuscates and options.get("include_obfuscation", True):
        chunks = [chunk | {"obfuscation": "x7Kq" * (n % 4 + 1)} for n, chunk in enumerate(chunks)]
    return stream([*map(event, chunks), event("[DONE]")])


Delta = tuple[dict[str, Any], dict[str, Any] | None, str | None]


def _deltas(x: Exchange, body: dict[str, Any], content: Content) -> list[Delta]:
    provider: Any = x.provider
    opening: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
    if content.tool_calls:
        opening["content"] = None
    deltas: list[Delta] = [(opening, None, None)]
    if provider.reasoning_field:
        deltas += [
            ({provider.reasoning_field: piece}, None, None) for piece in pieces(content.reasoning)
        ]
    if content.tool_calls and "functions" in body:
        deltas += _function_deltas(content.tool_calls[0])
    elif content.tool_calls:
        for index, call in enumerate(content.tool_calls):
            deltas += _tool_deltas(x, index, call)
    elif content.refusal:
        deltas += [({"refusal": piece}, None, None) for piece in pieces(content.refusal)]
    else:
        deltas += [
            ({"content": piece}, _logprobs(body, piece), None) for piece in pieces(content.text)
        ]
    return [*deltas, ({}, None, _finish_reason(body, content))]


def _tool_deltas(x: Exchange, index: int, call: ToolCall) -> list[Delta]:
    head = {
        "index": index,
        "id": _call_id(x, call),
        "type": "function",
        "function": {"name": call.name, "arguments": ""},
    }
    arguments = [
        {"index": index, "function": {"arguments": half}} for half in halves(arguments_of(call))
    ]
    return [({"tool_calls": [part]}, None, None) for part in (head, *arguments)]


def _function_deltas(call: ToolCall) -> list[Delta]:
    parts = [
        {"name": call.name, "arguments": ""},
        *({"arguments": half} for half in halves(arguments_of(call))),
    ]
    return [({"function_call": part}, None, None) for part in parts]
