"""The small machine that stands in for a large one: where it speaks, it says what that says."""

from __future__ import annotations

import numpy as np
import pytest

from trunkline.routing.heads.machine import Machine, lengths_squared, pairs, rbf
from trunkline.routing.heads.understated import understated

GAMMA = 1.0


def unit(*shape: int) -> np.ndarray:
    points = np.random.default_rng(shape[0]).standard_normal(shape)
    points /= np.linalg.norm(points, axis=-1, keepdims=True)
    return points.astype(np.float32)


def machine(counts: tuple[int, ...], side: float = 1.0, intercept: float = 0.0) -> Machine:
    """side: -1 for coefficients of the wrong sign."""
    classes, count = len(counts), sum(counts)
    own = np.repeat(np.arange(classes), counts)
    strengths = np.random.default_rng(1).random((classes - 1, count)) / np.array(counts)[own]
    later = np.arange(classes - 1)[:, np.newaxis] >= own
    vectors = unit(count, 16)
    return Machine(
        vectors,
        own,
        np.where(later, strengths, -strengths) * side,
        np.full(classes * (classes - 1) // 2, intercept),
        rbf(GAMMA, lengths_squared(vectors)),
    )


@pytest.mark.criterion("R2.1")
@pytest.mark.parametrize("largest", [0, 1, 2])
def test_what_the_means_win_the_class_wins_and_the_other_pairs_are_the_same(largest: int) -> None:
    counts = [6, 7, 8]
    counts[largest] = 500
    whole = machine(tuple(counts))
    small, same = understated(whole, GAMMA)
    assert small is not None
    assert len(small.vectors) < len(whole.vectors) / 2
    first, second = pairs(3)
    sides = (first == largest) * 1 - (second == largest)
    won = 0
    for query in unit(400, 16):
        ours, theirs = small.decisions(query), whole.decisions(query)
        gains = sides * (theirs - ours)
        assert (gains[sides != 0] > 0).all()
        assert ours[sides == 0] == pytest.approx(theirs[sides == 0], abs=1e-6)
        assert same.decisions(query) == pytest.approx(theirs, abs=1e-6)
        won += bool((sides * ours > 0)[sides != 0].all())
    assert won


@pytest.mark.criterion("R2.1")
def test_vectors_that_are_all_the_same_lose_nothing_but_the_rounding() -> None:
    same = machine((500, 6))
    same.vectors[:500] = same.vectors[0]
    small, _ = understated(same, GAMMA)
    assert small is not None
    for query in (*same.vectors[:2], *unit(9, 16)):
        assert 0 < same.decisions(query) - small.decisions(query) < 1e-3


@pytest.mark.criterion("R2.1")
def test_there_is_none_where_it_would_not_be_small_or_not_right() -> None:
    assert understated(machine((200, 200, 200)), GAMMA)[0] is None
    assert understated(machine((40, 6)), GAMMA)[0] is None
    assert understated(machine((500, 6), side=-1.0), GAMMA)[0] is None
    assert understated(machine((500, 6), side=0.0), GAMMA)[0] is None
