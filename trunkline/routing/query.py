"""What a call asks, as learned strategies see it: the last text of the user, and who that is."""

from __future__ import annotations

from typing import Any

from ..call import Call

_TURNS = ("messages", "input", "contents")
"""Where the turns of a conversation stand: chat and Messages, Responses, generateContent."""
_TEXTS = frozenset(["text", "input_text"])


def query_of(call: Call) -> str:
    """The text of the last message of the user that has any; empty where there is none."""
    body = call.body
    for name in _TURNS:
        turns = body.get(name)
        if isinstance(turns, str):
            return turns
        if isinstance(turns, list):
            return _last_text(turns)
    prompt = body.get("prompt")
    if isinstance(prompt, list):
        return next((each for each in reversed(prompt) if isinstance(each, str)), "")
    return prompt if isinstance(prompt, str) else ""


def user_of(call: Call) -> str:
    """Who asks, as the request says; empty where it doesn't."""
    user = call.body.get("user")
    if user is None:
        metadata = call.body.get("metadata")
        user = metadata.get("user_id") if isinstance(metadata, dict) else None
    return user if isinstance(user, str) else ""


def _last_text(turns: list[Any]) -> str:
    for turn in reversed(turns):
        if isinstance(turn, str):
            return turn
        # Google's clients may leave the role out.
        if isinstance(turn, dict) and turn.get("role", "user") == "user":
            text = _text(turn.get("content") or turn.get("parts"))
            if text:
                return text
    return ""


def _text(content: Any) -> str:
    """The texts of a message's content, which may be one text or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return ""
    texts = [part if isinstance(part, str) else _part(part) for part in content]
    return "\n".join(text for text in texts if text)


def _part(part: Any) -> str:
    if not isinstance(part, dict) or part.get("type", "text") not in _TEXTS:
        return ""
    text = part.get("text")
    return text if isinstance(text, str) else ""
