"""Ends keys whose time has long been over, which nobody can call with any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from trunkline.access.registry import Registry
from trunkline.access.scopes import Level
from trunkline.store.tables import keys, replaced_keys

AT_ONCE = 1_000
"""Keys in a transaction."""


async def expire(registry: Registry, now: datetime, days: int) -> int:
    """Deletes old names of keys that were replaced, and keys that expired so many days ago.

    days: 0 keeps all keys. How many keys were deleted. Raises StoreUnavailable.
    """
    async with registry.database.writing() as connection:
        await connection.execute(delete(replaced_keys).where(replaced_keys.c.ends_at <= now))
    deleted = 0
    while days and (ended := await _some(registry, now - timedelta(days=days))):
        await registry.changed(Level.KEY, *ended)
        deleted += len(ended)
    return deleted


async def _some(registry: Registry, before: datetime) -> list[str]:
    chosen = select(keys.c.token).where(keys.c.expires < before).limit(AT_ONCE)
    async with registry.database.writing() as connection:
        found = [row.token for row in await connection.execute(chosen)]
        if found:
            await connection.execute(delete(keys).where(keys.c.token.in_(found)))
    return found
