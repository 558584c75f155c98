"""The APIs that carry a conversation: what their answers say, and where a note goes in a request.

Whatever a provider or a client sends, nothing here raises: what isn't there says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import json_text
from ...dataclass import dataclass
from ...providers.sse import data_of, split

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """One operation that carries a conversation.

    text: what a decoded answer says. piece: what a decoded event of a stream adds.
    noted: a request's body with a note behind what the user said last.
    """

    text: Callable[[Any], str]
    piece: Callable[[Any], str]
    noted: Callable[[Body, str], Body]

    def said(self, answer: bytes) -> str:
        """The text of a whole answer, or of all events of a stream; empty where there is none."""
        try:
            decoded = json_text.loads(answer)
        except ValueError:
            return "".join(self.piece(_payload(frame)) for frame in split(answer))
        if isinstance(decoded, list):  # Google's stream as one array
            return "".join(map(self.piece, decoded))
        return self.text(decoded)


def _payload(frame: bytes) -> Any:
    try:
        return json_text.loads(data_of(frame))
    except ValueError:
        return None


def _get(value: Any, *path: str | int) -> Any:
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value


def _joined(parts: Any, *kinds: str) -> str:
    """The texts of content: one text, or the parts of the given types, but no thoughts."""
    if isinstance(parts, str):
        return parts
    if not isinstance(parts, list):
        return ""
    return "".join(
        part["text"]
        for part in parts
        if isinstance(part, dict)
        and isinstance(part.get("text"), str)
        and part.get("type", kinds[0]) in kinds
        and not part.get("thought")
    )


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _response(answer: Any) -> str:
    output = _get(answer, "output")
    items = output if isinstance(output, list) else []
    return "".join(_joined(_get(item, "content"), "output_text") for item in items)


def _response_piece(event: Any) -> str:
    if _get(event, "type") != "response.output_text.delta":
        return ""
    return _string(_get(event, "delta"))


def _message_piece(event: Any) -> str:
    return _string(_get(event, "delta", "text"))


def _generated(answer: Any) -> str:
    return _joined(_get(answer, "candidates", 0, "content", "parts"), "text")


def _in_prompt(body: Body, note: str) -> Body:
    """A completion goes on behind the prompt, so that the note comes before it."""
    return {**body, "prompt": f"{note}\n\n{body['prompt']}"}


def _in_turns(name: str, content: str, kind: str) -> Callable[[Body, str], Body]:
    """name: where the turns stand. content: where a turn's content does. kind: of a text part."""

    def noted(body: Body, note: str) -> Body:
        turns = body[name]
        if isinstance(turns, list):
            return {**body, name: [*turns[:-1], in_turn(turns[-1], note)]}
        return {**body, name: f"{turns}\n\n{note}"}

    def in_turn(turn: Any, note: str) -> Any:
        if not isinstance(turn, dict):
            return f"{turn}\n\n{note}"
        held = turn.get(content)
        if isinstance(held, str):
            return {**turn, content: f"{held}\n\n{note}"}
        parts = held if isinstance(held, list) else [held]
        part = {"type": kind, "text": note} if kind else {"text": note}
        return {**turn, content: [*parts, part]}

    return noted


_GOOGLE = Conversation(_generated, _generated, _in_turns("contents", "parts", ""))

CHAT = Conversation(
    lambda answer: _joined(_get(answer, "choices", 0, "message", "content"), "text"),
    lambda event: _joined(_get(event, "choices", 0, "delta", "content"), "text"),
    _in_turns("messages", "content", "text"),
)

CONVERSATIONS: Mapping[str, Conversation] = {
    "chat": CHAT,
    "completions": Conversation(
        lambda answer: _string(_get(answer, "choices", 0, "text")),
        lambda event: _string(_get(event, "choices", 0, "text")),
        _in_prompt,
    ),
    "responses": Conversation(
        _response, _response_piece, _in_turns("input", "content", "input_text")
    ),
    "messages": Conversation(
        lambda answer: _joined(_get(answer, "content"), "text"),
        _message_piece,
        _in_turns("messages", "content", "text"),
    ),
    "generate_content": _GOOGLE,
    "stream_generate_content": _GOOGLE,
}
"""By the operation's name."""
