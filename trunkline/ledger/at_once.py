"""Puts a row into the database without a way there: what the database itself remembers is owed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..store import spend
from ..store.database import Database
from .batches import batch_of
from .row import SpendRow


class AtOnce:
    """Inserts rows of which nobody keeps a copy: who is killed before does it again.

    before: awaited before a row is inserted (see `Drain`). logs: see `store.spend.insert`.
    """

    def __init__(
        self, database: Database, before: Callable[[], Awaitable[None]], *, logs: bool
    ) -> None:
        self._database = database
        self._before = before
        self._logs = logs

    async def insert(self, row: SpendRow) -> bool:
        """Whether the row wasn't there yet. Raises StoreUnavailable."""
        await self._before()
        batch = await batch_of([row.encoded()])
        return bool(await spend.insert(self._database, batch, logs=self._logs))
