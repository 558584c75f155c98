"""From rows to examples: what one user asked, with all that was measured of the models' answers."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trunkline.routing.bundles.manifest import Label
from trunkline.routing.candidates_file import Described

from .reading import Row

TIES = ("best", "cheapest", "first")
"""Orders of the models; among equal ones the first wins, in training and in serving."""


@dataclass(slots=True)
class Example:
    """One query of one user. answers: the rows of each model, those that repeat it included."""

    first: Row
    answers: dict[str, list[Row]] = field(default_factory=dict)

    def performance(self, model: str) -> float:
        """The mean over the answers of a model; NaN where it has none."""
        return _mean(row.performance for row in self.answers.get(model, ()))

    def tokens(self, model: str) -> float:
        """The mean over the answers that were counted; NaN where none was."""
        return _mean(row.tokens for row in self.answers.get(model, ()) if row.tokens is not None)


def merged(rows: Iterable[Row]) -> list[Example]:
    """One example for each query of each user, in the order of their first rows."""
    found: dict[tuple[str, str, tuple[float, ...]], Example] = {}
    for row in rows:
        key = (row.user, row.query, () if row.query else row.embedding)
        example = found.setdefault(key, Example(row))
        example.answers.setdefault(row.model, []).append(row)
    return list(found.values())


def without_leaks(train: Iterable[Example], test: Iterable[Example]) -> list[Example]:
    """The training examples whose query, or one like it, isn't asked in the test."""
    tested = {identity(example.first) for example in test}
    return [example for example in train if identity(example.first) not in tested]


def split(
    examples: Sequence[Example], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Training and test examples: a query goes to the test by its hash, whoever asks it.

    share: of the queries, about, that go to the test. The same query with other spaces or capitals
    always goes where the first one goes.
    """
    limit = int(share * 2**64)
    parts: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        digest = hashlib.sha256(f"{seed}\0{identity(example.first)}".encode()).digest()
        parts[int.from_bytes(digest[:8], "big") < limit].append(example)
    return parts


def identity(row: Row) -> str:
    """What makes two queries the same for a split: their words; without text, their embedding."""
    return " ".join(row.query.casefold().split()) or repr(row.embedding)


def labels(
    examples: Sequence[Example], described: Mapping[str, Described], ties: str
) -> tuple[Label, ...]:
    """The models of the examples, in the order that decides between equals.

    ties: `best` first the one with the highest mean; `cheapest` first the one with the lowest
    price; `first` as the rows name them, which is what LLMRouter does.
    """
    names = list(dict.fromkeys(name for example in examples for name in example.answers))
    made = {name: _label(name, examples, described) for name in names}
    if ties == "first":
        return tuple(made.values())
    mean = {name: _mean_known(example.performance(name) for example in examples) for name in names}

    def order(name: str) -> tuple[float, float, str]:
        price, worse = _price(made[name]), -mean[name]
        return (price, worse, name) if ties == "cheapest" else (worse, price, name)

    return tuple(made[name] for name in sorted(names, key=order))


def matrix(examples: Sequence[Example], names: Sequence[str], of: str) -> np.ndarray:
    """float32[examples, names] of `performance` or `tokens`; NaN where it isn't known."""
    return np.array(
        [[getattr(example, of)(name) for name in names] for example in examples], dtype=np.float32
    ).reshape(len(examples), len(names))


def json_lines(examples: Sequence[Example], names: Sequence[str], first_id: int = 0) -> bytes:
    """The examples in LLMRouter's format, each with its models in the order of the names.

    first_id: the `embedding_id` of the first example; the others follow.
    """
    lines = [
        json.dumps(_record(example, name, number), ensure_ascii=False)
        for number, example in enumerate(examples, first_id)
        for name in names
        if name in example.answers
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _record(example: Example, name: str, number: int) -> dict[str, Any]:
    row, tokens = example.answers[name][0], example.tokens(name)
    first = example.first
    return {
        "task_name": first.task,
        "query": first.query,
        **row.others,
        "model_name": name,
        "performance": example.performance(name),
        "embedding_id": number,
        **({"output_tokens": tokens} if tokens == tokens else {}),  # noqa: PLR0124 - NaN
        **({"user_id": first.user} if first.user else {}),
        **({} if first.query else {"embedding": list(first.embedding)}),
        **({} if first.query else {"embedder_sha256": first.embedder_sha256}),
    }


def _label(name: str, examples: Sequence[Example], described: Mapping[str, Described]) -> Label:
    label = described[name].label if name in described else Label(name=name)
    tokens = _mean_known(example.tokens(name) for example in examples)
    return label if math.isnan(tokens) else label.model_copy(update={"output_tokens": tokens})


def _price(label: Label) -> float:
    """Dollars per million tokens of an answer; the dearest of all where nobody knows."""
    return math.inf if label.output_price is None else label.output_price


def _mean_known(values: Iterable[float]) -> float:
    return _mean(value for value in values if not math.isnan(value))


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found) if found else math.nan
