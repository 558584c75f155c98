"""Work in the background ends when it is told to."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from trunkline.ledger.tasks import repeat


@pytest.mark.parametrize("error", [OSError, ValueError, None])
async def test_repeated_work_ends_even_if_what_it_waits_for_swallows_the_cancellation(
    error: type[Exception] | None,
) -> None:
    waits = asyncio.Event()

    async def work() -> None:
        with suppress(asyncio.CancelledError):
            waits.set()
            await asyncio.Event().wait()
        if error is not None:
            raise error

    task = asyncio.create_task(repeat("work", work, 3600.0))
    await waits.wait()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=30)
    assert task in done
    assert task.cancelled()
