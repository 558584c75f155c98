"""POST /completions and /embeddings."""

from __future__ import annotations

import base64
import hashlib
import struct
import time
from typing import Any

from ..reply import Exchange, Reply, event, ok, stream
from ..script import count, echo, pieces
from .content import counted, required, usage_object


def completions(x: Exchange) -> Reply:
    body = required(x, "model", "prompt")
    if x.script.body is not None and not body.get("stream"):
        return ok(x.script.body)
    prompts = _texts(body["prompt"])
    texts = [x.script.text or echo(prompt) for prompt in prompts for _ in range(body.get("n") or 1)]
    limit = body.get("max_tokens") or 0
    cut = [bool(limit) and count(text) > limit for text in texts]
    texts = [
        " ".join(text.split()[:limit]) if short else text
        for text, short in zip(texts, cut, strict=True)
    ]
    content = counted(x, sum(map(count, prompts)), " ".join(texts), (), "stop")
    usage = usage_object(content)
    base = {
        "id": x.provider.new_id("cmpl-", 29),
        "object": "text_completion",
        "created": int(time.time()),
        "model": body["model"],
    }
    reasons = ["length" if short else content.finish_reason for short in cut]
    if not body.get("stream"):
        choices = [
            _choice(index, text, reason)
            for index, (text, reason) in enumerate(zip(texts, reasons, strict=True))
        ]
        return ok(base | {"choices": choices, "usage": usage})
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    chunks: list[dict[str, Any]] = []
    for index, (text, reason) in enumerate(zip(texts, reasons, strict=True)):
        words = [(piece, None) for piece in pieces(text)]
        chunks += [
            base | {"choices": [_choice(index, piece, why)]}
            for piece, why in [*words, ("", reason)]
        ]
    if asked:
        chunks = [chunk | {"usage": None} for chunk in chunks]
        chunks.append(base | {"choices": [], "usage": usage})
    return stream([*map(event, chunks), event("[DONE]")])


def embeddings(x: Exchange) -> Reply:
    body = required(x, "model", "input")
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
    return ok({"object": "list", "data": data, "model": body["model"], "usage": usage})


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


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}
