"""Rows of the ledger as the database takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter
from typing import Any

from ..store.spend import AT_A_TIME, Batch
from .row import FIELDS, LARGEST, SpendRow

_NUMBERS = ("input_tokens", "output_tokens", "cached_tokens", "cache_creation_tokens")
_TEXTS = frozenset(name for name in FIELDS if SpendRow.__annotations__[name] == "str")


async def batch_of(rows: Iterable[SpendRow]) -> Batch:
    """A batch; of rows of one call the first."""
    unique = {row.call_id: row for row in reversed(list(rows))}
    values = []
    for number, row in enumerate(unique.values()):
        values.append(_values(row))
        if number % AT_A_TIME == 0:
            await asyncio.sleep(0)
    return Batch(
        rows=values,
        tags=[(row.call_id, tag) for row in unique.values() for tag in dict.fromkeys(row.tags)],
        shared=[
            (row.call_id, counter, period)
            for row in unique.values()
            for counter, period in dict(row.shared).items()
        ],
    )


def mended(row: SpendRow) -> SpendRow:
    """The row without what no database holds: characters of code 0, halves of surrogate pairs, and
    numbers beyond 64 bits."""
    changes: dict[str, Any] = {name: _text(getattr(row, name)) for name in _TEXTS}
    numbers = (*_NUMBERS, "reasoning_tokens", "cost")
    changes |= {name: _number(getattr(row, name)) for name in numbers}
    changes["tags"] = tuple(_text(tag) for tag in row.tags)
    changes["shared"] = tuple((_text(counter), period) for counter, period in row.shared)
    return replace(row, **changes)


def _text(value: str) -> str:
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def _number(value: int | None) -> int | None:
    # Far from the largest, so that sums have room.
    return None if value is None else max(0, min(value, LARGEST >> 20))


_values = attrgetter(
    *("call_id", "started", "parent_id", "ended", "first_byte"),
    *("key_hash", "key_alias", "user_id", "team_id", "organization_id", "customer_id", "tags"),
    *("operation", "model_group", "model", "deployment", "provider", "api_base"),
    *("input_tokens", "output_tokens", "cached_tokens", "cache_creation_tokens"),
    *("reasoning_tokens", "cost", "cache_hit", "stream", "status", "error"),
    *("strategy", "bundle", "trace_id", "requester_ip", "messages", "response"),
)
"""In the order of `store.spend.COLUMNS`."""
