"""The model behind every fake: what it answers to a request, in no provider's form.

It says what the script says. Without one it calls the tools that it is offered, thinks if it is
asked to, and otherwise says `echo` of what it heard.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from .script import Script, ToolCall, count, echo, instance

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks of a model.

    heard: the text of the last user message or tool result.
    tools: name and parameters of each function that the model shall call.
    schema: what the answer must satisfy, when it must be JSON; `{}` for any object.
    stops, limit: sequences and number of tokens that end the answer.
    thinks: whether the answer begins with reasoning.
    """

    heard: str
    input_tokens: int
    tools: tuple[tuple[str, Schema], ...] = ()
    schema: Schema | None = None
    stops: tuple[str, ...] = ()
    limit: int | None = None
    thinks: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """One answer of a model. finish_reason: stop, length, tool_calls, or what was scripted."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    refusal: str | None
    reasoning: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_creation_tokens: int
    reasoning_tokens: int


def speak(script: Script, ask: Ask) -> Content:
    said = echo(ask.heard)
    calls = script.tool_calls
    if calls is None:
        calls = () if script.text is not None else _calls(ask, said)
    text = "" if calls and script.text is None else _text(script, ask, said)
    text, reason = _limited(text, ask)
    reasoning = script.reasoning or (f"because: {ask.heard}" if ask.thinks else "")
    usage = script.usage
    reasoning_tokens = usage.reasoning or count(reasoning)
    output = count(text) + reasoning_tokens + sum(map(_tokens_of_call, calls))
    return Content(
        text=text,
        tool_calls=calls,
        refusal=script.refusal,
        reasoning=reasoning,
        finish_reason=script.finish_reason or ("tool_calls" if calls else reason),
        input_tokens=ask.input_tokens if usage.input is None else usage.input,
        output_tokens=output if usage.output is None else usage.output,
        cached_tokens=usage.cached,
        cache_creation_tokens=usage.cache_creation,
        reasoning_tokens=reasoning_tokens,
    )


def offered(
    tools: Iterable[tuple[str, Schema]], *, only: str | None = None, parallel: bool = True
) -> tuple[tuple[str, Schema], ...]:
    """The tools that the model calls: all of them, the named one, or the first."""
    chosen = tuple(tool for tool in tools if only is None or tool[0] == only)
    return chosen if parallel else chosen[:1]


def arguments_of(call: ToolCall) -> str:
    return orjson.dumps(call.arguments).decode()


def _tokens_of_call(call: ToolCall) -> int:
    return 1 + count(arguments_of(call))


def _calls(ask: Ask, said: str) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(name, instance(schema, said)) for name, schema in ask.tools)


def _text(script: Script, ask: Ask, said: str) -> str:
    if script.text is not None:
        return script.text
    if ask.schema is None:
        return said
    return orjson.dumps(instance(ask.schema, said) if ask.schema else {"echo": said}).decode()


def _limited(text: str, ask: Ask) -> tuple[str, str]:
    """The text as stop sequences and the token limit leave it, and why it ended."""
    for stop in ask.stops:
        text = text.partition(stop)[0]
    if ask.limit and count(text) > ask.limit:
        return " ".join(text.split()[: ask.limit]), "length"
    return text, "stop"
