"""What the ledger's tables need from time to time: budgets that begin anew, partitions, and an end
of old rows."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from ..store import partitions
from ..store.database import Database
from ..store.spend_resets import NextReset, Reset, reset_due
from .tasks import repeat

RESET_SECONDS = 60.0
TABLE_SECONDS = 3600.0

BeganAnew = Callable[[Reset], Awaitable[None]]
"""Tells whoever remembers what was spent."""


class Upkeep:
    """Does it, and tells whose budgets began anew."""

    def __init__(
        self,
        database: Database,
        next_reset: NextReset,
        began_anew: BeganAnew,
        *,
        retention: timedelta | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """retention: how long rows of calls are kept; None for ever. now: Unix time."""
        self._database = database
        self._next_reset = next_reset
        self._began_anew = began_anew
        self._retention = retention
        self._now = now

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        return [
            repeat("beginning budgets anew", self.reset, RESET_SECONDS),
            repeat("keeping the ledger's tables", self.tables, TABLE_SECONDS),
        ]

    async def reset(self) -> None:
        """Begins budgets anew whose period has ended. Raises StoreUnavailable."""
        for each in await reset_due(self._database, self._time(), self._next_reset):
            await self.tell(each)

    async def tell(self, reset: Reset) -> None:
        """Tells whose budgets began anew, where another process began them."""
        await self._began_anew(reset)

    async def tables(self) -> None:
        """Makes the partitions of the coming days, and ends rows that are too old.

        Raises StoreUnavailable.
        """
        now = self._time()
        await partitions.make(self._database, now.date())
        if self._retention is not None:
            await partitions.drop(self._database, now - self._retention)
        await partitions.forget_seen(self._database, now)

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)
