"""Usage of several calls as one: sums, and how each wire tells them in an answer that is there.

A wire's figures overlap or don't (see `usage.py`), so each is added under its own name: OpenAI's
reasoning is part of its output, Google's thoughts are not; Anthropic's input is what was neither
read from the cache nor written to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from .. import json_text
from ..call import Usage
from .sse import data_of, split
from .usage import mark_of, objects_of

_FIGURES = tuple(each.name for each in fields(Usage) if each.name.endswith("_tokens"))


def total(usages: Iterable[Usage]) -> Usage:
    """The sum, figure by figure; None where none of them has the figure."""
    summed = Usage()
    for usage in usages:
        for name in _FIGURES:
            figure = getattr(usage, name)
            if figure is not None:
                setattr(summed, name, (getattr(summed, name) or 0) + figure)
    return summed


def added_to_answer(kind: str, body: bytes, usage: Usage) -> bytes:
    """A whole answer that tells `usage` beside its own; as it came where it tells none.

    kind: the operation's usage reader (`Operation.usage`).
    """
    mark = mark_of(kind)
    if not mark or mark not in body:
        return body
    try:
        answer = json_text.loads(body)
    except ValueError:
        return body
    return json_text.dumps(answer) if _add(kind, answer, usage) else body


def added_to_frames(kind: str, frames: bytes, usage: Usage) -> bytes:
    """Whole frames of a stream, those of them with figures told with `usage` beside their own.

    Providers that tell figures in several frames count on in them, so that each gets the sum.
    """
    mark = mark_of(kind)
    if not mark or mark not in frames:
        return frames
    return b"".join(
        _in_frame(kind, frame, usage) if mark in frame else frame for frame in split(frames)
    )


def _in_frame(kind: str, frame: bytes, usage: Usage) -> bytes:
    try:
        payload = json_text.loads(data_of(frame))
    except ValueError:
        return frame
    if not _add(kind, payload, usage):
        return frame
    lines = [line for line in frame.splitlines() if line and not line.startswith(b"data:")]
    return b"\n".join([*lines, b"data: " + json_text.dumps(payload), b"", b""])


def _add(kind: str, answer: Any, usage: Usage) -> bool:
    found = [held for held in objects_of(kind, answer) if isinstance(held, dict) and held]
    for held in found:
        _ADDING[kind](held, usage)
    return bool(found)


def _to_openai(held: dict[str, Any], usage: Usage) -> None:
    names = ("input", "output") if "input_tokens" in held else ("prompt", "completion")
    incoming, outgoing = names
    _more(held, f"{incoming}_tokens", usage.input_tokens)
    _more(held, f"{outgoing}_tokens", usage.output_tokens)
    _more(held, "total_tokens", usage.total_tokens)
    _detail(held, f"{incoming}_tokens_details", "cached_tokens", usage.cached_tokens)
    _detail(held, f"{outgoing}_tokens_details", "reasoning_tokens", usage.reasoning_tokens)


def _to_anthropic(held: dict[str, Any], usage: Usage) -> None:
    cached, created = usage.cached_tokens or 0, usage.cache_creation_tokens or 0
    _more(held, "input_tokens", max(0, (usage.input_tokens or 0) - cached - created))
    # A frame that tells of the output alone leaves the input as an earlier one told it.
    if "input_tokens" in held:
        _detail(held, "", "cache_read_input_tokens", cached)
        _detail(held, "", "cache_creation_input_tokens", created)
    _more(held, "output_tokens", usage.output_tokens)


def _to_google(held: dict[str, Any], usage: Usage) -> None:
    thoughts = usage.reasoning_tokens or 0
    _more(held, "promptTokenCount", usage.input_tokens)
    _more(held, "candidatesTokenCount", max(0, (usage.output_tokens or 0) - thoughts))
    _more(held, "totalTokenCount", usage.total_tokens)
    _detail(held, "", "thoughtsTokenCount", thoughts)
    _detail(held, "", "cachedContentTokenCount", usage.cached_tokens)


_ADDING: Mapping[str, Callable[[dict[str, Any], Usage], None]] = {
    "openai": _to_openai,
    "responses": _to_openai,
    "anthropic": _to_anthropic,
    "google": _to_google,
}


def _more(held: dict[str, Any], name: str, figure: int | None) -> None:
    """Adds to a figure that is told; frames that tell only some of them stay so."""
    before = held.get(name)
    if figure and type(before) is int:
        held[name] = before + figure


def _detail(held: dict[str, Any], under: str, name: str, figure: int | None) -> None:
    """Adds to a figure that is left out where it is zero."""
    if not figure:
        return
    inside = held
    if under:
        inside = held[under] = held.get(under) or {}
    if isinstance(inside, dict) and type(before := inside.get(name) or 0) is int:
        inside[name] = before + figure
