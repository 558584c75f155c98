"""Names as a tree of their tokens, reduced to the places where they part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ...dataclass import dataclass
from ...errors import BundleError


@dataclass(frozen=True, slots=True)
class Branch:
    """labels: the places of the names below it. token: the next one; None where a name ends.

    then: where they part again; None where one name is left.
    """

    labels: tuple[int, ...]
    token: int | None
    then: Fork | None


@dataclass(frozen=True, slots=True)
class Fork:
    """tokens: those that all names below it begin with. branches: two or more."""

    tokens: list[int]
    branches: tuple[Branch, ...]

    def chances(self, logits: np.ndarray) -> np.ndarray:
        """float64[branches]: the probability of each branch's token.

        Of the end of a name: that of the likeliest token which continues none.
        """
        weights = np.exp(logits.astype(np.float64) - logits.max())
        total = weights.sum()
        tokens = [branch.token for branch in self.branches if branch.token is not None]
        ahead = {token: float(weights[token]) for token in tokens}
        weights[tokens] = 0
        end = float(weights.max())
        chances = [end if branch.token is None else ahead[branch.token] for branch in self.branches]
        return np.array(chances) / float(total)


def name_tree(names: Sequence[Sequence[int]]) -> Fork | None:
    """The first fork of names, each given as its tokens; None for a single name.

    Raises BundleError where two are the same.
    """
    return _fork(names, range(len(names)), 0)


def _fork(names: Sequence[Sequence[int]], labels: Iterable[int], depth: int) -> Fork | None:
    labels = tuple(labels)
    if len(labels) == 1:
        return None
    groups: dict[int | None, list[int]] = {}
    while len(groups) < 2:
        if groups:
            depth += 1
        groups = {}
        for label in labels:
            token = names[label][depth] if depth < len(names[label]) else None
            groups.setdefault(token, []).append(label)
        if len(groups.get(None, [])) > 1:
            raise BundleError("tokenizer.json: two labels have the same tokens")
    branches = [
        Branch(tuple(below), token, None if token is None else _fork(names, below, depth + 1))
        for token, below in groups.items()
    ]
    return Fork(list(names[labels[0]][:depth]), tuple(branches))
