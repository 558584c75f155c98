"""The steps of one run. Each may be done at any time, twice, or beside the gateway's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from trunkline.bookkeeping import Books, bring_up_to_date
from trunkline.settings import Settings
from trunkline.telemetry.metrics import Metrics

from .batches import charge
from .expiry import expire
from .spending import spent

Work = Callable[[], Awaitable[float | None]]


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one. error: empty where it was done.

    count: of what it did, where it counts; dollars of `spend`. seconds: that it took.
    """

    name: str
    seconds: float
    count: float | None = None
    error: str = ""


async def run(settings: Settings, expired_key_days: int, left: Callable[[], float]) -> list[Step]:
    """Does all steps, whatever becomes of the others.

    left: seconds that there are still. What can't be done in them is done by the next run.
    """
    schema = await _step("schema", _upgraded(settings), left)
    if schema.error:
        return [schema]
    books = Books(settings, Metrics(), 1)
    try:
        upkeep, ledger = books.ledger.upkeep, books.ledger

        async def expiry() -> int:
            return await expire(books.registry, datetime.now(UTC), expired_key_days)

        async def replay() -> int:
            before = ledger.written
            await ledger.replay()
            return ledger.written - before

        async def spend() -> float:
            return await spent(books.registry, datetime.now(UTC))

        works: dict[str, Work] = {
            "budgets": _uncounted(upkeep.reset),
            "ledger": replay,
            "batches": _uncounted(partial(charge, books, settings)),
            "partitions": _uncounted(upkeep.tables),
            "keys": expiry,
        }
        if not settings.general_settings.disable_spend_logs:
            works["spend"] = spend
        return [schema, *[await _step(name, work, left) for name, work in works.items()]]
    finally:
        await books.close()


def _upgraded(settings: Settings) -> Work:
    async def work() -> int:
        return int(await asyncio.to_thread(bring_up_to_date, settings))

    return work


def _uncounted(done: Callable[[], Awaitable[None]]) -> Work:
    async def work() -> None:
        await done()

    return work


async def _step(name: str, work: Work, left: Callable[[], float]) -> Step:
    began = time.monotonic()
    try:
        async with asyncio.timeout(max(left(), 0)):
            count = await work()
    except TimeoutError:
        return Step(name, time.monotonic() - began, error="there was no time left for it")
    except Exception as error:  # noqa: BLE001 - it is told, and the run fails by it in the end
        told = f"{type(error).__name__}: {error}".strip(": ")
        return Step(name, time.monotonic() - began, error=told)
    return Step(name, time.monotonic() - began, count)
