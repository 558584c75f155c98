"""What calls cost lately, whoever answered them: an alarm compares it with what is planned."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select

from trunkline.access.registry import Registry
from trunkline.store.tables import spend_logs

HOUR = timedelta(hours=1)
NANO = 1_000_000_000


async def spent(registry: Registry, now: datetime) -> float:
    """US dollars of the calls that began in the hour before. Raises StoreUnavailable."""
    summed = select(func.coalesce(func.sum(spend_logs.c.spend), 0)).where(
        spend_logs.c.started_at > now - HOUR, spend_logs.c.started_at <= now
    )
    async with registry.database.reading() as connection:
        return float((await connection.execute(summed)).scalar_one()) / NANO
