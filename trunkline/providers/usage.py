"""What a call consumed, as the provider tells it: in an answer, or in the frames of a stream.

Providers count differently; `Usage` counts one way. Input holds every token of the input, those
read from or written to the provider's cache included, and output holds the reasoning. Where a
provider counts them apart (Anthropic the cache, Google the thoughts), they are added; `raw` keeps
its own object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from ..call import Usage, UsageDetails
from ..dataclass import dataclass
from . import usage_details
from .figures import first as _first
from .figures import inner as _object
from .figures import is_number as _is_number

LARGE_ANSWER = 32_768
"""Bytes from which on only the usage is decoded, not the whole answer: embeddings, images."""

USAGE_SPAN = 16_384
"""Bytes in which a usage object ends."""

_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a wire tells its usage.

    mark: the key that the usage stands under, quoted, as it stands in the bytes.
    find: the usage objects in a decoded answer or frame.
    fill: sets the figures from the merged object.
    beside: sets what stands elsewhere in the answer: the service tier, searches that were made.
    grows: the frames' figures only ever grow: a smaller one later on is a provider's slip.
    """

    mark: bytes
    find: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    fill: Callable[[Mapping[str, Any], Usage], None]
    beside: Callable[[Mapping[str, Any], Usage], None] | None = None
    grows: bool = False

    def take(self, found: Mapping[str, Any], answer: Mapping[str, Any], usage: Usage) -> None:
        """Fills a `Usage` from a usage object and the answer or the frame that it stands in."""
        before = usage.details
        self.fill(found, usage)
        usage.raw = found
        if before is not None and before.searches:
            tell(
                usage, searches=max(before.searches, usage.details.searches if usage.details else 0)
            )
        if self.beside is not None:
            self.beside(answer, usage)


class UsageReader:
    """Fills a `Usage` from the payloads of a stream's `data:` lines.

    kind: `Operation.usage`. The figures of several frames are merged, the later ones winning.
    """

    def __init__(self, kind: str, usage: Usage) -> None:
        self._reading = _READINGS.get(kind)
        self._usage = usage
        self._null = self._reading.mark + b":null" if self._reading else b""
        self._merged: dict[str, Any] = {}

    def feed(self, payload: bytes) -> None:
        """One frame's payload. JSON is decoded only where the bytes can hold a usage."""
        reading = self._reading
        if reading is None or reading.mark not in payload:
            return
        if self._null in payload and payload.count(reading.mark) == 1:
            return
        try:
            frame = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return
        self.read(frame)

    def read(self, decoded: Any) -> None:
        """One frame, or a whole answer, decoded."""
        if self._reading is None or not isinstance(decoded, dict):
            return
        for found in self._reading.find(decoded):
            if isinstance(found, dict) and found:
                self._merge(found)
                self._reading.take(self._merged, decoded, self._usage)

    def _merge(self, found: Mapping[str, Any]) -> None:
        assert self._reading is not None
        for name, value in found.items():
            before = self._merged.get(name)
            if value is None and name in self._merged:
                continue
            if self._reading.grows and _is_number(value) and _is_number(before) and value < before:
                continue
            self._merged[name] = value


def mark_of(kind: str) -> bytes:
    """The key that usage stands under, quoted, as it stands in the bytes; empty for no usage."""
    reading = _READINGS.get(kind)
    return reading.mark if reading else b""


def objects_of(kind: str, answer: Any) -> tuple[Any, ...]:
    """What stands where a decoded answer or frame tells its usage: objects, and None."""
    reading = _READINGS.get(kind)
    return reading.find(answer) if reading and isinstance(answer, dict) else ()


def read_object(kind: str, answer: Any, usage: Usage) -> None:
    """Fills a `Usage` from a decoded answer."""
    reading = _READINGS.get(kind)
    if reading is None or not isinstance(answer, dict):
        return
    for found in reading.find(answer):
        if isinstance(found, dict) and found:
            reading.take(found, answer, usage)


def read_answer(kind: str, content: bytes, usage: Usage) -> None:
    """Fills a `Usage` from an answer's bytes; does nothing when they hold none or no JSON."""
    reading = _READINGS.get(kind)
    if reading is None:
        return
    if len(content) > LARGE_ANSWER and read_tail(kind, content, usage):
        return
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        return
    if isinstance(answer, list):  # a Google stream that was asked for as one JSON array
        reader = UsageReader(kind, usage)
        for item in answer:
            reader.read(item)
        return
    read_object(kind, answer, usage)


def read_tail(kind: str, content: bytes, usage: Usage) -> bool:
    """Fills a `Usage` from the last usage object that stands in the bytes; whether there is one.

    The bytes may begin in the middle of the JSON.
    """
    reading = _READINGS.get(kind)
    held = _last_object(content, reading.mark) if reading else None
    if reading is None or held is None:
        return False
    read_object(kind, {reading.mark[1:-1].decode(): held}, usage)
    return True


def _last_object(content: bytes, mark: bytes) -> dict[str, Any] | None:
    """The object under the last key of that name, without decoding what is around it.

    Inside a JSON string the key's quotes would be escaped, so the mark is a key or a whole value.
    """
    at = content.rfind(mark)
    if at < 0:
        return None
    tail = content[at + len(mark) : at + USAGE_SPAN].lstrip()
    if not tail.startswith(b":"):
        return None
    try:
        held, _ = _DECODER.raw_decode(tail[1:].lstrip().decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return held if isinstance(held, dict) else None


def tell(usage: Usage, **told: Any) -> None:
    """Adds to the details of a usage."""
    usage.details = replace(usage.details or UsageDetails(), **told)


def _find_openai(answer: Mapping[str, Any]) -> tuple[Any, ...]:
    held = answer.get("usage")
    if held is None and isinstance(answer.get("x_groq"), dict):
        held = answer["x_groq"].get("usage")
    if held is None and isinstance(answer.get("meta"), dict):  # Cohere's rerank
        meta = answer["meta"]
        held = {**_object(meta, "tokens"), **_object(meta, "billed_units")}
    return (held,)


def _find_media(answer: Mapping[str, Any]) -> tuple[Any, ...]:
    """Of audio, images and videos. Whisper's longest format and videos tell their length alone."""
    held = answer.get("usage")
    if not held and "duration" in answer:
        held = {"type": "duration", "seconds": answer["duration"]}
    elif not held and answer.get("object") == "video":
        held = {"duration_seconds": answer.get("seconds")}
    return (held,)


def _find_pages(answer: Mapping[str, Any]) -> tuple[Any, ...]:
    return (answer.get("usage_info"),)


def _find_in_response(answer: Mapping[str, Any]) -> tuple[Any, ...]:
    """A response, or the event of a stream that carries it."""
    response = answer.get("response")
    return (response.get("usage") if isinstance(response, dict) else answer.get("usage"),)


def _find_in_message(answer: Mapping[str, Any]) -> tuple[Any, ...]:
    """A message, `message_start`, which carries it, or `message_delta`."""
    message = answer.get("message")
    return (message.get("usage") if isinstance(message, dict) else None, answer.get("usage"))


def _find_metadata(answer: Mapping[str, Any]) -> tuple[Any, ...]:
    return (answer.get("usageMetadata"),)


# The first is a chat's, the second a response's and an image's, the third audio's.
_DETAILS_OF_INPUT = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_DETAILS_OF_OUTPUT = (
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
)


def _fill_openai(found: Mapping[str, Any], usage: Usage) -> None:
    usage.input_tokens = _first(found, "prompt_tokens", "input_tokens")
    usage.output_tokens = _first(found, "completion_tokens", "output_tokens")
    incoming = _object(found, *_DETAILS_OF_INPUT)
    outgoing = _object(found, *_DETAILS_OF_OUTPUT)
    usage.cached_tokens = _or(
        _first(incoming, "cached_tokens"),
        _first(found, "cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens"),
    )
    usage.cache_creation_tokens = _or(
        _first(incoming, "cache_creation_tokens", "cache_write_tokens"),
        _first(found, "cache_creation_input_tokens"),
    )
    usage.reasoning_tokens = _or(
        _first(outgoing, "reasoning_tokens"), _first(found, "reasoning_tokens")
    )
    if usage.reasoning_tokens:
        _add_reasoning(_first(found, "total_tokens"), usage)
    usage.details = usage_details.of_openai(found, incoming, outgoing)


def _add_reasoning(total: int | None, usage: Usage) -> None:
    """xAI, and Google where it speaks OpenAI's wire, count the reasoning beside the output."""
    apart = usage.total_tokens + (usage.reasoning_tokens or 0)
    if total == apart and usage.output_tokens is not None:
        usage.output_tokens += usage.reasoning_tokens or 0


def _fill_anthropic(found: Mapping[str, Any], usage: Usage) -> None:
    uncached = _first(found, "input_tokens")
    usage.cached_tokens = _first(found, "cache_read_input_tokens")
    usage.cache_creation_tokens = _first(found, "cache_creation_input_tokens")
    usage.input_tokens = _sum(uncached, usage.cached_tokens, usage.cache_creation_tokens)
    usage.output_tokens = _first(found, "output_tokens")
    usage.tier = _name(found.get("service_tier"))
    usage.details = usage_details.of_anthropic(found)


def _fill_google(found: Mapping[str, Any], usage: Usage) -> None:
    usage.reasoning_tokens = _first(found, "thoughtsTokenCount")
    usage.cached_tokens = _first(found, "cachedContentTokenCount")
    usage.input_tokens = _sum(
        _first(found, "promptTokenCount"), _first(found, "toolUsePromptTokenCount")
    )
    usage.output_tokens = _sum(_first(found, "candidatesTokenCount"), usage.reasoning_tokens)
    usage.tier = _name(found.get("trafficType"))
    usage.details = usage_details.of_google(found)


def _fill_pages(found: Mapping[str, Any], usage: Usage) -> None:
    usage.details = usage_details.of_pages(found)


def _beside_openai(answer: Mapping[str, Any], usage: Usage) -> None:
    usage.tier = _name(answer.get("service_tier")) or usage.tier
    choices = answer.get("choices")
    if choices and usage_details.cites(choices):
        searches = usage.details.searches if usage.details else 0
        tell(usage, searches=max(1, searches))


def _beside_response(answer: Mapping[str, Any], usage: Usage) -> None:
    response = answer.get("response")
    held = response if isinstance(response, dict) else answer
    usage.tier = _name(held.get("service_tier")) or usage.tier
    if searches := usage_details.searches_of(held.get("output")):
        tell(usage, searches=searches)


def _beside_google(answer: Mapping[str, Any], usage: Usage) -> None:
    if searches := usage_details.queries_of(answer.get("candidates")):
        tell(usage, searches=searches)


_OPENAI = _Reading(b'"usage"', _find_openai, _fill_openai, _beside_openai)

_READINGS: Mapping[str, _Reading] = {
    "openai": _OPENAI,
    "media": _Reading(b'"usage"', _find_media, _fill_openai),
    "ocr": _Reading(b'"usage_info"', _find_pages, _fill_pages),
    "runs": _OPENAI,
    "responses": _Reading(b'"usage"', _find_in_response, _fill_openai, _beside_response),
    "anthropic": _Reading(b'"usage"', _find_in_message, _fill_anthropic, grows=True),
    "google": _Reading(b'"usageMetadata"', _find_metadata, _fill_google, _beside_google),
}


def _name(value: Any) -> str | None:
    return value.lower() if isinstance(value, str) else None


def _or(first: int | None, second: int | None) -> int | None:
    return second if first is None else first


def _sum(*figures: int | None) -> int | None:
    given = [figure for figure in figures if figure is not None]
    return sum(given) if given else None
