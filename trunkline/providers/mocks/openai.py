"""Mocked answers of OpenAI's chat, completions, embeddings and images APIs."""

from __future__ import annotations

import base64
import hashlib
import math
import time
from array import array
from collections.abc import Iterator
from typing import Any

from .answer import Builder, Mocked, count, event, make_id, tokens, words

MOST_DIMENSIONS = 4_096
DIMENSIONS = 1_536

DONE = b"data: [DONE]\n\n"


def _chat(mocked: Mocked) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": mocked.text}
    if mocked.tool_calls:
        message |= {"content": mocked.text or None, "tool_calls": list(mocked.tool_calls)}
    reason = "tool_calls" if mocked.tool_calls else "stop"
    return {
        "id": make_id("chatcmpl-"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": mocked.model,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": reason}
            for index in range(mocked.choices)
        ],
        "usage": count(mocked, mocked.body.get("messages")),
    }


def _chat_frames(mocked: Mocked) -> Iterator[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in words(mocked.text) if word]
    deltas += [
        {"tool_calls": [{"index": index, **call}]} for index, call in enumerate(mocked.tool_calls)
    ]
    reason = "tool_calls" if mocked.tool_calls else "stop"
    return _chunks(mocked, "chatcmpl-", "chat.completion.chunk", "messages", (
        *({"delta": delta, "finish_reason": None} for delta in deltas),
        {"delta": {}, "finish_reason": reason},
    ))  # fmt: skip


def _completion(mocked: Mocked) -> dict[str, Any]:
    return {
        "id": make_id("cmpl-"),
        "object": "text_completion",
        "created": int(time.time()),
        "model": mocked.model,
        "choices": [
            {"index": index, "text": mocked.text, "logprobs": None, "finish_reason": "stop"}
            for index in range(mocked.choices)
        ],
        "usage": count(mocked, mocked.body.get("prompt")),
    }


def _completion_frames(mocked: Mocked) -> Iterator[bytes]:
    return _chunks(mocked, "cmpl-", "text_completion", "prompt", (
        *({"text": word, "finish_reason": None} for word in words(mocked.text)),
        {"text": "", "finish_reason": "stop"},
    ))  # fmt: skip


def _chunks(
    mocked: Mocked, prefix: str, kind: str, incoming: str, parts: tuple[dict[str, Any], ...]
) -> Iterator[bytes]:
    """A stream of OpenAI's chunks, with the usage only for those who ask for it."""
    head = {
        "id": make_id(prefix),
        "object": kind,
        "created": int(time.time()),
        "model": mocked.model,
    }
    for part in parts:
        for index in range(mocked.choices):
            yield event(head | {"choices": [{"index": index, "logprobs": None, **part}]})
    options = mocked.body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        usage = count(mocked, mocked.body.get(incoming))
        yield event(head | {"choices": [], "usage": usage})
    yield DONE


def _embeddings(mocked: Mocked) -> dict[str, Any]:
    given = mocked.body.get("input")
    texts = given if isinstance(given, list) and given else [given]
    if type(texts[0]) is int:  # one text, as tokens
        texts = [texts]
    asked = mocked.body.get("dimensions")
    size = asked if type(asked) is int and 0 < asked <= MOST_DIMENSIONS else DIMENSIONS
    vectors = [mocked.vector or _vector(str(text), size) for text in texts]
    encoded = mocked.body.get("encoding_format") == "base64"
    used = sum(
        tokens(t) if isinstance(t, str) else len(t) for t in texts if isinstance(t, str | list)
    )
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": at, "embedding": _base64(v) if encoded else v}
            for at, v in enumerate(vectors)
        ],
        "model": mocked.model,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _vector(text: str, size: int) -> tuple[float, ...]:
    """A vector of length 1 that depends on the text alone."""
    noise = hashlib.shake_128(text.encode("utf-8", "surrogatepass")).digest(size)
    centred = [byte - 127.5 for byte in noise]
    length = math.hypot(*centred)
    return tuple(value / length for value in centred)


def _base64(vector: tuple[float, ...]) -> str:
    return base64.b64encode(array("f", vector).tobytes()).decode()


def _image(mocked: Mocked) -> dict[str, Any]:
    return {"created": int(time.time()), "data": [{"url": mocked.text}] * mocked.choices}


CHAT = Builder(_chat, _chat_frames)
COMPLETIONS = Builder(_completion, _completion_frames)
EMBEDDINGS = Builder(_embeddings)
IMAGES = Builder(_image)
