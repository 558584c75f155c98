"""POST /completions and /embeddings."""

from __future__ import annotations

import base64
import hashlib
import struct
import time
from typing import Any

from ..model import Ask, Content, speak
from ..reply import Exchange, Reply, event, ok, stream
from ..script import count, pieces
from .content import required, strings


def completions(x: Exchange) -> Reply:
    body = required(x, "model", "prompt")
    stops, number = strings(body.get("stop")), body.get("n") or 1
    answers = [
        speak(x.script, Ask(prompt, count(prompt), stops=stops, limit=body.get("max_tokens")))
        for prompt in _texts(body["prompt"])
        for _ in range(number)
    ]
    base = {
        "id": x.provider.new_id("cmpl-", 29),
        "object": "text_completion",
        "created": int(time.time()),
        "model": body["model"],
    }
    if not body.get("stream"):
        choices = [
            _choice(index, answer.text, answer.finish_reason)
            for index, answer in enumerate(answers)
        ]
        return ok(base | {"choices": choices, "usage": _usage(answers, number)})
    chunks = [
        base | {"choices": [_choice(index, piece, reason)]}
        for index, answer in enumerate(answers)
        for piece, reason in [
            *((piece, None) for piece in pieces(answer.text)),
            ("", answer.finish_reason),
        ]
    ]
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks = [chunk | {"usage": None} for chunk in chunks]
        chunks.append(base | {"choices": [], "usage": _usage(answers, number)})
    return stream([*map(event, chunks), event("[DONE]")])


def embeddings(x: Exchange) -> Reply:
    return ok(embedded(x, required(x, "model", "input")))


def embedded(x: Exchange, body: dict[str, Any]) -> dict[str, Any]:
    texts = _texts(body["input"])
    size = body.get("dimensions") or 8
    in_base64 = body.get("encoding_format") == "base64"
    tokens = sum(map(count, texts)) if x.script.usage.input is None else x.script.usage.input
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _packed(vector(text, size)) if in_base64 else vector(text, size),
        }
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


ROUTES = [("POST", "/completions", completions), ("POST", "/embeddings", embeddings)]


def vector(text: str, size: int = 8) -> list[float]:
    """A text's embedding: `size` numbers in [-1, 1) from its digest, exact as 32-bit floats."""
    digest = hashlib.sha256(text.encode()).digest()
    return [(digest[index % len(digest)] - 128) / 128 for index in range(size)]


def _packed(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def _texts(value: Any) -> list[str]:
    """A string, strings, token numbers or lists of those; tokens are spelled as words."""
    if isinstance(value, str):
        return [value]
    if value and isinstance(value[0], int):
        return [" ".join(map(str, value))]
    return [text for item in value for text in _texts(item)]


def _usage(answers: list[Content], number: int) -> dict[str, int]:
    read = sum(answer.input_tokens for answer in answers[::number])
    written = sum(answer.output_tokens for answer in answers)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}
