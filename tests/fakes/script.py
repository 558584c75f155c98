"""What a fake's model says: an echo of the request, or what the test scripted.

The echo is "echo: " and the text of the last user message or tool result. Tokens are counted as
words (text between white space); a part that is not text counts as `MEDIA_TOKENS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

MEDIA_TOKENS = 10
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
"""A PNG of one pixel, in base64."""
_TEXT_KEYS = ("text", "content", "parts", "functionResponse", "function_response", "toolResult")
_JSON_KEYS = ("response", "json")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the request's tools; `arguments` is the object, not its JSON text."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Usage figures; None means counted from the exchange. `cached` is part of `input`,
    `reasoning` part of `output`; `cache_creation` is Anthropic's and Bedrock's."""

    input: int | None = None
    output: int | None = None
    cached: int = 0
    cache_creation: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """What the next answer holds; what is left out comes from the request.

    body: the whole JSON body, in place of everything else.
    events: the whole stream as framed bytes, one element a write, in place of everything else.
    headers: added to the answer's.
    """

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    reasoning: str | None = None
    refusal: str | None = None
    finish_reason: str | None = None
    usage: Tokens = Tokens()
    model: str | None = None
    body: Any = None
    events: tuple[bytes, ...] | None = None
    headers: tuple[tuple[str, str], ...] = ()


def count(text: str) -> int:
    return len(text.split())


def text_of(content: Any) -> str:
    """The text of a message's content in any provider's form: a string, a part, or a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(filter(None, map(text_of, content)))
    if isinstance(content, dict):
        for key in _TEXT_KEYS:
            if key in content:
                return text_of(content[key])
        for key in _JSON_KEYS:
            if key in content:
                return orjson.dumps(content[key]).decode()
    return ""


def tokens_of(content: Any) -> int:
    """Words of a message's content, and `MEDIA_TOKENS` for each part without text."""
    if isinstance(content, list):
        return sum(map(tokens_of, content))
    words = count(text_of(content))
    return words if words or not isinstance(content, dict) else MEDIA_TOKENS


def echo(text: str) -> str:
    return f"echo: {text}"


def pieces(text: str) -> list[str]:
    """The text as a model streams it: word by word, white space leading."""
    return re.findall(r"\s*\S+|\s+$", text) or ([text] if text else [])


def halves(text: str) -> Iterable[str]:
    """JSON text as streamed in argument deltas: two parts that are not JSON each."""
    middle = max(1, len(text) // 2)
    return filter(None, (text[:middle], text[middle:]))


def instance(schema: Any, text: str = "text") -> Any:
    """A value that satisfies a simple JSON schema; strings without an enum hold `text`."""
    if not isinstance(schema, dict):
        return {}
    return _Instances(schema, text).of(schema)


@dataclass(slots=True)
class _Instances:
    root: dict[str, Any]
    text: str

    def of(self, schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            target: Any = self.root
            for name in schema["$ref"].lstrip("#/").split("/"):
                target = target[name]
            return self.of(target)
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        if "enum" in schema:
            return schema["enum"][0]
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                return self.of(schema[key][0])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        return getattr(self, f"_{kind.lower()}")(schema)

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {name: self.of(value) for name, value in schema.get("properties", {}).items()}

    def _array(self, schema: dict[str, Any]) -> list[Any]:
        return [self.of(schema.get("items", {}))] * max(1, schema.get("minItems", 1))

    def _string(self, schema: dict[str, Any]) -> str:
        return self.text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]

    def _integer(self, schema: dict[str, Any]) -> int:
        return int(schema.get("minimum", 1))

    def _number(self, schema: dict[str, Any]) -> float:
        return float(schema.get("minimum", 1.5))

    def _boolean(self, schema: dict[str, Any]) -> bool:
        return True

    def _null(self, schema: dict[str, Any]) -> None:
        return None
