"""What the program refuses: every fault that it found, in words for whoever mends it."""

from __future__ import annotations

from collections.abc import Iterable

MOST_TOLD = 20
"""Faults of one kind of input that are told one by one; of the others, only how many there are."""


class MlopsError(Exception):
    """The input or the command can't be used."""


class Problems:
    """Faults as they are found, each with its place, so that all can be mended at once."""

    def __init__(self) -> None:
        self.count = 0
        self._told: list[str] = []

    def add(self, place: str, what: str) -> None:
        self.count += 1
        if len(self._told) < MOST_TOLD:
            self._told.append(f"{place}: {what}")

    def raise_any(self, advice: Iterable[str] = ()) -> None:
        """Raises MlopsError that tells them, where there are any."""
        if not self.count:
            return
        more = self.count - len(self._told)
        lines = [*self._told, *([f"… and {more} more problems"] if more else []), *advice]
        raise MlopsError("\n".join(lines))
