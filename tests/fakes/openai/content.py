"""How OpenAI's requests ask a model, and how its answers report usage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..model import Ask, Content, offered, speak
from ..reply import Exchange, Refused, Reply
from ..script import text_of, tokens_of


def required(x: Exchange, *names: str) -> dict[str, Any]:
    """The request's JSON, refused as OpenAI does when a field is missing or a model unknown.

    Azure's deployment, which stands in the path, takes the model's place.
    """
    body = with_deployment(x, x.json)
    for name in names:
        if name not in body:
            raise Refused(missing(x, name))
    check_model(x, body.get("model"))
    return body


def with_deployment(x: Exchange, body: dict[str, Any]) -> dict[str, Any]:
    return body | {"model": x.path["deployment"]} if "deployment" in x.path else body


def missing(x: Exchange, name: str) -> Reply:
    provider: Any = x.provider
    if name == "model":
        return provider.error(400, "you must provide a model parameter")
    return provider.error(
        400,
        f"Missing required parameter: '{name}'.",
        param=name,
        code="missing_required_parameter",
    )


def check_model(x: Exchange, model: Any) -> None:
    if x.provider.models is not None and model and model not in x.provider.models:
        raise Refused(x.provider.failure("model_not_found", x))


def strings(value: Any) -> tuple[str, ...]:
    """A field that is a string or a list of them, or is missing."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def chat_content(x: Exchange, body: dict[str, Any]) -> Content:
    messages: list[dict[str, Any]] = body["messages"]
    heard = next((m for m in reversed(messages) if m.get("role") in ("user", "tool")), {})
    answered = bool(messages) and messages[-1].get("role") in ("tool", "function")
    ask = Ask(
        heard=text_of(heard.get("content")),
        input_tokens=sum(tokens_of(message.get("content")) for message in messages),
        tools=() if answered else _tools(body),
        schema=_schema(body.get("response_format") or {}),
        stops=strings(body.get("stop")),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        thinks=body.get("reasoning_effort") not in (None, "none"),
    )
    return speak(x.script, ask)


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


def _schema(wanted: dict[str, Any]) -> dict[str, Any] | None:
    if wanted.get("type") == "json_schema":
        return wanted["json_schema"].get("schema")
    return {} if wanted.get("type") == "json_object" else None


def _tools(body: dict[str, Any]) -> tuple[tuple[str, dict[str, Any]], ...]:
    functions: Iterable[dict[str, Any]] = [
        *(tool["function"] for tool in body.get("tools") or () if "function" in tool),
        *(body.get("functions") or ()),
    ]
    choice = body.get("tool_choice") or body.get("function_call") or "auto"
    if choice == "none":
        return ()
    only = None
    if isinstance(choice, dict):
        only = choice.get("name") or choice.get("function", {}).get("name")
    parallel = body.get("parallel_tool_calls") is not False and "functions" not in body
    named = ((function["name"], function.get("parameters") or {}) for function in functions)
    return offered(named, only=only, parallel=parallel)
