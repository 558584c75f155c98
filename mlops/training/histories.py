"""Which examples a user's history has, of those that may be seen.

The order of a dataset's examples is taken for the order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NONE = -1


@dataclass(frozen=True, slots=True)
class Histories:
    """users: who asked each example; "" for nobody in particular. by_user: int[examples], in order.

    everyone: a fixed sample of all examples that may be seen, in order.
    """

    users: tuple[str, ...]
    by_user: dict[str, np.ndarray]
    everyone: np.ndarray

    @classmethod
    def of(cls, users: Sequence[str], seen: np.ndarray, seed: int) -> Histories:
        """seen: numbers of the examples that may be seen, sorted."""
        found: dict[str, list[int]] = {}
        for number in seen.tolist():
            found.setdefault(users[number], []).append(number)
        found.pop("", None)
        drawn = np.random.default_rng(seed).permutation(seen)
        numbers = {user: np.array(each) for user, each in found.items()}
        return cls(tuple(users), numbers, drawn)

    def drawn(
        self, batch: np.ndarray, strangers: np.ndarray, length: int, draw: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """A random part of the history of each user who asks in a batch, without the batch.

        strangers: bool[batch], whose user is forgotten: they have a sample of everyone's history.
        Returns histories, int[U, length], and the row of each example's user, int[batch].
        """
        asked = set(batch.tolist())
        rows: dict[str, int] = {"": 0}
        histories = [_padded(np.sort(_without(draw, self.everyone, asked, length)), length)]
        found = np.zeros(len(batch), dtype=np.int64)
        for place, number in enumerate(batch.tolist()):
            user = self.users[number]
            if strangers[place] or user not in self.by_user:
                continue
            if user not in rows:
                rows[user] = len(histories)
                known = _without(draw, self.by_user[user], asked, length)
                histories.append(_padded(np.sort(known), length))
            found[place] = rows[user]
        return np.stack(histories), found

    def last(self, batch: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """As `drawn`, the last examples of each user, of whom none is forgotten."""
        names = sorted({self.users[number] for number in batch.tolist()} & self.by_user.keys())
        rows = {user: row for row, user in enumerate(names)}
        found = [rows.get(self.users[number], len(names)) for number in batch.tolist()]
        return self.to_serve(names, length), np.array(found)

    def to_serve(self, names: Sequence[str], length: int) -> np.ndarray:
        """int[names + 1, length]: the last examples of each, and a sample of everyone's."""
        known = [_padded(self.by_user[user][-length:], length) for user in names]
        return np.stack([*known, _padded(np.sort(self.everyone[:length]), length)])

    def most_active(self, count: int) -> list[str]:
        """The users with the most examples, in alphabetical order."""
        ranked = sorted(self.by_user, key=lambda user: (-len(self.by_user[user]), user))
        return sorted(ranked[:count])


def _without(
    draw: np.random.Generator, numbers: np.ndarray, asked: set[int], length: int
) -> np.ndarray:
    """At most so many of the numbers, drawn, none of them asked."""
    picked = draw.permutation(numbers)[: length + len(asked)] if len(numbers) > 0 else numbers
    return np.array([each for each in picked.tolist() if each not in asked][:length], np.int64)


def _padded(numbers: np.ndarray, length: int) -> np.ndarray:
    found = np.full(length, NONE, dtype=np.int64)
    found[: len(numbers)] = numbers
    return found
