"""Models that were added while the gateway ran: kept in the database, parameters sealed.

They stand beside those of the file's `model_list`, as entries of the same schema.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import ValidationError
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..dataclass import dataclass
from ..errors import InvalidRequest
from ..settings import Settings
from ..settings.schema import ModelEntry
from ..store.database import Database
from ..store.tables import models

log = logging.getLogger("trunkline.live")


class Sealing(Protocol):
    """What keeps credentials secret."""

    def seal(self, content: bytes, purpose: str) -> str: ...

    def open(self, sealed: str, purpose: str) -> bytes:
        """Raises ValueError for what was sealed with another key."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model as it was added. params: `litellm_params`, with credentials. info: `model_info`.

    created, updated: when, and by whom.
    """

    id: str
    name: str
    params: Mapping[str, Any]
    info: Mapping[str, Any]
    created: tuple[datetime, str]
    updated: tuple[datetime, str]

    def entry(self) -> dict[str, Any]:
        """As it would stand in `model_list`."""
        return {
            "model_name": self.name,
            "litellm_params": dict(self.params),
            "model_info": {**self.info, "id": self.id, "db_model": True},
        }


class StoredModels:
    """The models in the database. Every method raises StoreUnavailable."""

    def __init__(self, database: Database, sealing: Sealing) -> None:
        self._database = database
        self._sealing = sealing

    async def all(self) -> list[StoredModel]:
        """In the order in which they were added, without those that can't be read."""
        query = select(models).order_by(models.c.created_at, models.c.model_id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [model for row in rows if (model := self._read(row)) is not None]

    async def find(self, id: str) -> StoredModel | None:
        async with self._database.reading() as connection:
            rows = await connection.execute(select(models).where(models.c.model_id == id))
            row = rows.mappings().first()
        return None if row is None else self._read(row)

    async def add(self, id: str, name: str, params: Any, info: Any, by: str) -> StoredModel:
        """Raises InvalidRequest where there is one of this id."""
        now = datetime.now(UTC)
        made = {"created_at": now, "created_by": by, "updated_at": now, "updated_by": by}
        written = {"model_id": id, "model_name": name, **self._written(id, params, info), **made}
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(models).values(written))
        except IntegrityError:
            raise taken() from None
        return StoredModel(id, name, params, info, (now, by), (now, by))

    async def change(self, model: StoredModel, by: str) -> bool:
        """Whether it was there."""
        changed = {
            "model_name": model.name,
            **self._written(model.id, model.params, model.info),
            "updated_at": datetime.now(UTC),
            "updated_by": by,
        }
        async with self._database.writing() as connection:
            done = await connection.execute(
                update(models).where(models.c.model_id == model.id).values(changed)
            )
        return done.rowcount > 0

    async def remove(self, id: str) -> bool:
        """Whether it was there."""
        async with self._database.writing() as connection:
            done = await connection.execute(delete(models).where(models.c.model_id == id))
        return done.rowcount > 0

    def _written(self, id: str, params: Any, info: Any) -> dict[str, Any]:
        sealed = self._sealing.seal(json.dumps(params).encode(), _purpose(id))
        return {"litellm_params": sealed, "model_info": info}

    def _read(self, row: Any) -> StoredModel | None:
        try:
            params = json.loads(
                self._sealing.open(row["litellm_params"], _purpose(row["model_id"]))
            )
        except ValueError:
            log.error(
                "a stored model can't be read: was it stored under another salt key?",
                extra={"model_id": row["model_id"]},
            )
            return None
        return StoredModel(
            row["model_id"],
            row["model_name"],
            params,
            row["model_info"],
            (row["created_at"], row["created_by"]),
            (row["updated_at"], row["updated_by"]),
        )


async def load(database: Database, sealing: Sealing, settings: Settings) -> Settings:
    """A configuration with the stored models beside its own. Raises StoreUnavailable.

    settings: those of the file alone.
    """
    own = {entry.model_info.id for entry in settings.model_list}
    entries = []
    for model in await StoredModels(database, sealing).all():
        if model.id in own:
            log.error("a stored model has an id of the file's", extra={"model_id": model.id})
            continue
        try:
            entries.append(ModelEntry.model_validate(model.entry()))
        except ValidationError:
            log.error("a stored model isn't what it should be", extra={"model_id": model.id})
    return with_entries(settings, *entries)


def with_entries(settings: Settings, *entries: ModelEntry) -> Settings:
    return settings.model_copy(update={"model_list": (*settings.model_list, *entries)})


def taken() -> InvalidRequest:
    return InvalidRequest(
        "Another model has this id.", param="model_info.id", code="already_exists"
    )


def _purpose(id: str) -> str:
    return f"model {id}"
