"""Model groups with a wildcard in their name: `openai/*`, `bedrock/us.*`, `*`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..dataclass import dataclass

WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A group's name with wildcards, and the names that it matches."""

    group: str
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, group: str) -> Wildcard:
        pattern = "(.*)".join(re.escape(part) for part in group.split(WILDCARD))
        return cls(group, re.compile(pattern))

    def match(self, model: str) -> tuple[str, ...] | None:
        """What the wildcards stand for in a model's name; None if it doesn't match.

        The whole name must match: LiteLLM is content with its beginning.
        """
        found = self.pattern.fullmatch(model)
        return None if found is None else found.groups()


def wildcards(groups: Iterable[str]) -> tuple[Wildcard, ...]:
    """The wildcards among some groups, the most specific (LiteLLM: the longest) first."""
    found = [Wildcard.of(group) for group in dict.fromkeys(groups) if WILDCARD in group]
    return tuple(sorted(found, key=lambda each: _specificity(each.group), reverse=True))


def filled(model: str, asked: str, parts: tuple[str, ...]) -> str:
    """A deployment's model with its wildcards filled in from the name that was asked for.

    With more parts than wildcards to take them, the name that was asked for is the model.
    """
    if WILDCARD not in model:
        return model
    if len(parts) > model.count(WILDCARD):
        return asked
    for part in parts:
        model = model.replace(WILDCARD, part, 1)
    return model


def _specificity(group: str) -> tuple[int, int]:
    pattern = re.escape(group).replace(r"\*", "(.*)")
    return len(pattern), sum(pattern.count(char) for char in "*+?\\^$|()")
