"""What a mocked answer is made of, whatever its wire."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

from ... import json_text
from ...dataclass import dataclass

MOST_CHOICES = 128


@dataclass(frozen=True, slots=True)
class Mocked:
    """What is to be answered to a request.

    body: the request. model: the name that the answer gives the model. text: the answer's words.
    tool_calls: tool calls in OpenAI's shape, each with its `function`.
    vector: an embedding; None for one made of the input.
    """

    body: Mapping[str, Any]
    model: str
    text: str
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    vector: tuple[float, ...] | None = None

    @property
    def choices(self) -> int:
        n = self.body.get("n")
        return n if type(n) is int and 1 <= n <= MOST_CHOICES else 1


@dataclass(frozen=True, slots=True)
class Builder:
    """whole: the answer's body. frames: the frames of its stream; None where there is none."""

    whole: Callable[[Mocked], dict[str, Any]]
    frames: Callable[[Mocked], Iterator[bytes]] | None = None


def tokens(value: Any) -> int:
    """About the number of tokens of all text in a JSON value: one for every four characters."""
    return math.ceil(_characters(value) / 4)


def words(text: str) -> list[str]:
    """The text in pieces as a model would stream it, a word at a time."""
    return [word if at == 0 else f" {word}" for at, word in enumerate(text.split(" "))]


def _characters(value: Any) -> int:
    found, waiting = 0, [value]
    while waiting:
        held = waiting.pop()
        if isinstance(held, str) and not held.startswith("data:"):
            found += len(held)
        elif isinstance(held, dict):
            waiting += [item for name, item in held.items() if name != "role"]
        elif isinstance(held, list):
            waiting += held
    return found


def make_id(prefix: str) -> str:
    return prefix + uuid4().hex[:24]


def event(payload: Mapping[str, Any]) -> bytes:
    return b"data: " + json_text.dumps(payload) + b"\n\n"


def named_event(payload: Mapping[str, Any]) -> bytes:
    return b"event: " + str(payload["type"]).encode() + b"\n" + event(payload)


def count(mocked: Mocked, incoming: Any) -> dict[str, int]:
    given = tokens(incoming)
    made = (tokens(mocked.text) + tokens(list(mocked.tool_calls))) * mocked.choices
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


def function_of(call: Mapping[str, Any]) -> tuple[str, Any]:
    """The name of the function that an OpenAI tool call calls, and its decoded arguments."""
    function = call["function"]
    try:
        arguments = json_text.loads(str(function.get("arguments") or "{}").encode())
    except ValueError:
        arguments = {}
    return str(function.get("name", "")), arguments
