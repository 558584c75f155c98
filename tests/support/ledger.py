"""Ledgers of the tests' own: a database with its tables, rows, a stream in Redis."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select, text

from trunkline.access.periods import next_reset
from trunkline.ledger.ledger import Ledger
from trunkline.ledger.row import SpendRow
from trunkline.ledger.upkeep import Upkeep
from trunkline.state.contract import CountersUnavailable
from trunkline.store.database import Database, address
from trunkline.store.schema import upgrade
from trunkline.store.spend_resets import Reset
from trunkline.store.tables import spend_logs

START = 1_750_000_000.0
ROW = SpendRow(
    call_id="",
    parent_id="",
    started=START,
    ended=START + 2.0,
    first_byte=START + 0.5,
    key_hash="",
    key_alias="",
    user_id="",
    team_id="",
    organization_id="",
    customer_id="",
    tags=(),
    operation="chat",
    model_group="gpt",
    model="openai/gpt-4o",
    deployment="d1",
    provider="openai",
    api_base="https://api.openai.com/v1",
    input_tokens=10,
    output_tokens=5,
    cached_tokens=None,
    cache_creation_tokens=None,
    reasoning_tokens=None,
    cost=1000,
    cache_hit=False,
    stream=False,
    status="success",
    error="",
    strategy="",
    bundle="",
    trace_id="",
)


def row(number: int | str, **values: Any) -> SpendRow:
    """A row of its own call."""
    return ROW._replace(call_id=f"call-{number}", **values)


class RedisStream:
    """The stream of the ledger in a Redis."""

    key = "{trunkline}:ledger"

    def __init__(self, url: str) -> None:
        self._client = Redis.from_url(url)

    async def add(self, rows: Sequence[bytes]) -> list[str]:
        with _told():
            ids = [await self._client.xadd(self.key, {"row": each}) for each in rows]
        return [id.decode() for id in ids]

    async def delete(self, ids: Sequence[str]) -> None:
        with _told():
            await self._client.xdel(self.key, *ids)

    async def older_than(self, seconds: float, count: int) -> list[tuple[str, bytes]]:
        with _told():
            now, micro = await self._client.time()
            last = int((now - seconds) * 1000 + micro / 1000)
            found = await self._client.xrange(self.key, max=str(last), count=count)
        return [(id.decode(), fields[b"row"]) for id, fields in found]

    async def length(self) -> int:
        with _told():
            return int(await self._client.xlen(self.key))

    async def close(self) -> None:
        await self._client.aclose()


@contextlib.contextmanager
def _told() -> Any:
    try:
        yield
    except RedisError as error:
        raise CountersUnavailable from error


@contextlib.asynccontextmanager
async def database_at(url: str, folder: Path, *, connections: int = 3) -> AsyncIterator[Database]:
    """A database with the tables. url: `database_url`; empty for SQLite in the folder."""
    place = address(url, folder)
    upgrade(place)
    database = Database(place, connections=connections, timeout=5.0)
    try:
        yield database
    finally:
        await database.close()


def upkeep_of(
    database: Database, heard: list[Reset] | None = None, now: float | None = None, **options: Any
) -> Upkeep:
    async def began_anew(reset: Reset) -> None:
        if heard is not None:
            heard.append(reset)

    if now is not None:
        options["now"] = lambda: now
    return Upkeep(database, next_reset, began_anew, **options)


def ledger_of(database: Database, folder: Path, **options: Any) -> Ledger:
    """One that isn't started: rows come to the database by `flush`."""
    upkeep = options.pop("upkeep", None) or upkeep_of(database)
    return Ledger(database, folder, upkeep, **options)


async def ids(database: Database) -> list[str]:
    """The calls of all rows in the database, in order."""
    async with database.reading() as connection:
        found = await connection.execute(select(spend_logs.c.request_id).order_by(text("1")))
        return [id for (id,) in found]


async def count(database: Database) -> int:
    async with database.reading() as connection:
        found = await connection.execute(select(func.count()).select_from(spend_logs))
        return int(found.scalar_one())


async def put(database: Database, table: Any, **values: Any) -> None:
    """Inserts a row of a table, as the management of it would."""
    stamp = datetime.fromisoformat("2025-01-01T00:00:00+00:00")
    kept = {name: stamp for name in ("created_at", "updated_at") if name in table.c}
    async with database.writing() as connection:
        await connection.execute(table.insert().values({**kept, **values}))


async def rows_of(database: Database, table: Any) -> list[dict[str, Any]]:
    async with database.reading() as connection:
        found = await connection.execute(select(table).order_by(text("1, 2")))
        return [dict(each) for each in found.mappings()]
