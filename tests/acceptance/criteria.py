"""The acceptance criteria by number (R<requirement>.<criterion>), read from `criteria.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Requirement:
    """A requirement with its criteria in order: number to text."""

    number: str
    title: str
    criteria: dict[str, str]


def requirements() -> list[Requirement]:
    """All requirements in order."""
    document = tomllib.loads(Path(__file__).with_name("criteria.toml").read_text("utf-8"))
    return [
        Requirement(
            number,
            table["title"],
            {f"{number}.{key}": text for key, text in table.items() if key != "title"},
        )
        for number, table in document.items()
    ]


def numbers() -> frozenset[str]:
    """The numbers of all criteria."""
    return frozenset(number for requirement in requirements() for number in requirement.criteria)
