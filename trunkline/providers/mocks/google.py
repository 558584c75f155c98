"""Mocked answers of Google's generateContent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .answer import Builder, Mocked, count, event, function_of, words


def _content(mocked: Mocked) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": mocked.text}] if mocked.text else []
    for call in mocked.tool_calls:
        name, arguments = function_of(call)
        parts.append({"functionCall": {"name": name, "args": arguments}})
    return _candidate(mocked, parts or [{"text": ""}]) | _google_end(mocked)


def _content_frames(mocked: Mocked) -> Iterator[bytes]:
    whole = _content(mocked)
    parts = whole["candidates"][0]["content"]["parts"]
    pieces = [
        piece
        for part in parts
        for piece in ([{"text": w} for w in words(part["text"])] if "text" in part else [part])
    ]
    for piece in pieces[:-1]:
        frame = _candidate(mocked, [piece])
        del frame["candidates"][0]["finishReason"]
        yield event(frame)
    yield event(_candidate(mocked, pieces[-1:]) | _google_end(mocked))


def _candidate(mocked: Mocked, parts: list[dict[str, Any]]) -> dict[str, Any]:
    content = {"role": "model", "parts": parts}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "modelVersion": mocked.model,
    }


def _google_end(mocked: Mocked) -> dict[str, Any]:
    incoming = [mocked.body.get("systemInstruction"), mocked.body.get("contents")]
    used = count(mocked, incoming)
    return {
        "usageMetadata": {
            "promptTokenCount": used["prompt_tokens"],
            "candidatesTokenCount": used["completion_tokens"],
            "totalTokenCount": used["total_tokens"],
        },
    }


CONTENT = Builder(_content, _content_frames)
