"""The ledger: how many rows a second it brings into PostgreSQL, sums included, and what a row costs
the process that serves."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from typing import Any

from tests.support.ledger import ROW, database_at, ledger_of, put
from tests.support.postgres import postgres_server
from trunkline.ledger.row import SpendRow
from trunkline.store import partitions, tables

from .figures import Figures

ROWS = 40_000
"""Rows of a round; no more than memory keeps."""
KEYS = 1_000
TOGETHER = 32
"""Calls that end at once."""

Say = Callable[[str], None]


def measure(say: Say, *, rounds: int) -> Figures:
    """Rows a second, and processor time a row in microseconds, by database."""
    found: Figures = {}
    with postgres_server(durable=True) as server:
        for name, url in (("postgresql", server.database()), ("sqlite", "")):
            with tempfile.TemporaryDirectory() as folder:
                found[name] = asyncio.run(_rounds(url, Path(folder), rounds))
            say(
                f"ledger, {name}: {median(found[name]['rate']):,.0f} rows/s,"
                f" {median(found[name]['drain_us']):.0f} µs of the process a row;"
                f" journal {median(found[name]['journal_us']):.0f} µs"
            )
    return {"rows": ROWS, **found}


async def _rounds(url: str, folder: Path, rounds: int) -> Figures:
    figures: dict[str, list[float]] = {"rate": [], "drain_us": [], "journal_us": []}
    async with database_at(url, folder) as database:
        await partitions.make(database, _day())
        for number in range(KEYS):
            await put(database, tables.keys, token=f"key-{number}")
        for number in range(rounds):
            for name, value in (await _round(database, folder, number)).items():
                figures[name].append(value)
    return figures


async def _round(database: Any, folder: Path, number: int) -> dict[str, float]:
    ledger = ledger_of(database, folder)
    rows = [_row(number * ROWS + each) for each in range(ROWS)]
    used = time.process_time()
    for start in range(0, ROWS, TOGETHER):
        await asyncio.gather(*map(ledger.record, rows[start : start + TOGETHER]))
    journal = time.process_time() - used
    used, began = time.process_time(), time.perf_counter()
    await ledger.flush()
    seconds, drain = time.perf_counter() - began, time.process_time() - used
    await ledger.close()
    return {
        "rate": ROWS / seconds,
        "drain_us": drain / ROWS * 1e6,
        "journal_us": journal / ROWS * 1e6,
    }


def _row(number: int) -> SpendRow:
    now = time.time()
    return ROW._replace(
        call_id=f"{number:032x}",
        started=now,
        ended=now + 1.5,
        first_byte=now + 0.2,
        key_hash=f"key-{number % KEYS}",
        user_id=f"user-{number % 100}",
        team_id=f"team-{number % 20}",
        customer_id=f"customer-{number % 500}",
        tags=("production",),
    )


def _day() -> date:
    return datetime.now(UTC).date()
