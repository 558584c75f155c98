"""Rows of the ledger as the database takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import orjson

from ..store.spend import AT_A_TIME, Batch, is_plain
from .row import FIELDS

_TAGS, _SHARED = FIELDS.index("tags"), FIELDS.index("shared")


async def batch_of(rows: Iterable[bytes]) -> Batch:
    """A batch of encoded rows; of rows of one call the first."""
    unique: dict[str, bytes] = {}
    tags: list[tuple[str, str]] = []
    shared: list[tuple[str, str, int]] = []
    for number, row in enumerate(rows, 1):
        if number % AT_A_TIME == 0:
            await asyncio.sleep(0)
        call_id = call_id_of(row)
        if call_id in unique:
            continue
        unique[call_id] = row
        if not is_plain(row):
            values = orjson.loads(row)
            tags += [(call_id, tag) for tag in dict.fromkeys(values[_TAGS])]
            shared += [(call_id, *each) for each in dict(values[_SHARED]).items()]
    return Batch(tuple(unique.values()), tags, shared)


def call_id_of(row: bytes) -> str:
    """The first value of an array of JSON, which is text."""
    end = row.find(b'",')
    found = row[2:end]
    if end < 0 or b"\\" in found:
        return str(orjson.loads(row)[0])
    return found.decode()
