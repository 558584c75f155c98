"""Waiting for a place at a deployment that takes only so many calls at once.

Who waits is served in the order of arrival, before anyone who comes later. A place that is
handed over is promised until its attempt starts, so that nobody takes it meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .health import Vitals


async def wait_for_place(records: Sequence[Vitals], seconds: float) -> Vitals | None:
    """The first of `records` at which a place becomes free; None after `seconds`.

    The promise is the caller's, who ends it with `redeem`.
    """
    waiter: asyncio.Future[Vitals] = asyncio.get_running_loop().create_future()
    for record in records:
        record.waiting.append(waiter)
    try:
        await asyncio.wait((waiter,), timeout=seconds)
    except asyncio.CancelledError:
        if waiter.done():
            redeem(waiter.result())
            hand_on(waiter.result())
        raise
    finally:
        for record in records:
            if waiter in record.waiting:
                record.waiting.remove(waiter)
    return waiter.result() if waiter.done() else None


def redeem(record: Vitals) -> None:
    """A promise ends: its place is taken now, or given up."""
    record.promised -= 1


def hand_on(record: Vitals) -> None:
    """A place is free: promises it to the one who has waited longest."""
    while record.waiting:
        waiter = record.waiting.popleft()
        if not waiter.done():
            record.promised += 1
            waiter.set_result(record)
            return
