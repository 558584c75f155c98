"""Rows of the ledger as the database takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from ..store.spend import AT_A_TIME, Batch
from .row import LARGEST, TEXTS, SpendRow

_NUMBERS = ("input_tokens", "output_tokens", "cached_tokens", "cache_creation_tokens")


async def batch_of(rows: Iterable[SpendRow]) -> Batch:
    """A batch; of rows of one call the first."""
    unique = {row.call_id: row for row in reversed(list(rows))}
    encoded: list[bytes] = []
    tags: list[tuple[str, str]] = []
    shared: list[tuple[str, str, int]] = []
    for row in unique.values():
        encoded.append(row.encoded())
        if row.tags:
            tags += [(row.call_id, tag) for tag in dict.fromkeys(row.tags)]
        if row.shared:
            shared += [(row.call_id, *each) for each in dict(row.shared).items()]
        if len(encoded) % AT_A_TIME == 0:
            await asyncio.sleep(0)
    return Batch(encoded, tags, shared)


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
