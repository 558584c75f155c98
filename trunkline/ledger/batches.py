"""Rows of the ledger as the database takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from ..store.spend import AT_A_TIME, Batch
from .row import FIELDS, LARGEST, SpendRow

_NUMBERS = ("input_tokens", "output_tokens", "cached_tokens", "cache_creation_tokens")
_TEXTS = frozenset(name for name in FIELDS if SpendRow.__annotations__[name] == "str")


async def batch_of(rows: Iterable[SpendRow]) -> Batch:
    """A batch; of rows of one call the first. Raises ValueError for times that no calendar has."""
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


def _values(row: SpendRow) -> tuple[Any, ...]:
    """In the order of `store.spend.COLUMNS`, then the day."""
    started = _moment(row.started)
    first = row.first_byte
    return (
        row.call_id,
        started,
        row.parent_id,
        _moment(row.ended),
        _moment(first) if first is not None else None,
        row.key_hash,
        row.key_alias,
        row.user_id,
        row.team_id,
        row.organization_id,
        row.customer_id,
        orjson.dumps(row.tags).decode() if row.tags else "[]",
        row.operation,
        row.model_group,
        row.model,
        row.deployment,
        row.provider,
        row.api_base,
        row.input_tokens,
        row.output_tokens,
        row.cached_tokens,
        row.cache_creation_tokens,
        row.reasoning_tokens,
        row.cost,
        row.cache_hit,
        row.stream,
        row.status,
        row.error,
        row.strategy,
        row.bundle,
        row.trace_id,
        row.requester_ip,
        row.messages,
        row.response,
        started[:10],
    )


def _moment(seconds: float) -> str:
    """As `Instant` has it; a fifth of the time that `datetime` takes for it."""
    whole, micro = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{micro:06d}+00:00"


@lru_cache(maxsize=1024)
def _second(whole: int) -> str:
    return datetime.fromtimestamp(whole, UTC).isoformat()[:19]
