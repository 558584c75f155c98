"""Rows of the ledger as the database takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson

from ..store.spend import AT_A_TIME, Batch, is_plain
from .row import LARGEST, TEXTS, SpendRow

_NUMBERS = ("input_tokens", "output_tokens", "cached_tokens", "cache_creation_tokens")


async def batch_of(rows: Iterable[bytes]) -> Batch:
    """A batch of encoded rows; of rows of one call the first.

    Raises ValueError for what is no row.
    """
    unique: dict[str, bytes] = {}
    tags: list[tuple[str, str]] = []
    shared: list[tuple[str, str, int]] = []
    for number, row in enumerate(rows, 1):
        if number % AT_A_TIME == 0:
            await asyncio.sleep(0)
        call_id = _call_id(row)
        if call_id in unique:
            continue
        unique[call_id] = row
        if not is_plain(row):
            whole = SpendRow.decoded(row)
            tags += [(call_id, tag) for tag in dict.fromkeys(whole.tags)]
            shared += [(call_id, *each) for each in dict(whole.shared).items()]
    return Batch(tuple(unique.values()), tags, shared)


def _call_id(row: bytes) -> str:
    """The first value of an array of JSON, which is text."""
    end = row.find(b'",')
    found = row[2:end]
    if end < 0 or b"\\" in found:
        return str(orjson.loads(row)[0])
    return found.decode()


def mended(row: SpendRow) -> SpendRow:
    """The row without what no database holds: characters of code 0, halves of surrogate pairs, and
    numbers beyond 64 bits."""
    changes: dict[str, Any] = {name: _text(getattr(row, name)) for name in TEXTS}
    numbers = (*_NUMBERS, "reasoning_tokens", "cost")
    changes |= {name: _number(getattr(row, name)) for name in numbers}
    changes["tags"] = tuple(_text(tag) for tag in row.tags)
    changes["shared"] = tuple((_text(counter), period) for counter, period in row.shared)
    return row._replace(**changes)


def _text(value: str) -> str:
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def _number(value: int | None) -> int | None:
    # Far from the largest, so that sums have room.
    return None if value is None else max(0, min(value, LARGEST >> 20))
