"""What a call asks, as learned strategies see it: the last text of the user, and who that is."""

from __future__ import annotations

from typing import Any

from ..call import Call

_TURNS = ("messages", "input", "contents")
"""Where the turns of a conversation stand: chat and Messages, Responses, generateContent."""
_TEXTS = frozenset(["text", "input_text", "output_text"])
_SPEAKERS = {"user": "user", "assistant": "assistant", "model": "assistant"}


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


def is_asked(call: Call) -> bool:
    """Whether the conversation ends with a text of the user, and not with what a tool gave."""
    for name in _TURNS:
        turns = call.body.get(name)
        if isinstance(turns, str):
            return bool(turns)
        if isinstance(turns, list):
            return bool(_last_text(turns[-1:]))
    prompt = call.body.get("prompt")
    return isinstance(prompt, str) and bool(prompt)


def earlier_of(call: Call, most: int) -> list[tuple[str, str]]:
    """Who said what before the last turn, at most so many turns of it, the oldest first."""
    turns = next((turns for name in _TURNS if isinstance(turns := call.body.get(name), list)), [])
    said = []
    for turn in turns[:-1]:
        if isinstance(turn, dict) and turn.get("role") in _SPEAKERS:
            text = _text(turn.get("content") or turn.get("parts"))
            if text:
                said.append((_SPEAKERS[turn["role"]], text))
    return said[-most:]


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
    if not isinstance(part, dict):
        return ""
    kind, text = part.get("type", "text"), part.get("text")
    if isinstance(kind, str) and kind in _TEXTS and isinstance(text, str):
        return text
    return ""
