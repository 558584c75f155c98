"""What models say in answer to our prompts, read without trust: any text is a possible answer.

Only whole tags count, thoughts don't, and a model is named by a label exactly as it is written.
Every function takes time that grows with the text's length and no faster.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from ...dataclass import dataclass

LONGEST = 100_000
"""Characters of an answer that are looked at."""
LONGEST_QUESTION = 8_000
"""Characters of a question that one model asks another."""

_TAG = re.compile(r"<(/?)(think|search|answer|part)>", re.IGNORECASE)
_VERDICT = re.compile(r"\bverdict\b[^\w\n]{0,8}(correct|incorrect)\b", re.IGNORECASE)
_THOUGHT = "think"


@dataclass(frozen=True, slots=True)
class Question:
    """What a model wants to know. label: of whom; empty where it names nobody we know."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A model knows enough. draft: what it would answer."""

    draft: str


def verdict(text: str) -> bool | None:
    """Whether a model found an answer correct; None where it doesn't say."""
    found = _VERDICT.findall(_spoken(text))
    return found[-1].lower() == "correct" if found else None


def parts(text: str, most: int) -> list[str]:
    """The parts into which a model split a question, each once, at most so many."""
    found = (content[:LONGEST_QUESTION] for name, content in _blocks(text) if name == "part")
    return list(dict.fromkeys(filter(None, found)))[:most]


def addressed(text: str, labels: Collection[str]) -> Question:
    """A question that begins with the name of whom it is for: `NAME: question`.

    Names may hold a colon themselves, so the longest that fits is taken.
    """
    for label in sorted(labels, key=len, reverse=True):
        rest = text.removeprefix(label)
        if rest != text and rest.lstrip()[:1] in {":", "："}:
            return Question(label, rest.lstrip()[1:].strip())
    return Question("", text)


def move(text: str, labels: Collection[str]) -> Question | Ready:
    """What a reasoning model does next: the first thing that it says to do.

    What follows that, it can only have imagined.
    """
    for name, content in _blocks(text):
        if name == "search":
            return addressed(content[:LONGEST_QUESTION], labels)
        if name == "answer":
            return Ready(content)
    return Ready(_spoken(text))


def _spoken(text: str) -> str:
    """The text without thoughts and tags."""
    text = text[:LONGEST]
    kept, at = [], 0
    for name, start, inner, outer, end in _spans(text):
        kept.append(text[at:start])
        if name != _THOUGHT:
            kept.append(text[inner:outer])
        at = end
    return "".join([*kept, text[at:]]).strip()


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    text = text[:LONGEST]
    for name, _, inner, outer, _ in _spans(text):
        if name != _THOUGHT:
            yield name, text[inner:outer].strip()


def _spans(text: str) -> list[tuple[str, int, int, int, int]]:
    """Tags with what is in them: name, start, start and end of the content, end.

    Inside one tag all others are content. One that isn't closed goes on to the end, as it does
    where a model was stopped there. A closing tag of thoughts that nothing opened ends thoughts
    that began with the text.
    """
    found: list[tuple[str, int, int, int, int]] = []
    name, start, inner = "", 0, 0
    for tag in _TAG.finditer(text):
        closing, kind = bool(tag[1]), tag[2].lower()
        if not name and not closing:
            name, start, inner = kind, tag.start(), tag.end()
        elif name == kind and closing:
            found.append((name, start, inner, tag.start(), tag.end()))
            name = ""
        elif not name and closing and kind == _THOUGHT:
            found = [(_THOUGHT, 0, 0, tag.start(), tag.end())]
    if name:
        found.append((name, start, inner, len(text), len(text)))
    return found
