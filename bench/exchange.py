"""The one exchange that everything is measured with: a short chat and its answer."""

from __future__ import annotations

import json
from typing import Any

GROUP = "bench"
"""The model group of `config.yaml`."""

ANSWER = (
    "A trunk line is the main route of a network: the one circuit that carries everybody's calls "
    "between two exchanges, so that no two subscribers need a wire of their own. Railways borrowed "
    "the word for the line that the branches join, and telephone companies kept it when the wires "
    "became fibre."
)
WORD = " onward"
"""What every chunk of a stream says."""
USAGE = {"prompt_tokens": 58, "completion_tokens": 62, "total_tokens": 120}


def question(**more: Any) -> bytes:
    """The body of a chat request, as clients send it: a system prompt and one question."""
    body = {
        "model": GROUP,
        "messages": [
            {
                "role": "system",
                "content": "You answer questions about the history of communication. Be brief, "
                "name dates where you know them, and say so when a story is only a story.",
            },
            {
                "role": "user",
                "content": "Where does the expression “trunk line” come from, and why do both "
                "railways and telephone companies use it?",
            },
        ],
        "temperature": 0.2,
    }
    return json.dumps(body | more, ensure_ascii=False).encode()


def completion() -> bytes:
    """The answer that is not streamed."""
    return _json(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": ANSWER, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": USAGE,
            "system_fingerprint": "fp_bench",
        }
    )


def chunk(
    delta: dict[str, Any] | None, finish: str | None = None, usage: dict[str, int] | None = None
) -> bytes:
    """One server-sent event of a streamed answer; without delta, the one that tells the usage."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    event = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-4o-mini-2024-07-18",
        "system_fingerprint": "fp_bench",
        "choices": [] if delta is None else [choice],
    }
    return b"data: " + _json(event | ({"usage": usage} if usage else {})) + b"\n\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
