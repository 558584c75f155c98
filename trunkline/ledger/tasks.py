"""Work that is done again and again in the background, and that never ends by failing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..errors import GatewayError
from ..state.contract import CountersUnavailable

log = logging.getLogger("trunkline.ledger")

LONGEST = 5.0
"""Seconds between two tries, where the usual ones are fewer."""

Pause = Callable[[float], Awaitable[None]]


async def repeat(
    name: str, work: Callable[[], Awaitable[None]], seconds: float, pause: Pause = asyncio.sleep
) -> None:
    """Does the work, pauses, and so on until it is cancelled.

    After a failure, which is logged, it pauses a second at most, and twice as long each time, up to
    the usual pause or LONGEST.
    """
    failures = 0
    while True:
        try:
            await work()
        except (GatewayError, CountersUnavailable, OSError) as error:
            failures += 1
            log.warning(
                "%s failed", name, extra={"error": type(error).__name__, "failures": failures}
            )
        except Exception:
            failures += 1
            log.exception("%s failed", name, extra={"failures": failures})
        else:
            if failures:
                log.info("%s goes on", name, extra={"failures": failures})
            failures = 0
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # A database's driver may fail with an error of its own where it is cancelled.
            raise asyncio.CancelledError
        if failures:
            wait = min(seconds, 1.0) * 2.0 ** min(failures - 1, 16)
            await asyncio.sleep(min(wait, max(seconds, LONGEST)))
        else:
            await pause(seconds)
