"""What a fake of OpenAI's says to a request, before it takes the form of an endpoint's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from ..reply import Exchange, Refused
from ..script import ToolCall, count, echo, instance, text_of, tokens_of


@dataclass(frozen=True, slots=True)
class Content:
    """One answer of a model: text or tool calls, why it ended, what it consumed."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    refusal: str | None
    reasoning: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int


def required(x: Exchange, *names: str) -> dict[str, Any]:
    """The request's JSON, refused as OpenAI does when a field is missing or a model unknown."""
    body = x.json
    for name in names:
        if name not in body:
            raise Refused(missing(x, name))
    check_model(x, body.get("model"))
    return body


def missing(x: Exchange, name: str) -> Any:
    if name == "model":
        return x.provider.error(400, "you must provide a model parameter")
    return x.provider.error(
        400,
        f"Missing required parameter: '{name}'.",
        param=name,
        code="missing_required_parameter",
    )


def check_model(x: Exchange, model: Any) -> None:
    if x.provider.models is not None and model and model not in x.provider.models:
        raise Refused(x.provider.failure("model_not_found", x))


def chat_content(x: Exchange, body: dict[str, Any]) -> Content:
    """The answer to a chat request, counted as `script` describes."""
    script = x.script
    messages = body["messages"]
    calls = () if script.text is not None else script.tool_calls
    if calls is None:
        calls = _calls_offered(x, body, messages)
    text = "" if calls else script.text
    if text is None:
        text = _text(body, messages)
    text, reason = _limited(text, body)
    reason = "tool_calls" if calls else reason
    return counted(
        x,
        sum(tokens_of(message.get("content")) for message in messages),
        text,
        tuple(calls),
        reason,
    )


def counted(
    x: Exchange, input_tokens: int, text: str, calls: tuple[ToolCall, ...], reason: str
) -> Content:
    script = x.script
    said = count(text) + sum(1 + count(orjson.dumps(call.arguments).decode()) for call in calls)
    usage = script.usage
    reasoning_tokens = usage.reasoning or count(script.reasoning or "")
    return Content(
        text=text,
        tool_calls=calls,
        refusal=script.refusal,
        reasoning=script.reasoning or "",
        finish_reason=script.finish_reason or reason,
        input_tokens=input_tokens if usage.input is None else usage.input,
        output_tokens=said + reasoning_tokens if usage.output is None else usage.output,
        cached_tokens=usage.cached,
        reasoning_tokens=reasoning_tokens,
    )


def usage_object(content: Content, times: int = 1) -> dict[str, Any]:
    """Usage as chat completions report it; `times` is the number of choices."""
    output = content.output_tokens * times
    return {
        "prompt_tokens": content.input_tokens,
        "completion_tokens": output,
        "total_tokens": content.input_tokens + output,
        "prompt_tokens_details": {"cached_tokens": content.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": content.reasoning_tokens * times,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _text(body: dict[str, Any], messages: list[dict[str, Any]]) -> str:
    heard = next((m for m in reversed(messages) if m.get("role") in ("user", "tool")), {})
    said = echo(text_of(heard.get("content")))
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return orjson.dumps(instance(wanted["json_schema"].get("schema"), said)).decode()
    if wanted.get("type") == "json_object":
        return orjson.dumps({"echo": said}).decode()
    return said


def _calls_offered(
    x: Exchange, body: dict[str, Any], messages: list[dict[str, Any]]
) -> tuple[ToolCall, ...]:
    """Every function offered is called, one only without `parallel_tool_calls`, none after
    a tool has answered."""
    functions = [tool["function"] for tool in body.get("tools") or () if "function" in tool]
    functions += body.get("functions") or []
    choice = body.get("tool_choice") or body.get("function_call") or "auto"
    if choice == "none" or not functions or messages[-1].get("role") in ("tool", "function"):
        return ()
    if isinstance(choice, dict):
        named = choice.get("name") or choice.get("function", {}).get("name")
        functions = [function for function in functions if function["name"] == named] or functions
    if body.get("parallel_tool_calls") is False or "functions" in body:
        functions = functions[:1]
    said = echo(text_of(messages[-1].get("content")))
    return tuple(
        ToolCall(function["name"], instance(function.get("parameters") or {}, said))
        for function in functions
    )


def _limited(text: str, body: dict[str, Any]) -> tuple[str, str]:
    """The text as stop sequences and the token limit leave it, and why it ended."""
    stops = body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0]
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit and count(text) > limit:
        return " ".join(text.split()[:limit]), "length"
    return text, "stop"
