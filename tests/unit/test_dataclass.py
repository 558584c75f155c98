"""Trunkline's data classes behave as the standard library's."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import field, fields, replace
from typing import Any

import pytest

from trunkline.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Frozen:
    a: int
    b: tuple[str, ...] = ()
    hidden: str = field(default="", repr=False, compare=False)


@dataclass(slots=True)
class Open:
    a: int
    b: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Empty:
    pass


@dataclass(frozen=True, slots=True)
class Single:
    a: Any


@dataclass(frozen=True, slots=True)
class Wider(Frozen):
    c: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Itself:
    a: int


@dataclass(frozen=True, slots=True)
class Own:
    a: int

    def __eq__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "own"

    __hash__ = None  # type: ignore[assignment]


def twin(kind: type) -> type:
    """The same fields, by the standard library."""
    names = [(each.name, each.type, each) for each in fields(kind)]
    return dataclasses.make_dataclass(kind.__name__, names, frozen=True)


@pytest.mark.parametrize(
    ("kind", "values"),
    [(Frozen, (1, ("x",), "h")), (Empty, ()), (Single, ("s",)), (Wider, (1, (), "h", 2))],
)
def test_they_are_written_and_hashed_as_there(kind: Any, values: tuple[Any, ...]) -> None:
    theirs = twin(kind)
    assert repr(kind(*values)) == repr(theirs(*values))
    assert kind(*values) == kind(*values)
    assert hash(kind(*values)) == hash(kind(*values))
    assert len({kind(*values), kind(*values)}) == len({theirs(*values), theirs(*values)})


def test_what_differs_differs() -> None:
    assert Frozen(1) != Frozen(2)
    assert Frozen(1, hidden="x") == Frozen(1, hidden="y")
    assert Frozen(1) != Wider(1)
    assert Wider(1, c=1) != Wider(1, c=2)
    assert Single(1) != 1
    assert Open(1, [1]) == Open(1, [1]) != Open(1, [2])
    assert Itself(1) != Itself(1)
    assert len({Itself(1), Itself(1)}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Open(1))


def test_what_a_class_says_itself_stands() -> None:
    assert repr(Own(1)) == "own"
    assert Own(1) == Own(2)


def test_they_are_copied_and_replaced() -> None:
    this = Wider(1, ("x",), "h", 3)
    assert replace(this, a=2) == Wider(2, ("x",), "h", 3)
    assert copy.deepcopy(this) == this
    assert pickle.loads(pickle.dumps(this)) == this
    assert dataclasses.asdict(Open(1, [2])) == {"a": 1, "b": [2]}
    assert not hasattr(this, "__dict__")
