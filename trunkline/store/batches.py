"""Batches that were created here, until they are charged: whose they are, and when to ask for them.

Of several processes that see a batch end, each may charge it: its row has one id and one time, so
that it counts once. `charged` only says that nobody needs to look any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from ..dataclass import dataclass
from .database import Database
from .tables import batches


@dataclass(frozen=True, slots=True)
class CreatedBatch:
    """A batch, and whom it is charged to.

    place: which server of which provider has it (see `providers.batches.place_of`). batch_id: the
        provider's. request_id: of its row in the ledger. parent_id: the call that created it.
    account: see `providers.affinity.tag_of`. model_id: the deployment's id.
    api_key … trace_id: as `spend_logs` has them.
    ended_at: when it was first seen to have ended; None before.
    """

    place: str
    batch_id: str
    request_id: str
    parent_id: str
    account: str
    model_id: str
    model_group: str
    api_key: str
    key_alias: str
    user_id: str
    team_id: str
    organization_id: str
    end_user: str
    request_tags: tuple[str, ...]
    requester_ip_address: str
    trace_id: str
    created_at: datetime
    ended_at: datetime | None = None


_COLUMNS = [batches.c[field.name] for field in fields(CreatedBatch)]


def _created(row: Row[Any]) -> CreatedBatch:
    values = dict(row._mapping)
    return CreatedBatch(**{**values, "request_tags": tuple(values["request_tags"] or ())})


def _is(batch: CreatedBatch) -> ColumnElement[bool]:
    return and_(batches.c.place == batch.place, batches.c.batch_id == batch.batch_id)


async def remember(database: Database, batch: CreatedBatch, due: datetime) -> None:
    """Keeps a batch that was created; one that is known stays as it is. Raises StoreUnavailable.

    due: when to ask for it.
    """
    insert = insert_sqlite if database.dialect == "sqlite" else insert_postgresql
    values = {column.name: getattr(batch, column.name) for column in _COLUMNS}
    values |= {"request_tags": list(batch.request_tags), "due_at": due}
    async with database.writing() as connection:
        await connection.execute(insert(batches).values(values).on_conflict_do_nothing())


async def uncharged(database: Database, place: str, ids: Iterable[str]) -> list[CreatedBatch]:
    """Those of a place's batches that nobody has charged. Raises StoreUnavailable."""
    found = select(*_COLUMNS).where(
        batches.c.place == place,
        batches.c.batch_id.in_(list(ids)),
        batches.c.charged_at.is_(None),
    )
    async with database.reading() as connection:
        return [_created(row) for row in await connection.execute(found)]


async def claim(
    database: Database, now: datetime, until: datetime, most: int
) -> list[CreatedBatch]:
    """Batches that are due, for this process alone until a moment. Raises StoreUnavailable."""
    due = and_(batches.c.charged_at.is_(None), batches.c.due_at <= now)
    async with database.reading() as connection:
        if (
            await connection.execute(select(batches.c.batch_id).where(due).limit(1))
        ).first() is None:
            return []
    async with database.writing() as connection:
        some = select(*_COLUMNS).where(due).order_by(batches.c.due_at).limit(most)
        rows = await connection.execute(some.with_for_update(skip_locked=True))
        found = [_created(row) for row in rows]
        for each in found:
            await connection.execute(update(batches).where(_is(each)).values(due_at=until))
    return found


async def ask_at(database: Database, batch: CreatedBatch, due: datetime) -> None:
    """Has a batch asked for at another moment. Raises StoreUnavailable."""
    async with database.writing() as connection:
        await connection.execute(update(batches).where(_is(batch)).values(due_at=due))


async def end(database: Database, batch: CreatedBatch, now: datetime) -> datetime:
    """When a batch was first seen to have ended, which is now if nobody has. Raises
    StoreUnavailable."""
    async with database.writing() as connection:
        await connection.execute(
            update(batches).where(_is(batch), batches.c.ended_at.is_(None)).values(ended_at=now)
        )
        found = await connection.execute(select(batches.c.ended_at).where(_is(batch)))
        return found.scalar() or now


async def charged(
    database: Database, batch: CreatedBatch, now: datetime, group: str, model_id: str
) -> None:
    """Says that its row is in the ledger, and of which model group and deployment it is.

    Raises StoreUnavailable.
    """
    values = {"charged_at": now, "model_group": group, "model_id": model_id}
    async with database.writing() as connection:
        await connection.execute(update(batches).where(_is(batch)).values(values))


async def charged_since(database: Database, moment: datetime) -> Sequence[CreatedBatch]:
    """Batches that some process has charged since. Raises StoreUnavailable."""
    async with database.reading() as connection:
        rows = await connection.execute(select(*_COLUMNS).where(batches.c.charged_at >= moment))
        return [_created(row) for row in rows]


async def forget(database: Database, before: datetime) -> int:
    """Forgets batches that were created before a moment; how many of them nobody has charged.

    Raises StoreUnavailable.
    """
    old = batches.c.created_at < before
    async with database.writing() as connection:
        lost = await connection.execute(
            select(func.count()).select_from(batches).where(old, batches.c.charged_at.is_(None))
        )
        await connection.execute(delete(batches).where(old))
        return int(lost.scalar_one())
