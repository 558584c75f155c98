"""The days of `spend_logs`: a partition each on PostgreSQL, made ahead, and dropped whole.

Rows of days without one are in the default partition, and move when the day gets one.
"""

# ruff: noqa: S608 - what is put into statements are names and dates of our own

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database
from .spend import LOCK
from .tables import spend_logs, spend_seen

AHEAD = 7
"""Days after today."""
SEEN = timedelta(days=7)
"""How long the ids of calls are kept where no rows are."""
PATIENCE = "5s"
"""How long a change of the table waits for those who use it, since all others wait behind it."""

_TABLE = spend_logs.name
_DEFAULT = f"{_TABLE}_default"


async def make(database: Database, today: date) -> list[date]:
    """Makes the partitions of today and of the next days; those that weren't there.

    Raises StoreUnavailable.
    """
    if database.dialect != "postgresql":
        return []
    made = []
    for number in range(AHEAD + 1):
        day = today + timedelta(days=number)
        async with database.writing() as connection:
            await _alone(connection)
            if await _there(connection, day):
                continue
            await _make(connection, day)
            made.append(day)
    return made


async def drop(database: Database, before: datetime) -> None:
    """Ends the rows of calls that started before a moment; whole days of them on PostgreSQL.

    Raises StoreUnavailable.
    """
    if database.dialect == "postgresql":
        first = before.astimezone(UTC).date()
        async with database.reading() as connection:
            days = [day for day in await _days(connection) if day < first]
        for day in days:
            async with database.writing() as connection:
                await _alone(connection)
                await connection.execute(text(f"DROP TABLE IF EXISTS {_name(day)}"))
    old = delete(spend_logs).where(spend_logs.c.started_at < before)
    async with database.writing() as connection:
        if database.dialect == "postgresql":
            # In the default partition alone; the rest of a day goes with its day.
            await connection.execute(
                text(f"DELETE FROM {_DEFAULT} WHERE started_at < :before"), {"before": before}
            )
        else:
            await connection.execute(old)


async def forget_seen(database: Database, now: datetime) -> None:
    """Forgets the ids of calls that nobody will bring again. Raises StoreUnavailable."""
    async with database.writing() as connection:
        await connection.execute(delete(spend_seen).where(spend_seen.c.started_at < now - SEEN))


async def _alone(connection: AsyncConnection) -> None:
    await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    await connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))


async def _there(connection: AsyncConnection, day: date) -> bool:
    found = await connection.execute(text("SELECT to_regclass(:name)"), {"name": _name(day)})
    return found.scalar() is not None


async def _days(connection: AsyncConnection) -> list[date]:
    """The days that have partitions."""
    attached = f"""
        SELECT CAST(CAST(inhrelid AS regclass) AS text) FROM pg_inherits
        WHERE inhparent = CAST('{_TABLE}' AS regclass)
    """
    found = await connection.execute(text(attached))
    names = (name.rpartition("_")[2] for (name,) in found)
    return sorted(datetime.strptime(name, "%Y%m%d").date() for name in names if name.isdigit())


async def _make(connection: AsyncConnection, day: date) -> None:
    name = _name(day)
    start = datetime.combine(day, time(), UTC)
    bounds = f"'{start.isoformat()}' AND started_at < '{(start + timedelta(days=1)).isoformat()}'"
    for statement in (
        f"CREATE TABLE {name} (LIKE {_TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
        f"""
        WITH moved AS (DELETE FROM {_DEFAULT} WHERE started_at >= {bounds} RETURNING *)
        INSERT INTO {name} SELECT * FROM moved
        """,
        f"""
        ALTER TABLE {_TABLE} ATTACH PARTITION {name}
        FOR VALUES FROM ('{start.isoformat()}') TO ('{(start + timedelta(days=1)).isoformat()}')
        """,
    ):
        await connection.exec_driver_sql(statement)


def _name(day: date) -> str:
    return f"{_TABLE}_{day:%Y%m%d}"
