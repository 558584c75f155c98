"""/model/new, /model/update, /model/delete: models that are added while the gateway runs."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from ..access.registry import MODELS, Registry
from ..deadline import Alarms
from ..errors import InvalidRequest, NotFound
from ..gateway import Gateway
from ..live.snapshot import build_snapshot
from ..live.stored_models import StoredModel, StoredModels, taken, with_entries
from ..settings import Settings
from ..settings.entries import checked_entry
from .described import shown_params
from .management.endpoints import Body, Call, Endpoint
from .management.endpoints import router as endpoints_router
from .management.fields import Id, Name, Object

Reload = Callable[[], Awaitable[None]]
"""Serves what the file and the database hold from now on. Raises StoreUnavailable."""

OURS = frozenset({"id", "db_model"})
"""What of `model_info` isn't the user's."""


class NewModel(Body):
    model_name: Id
    litellm_params: Object
    model_info: Object = Field(default_factory=dict)


class ChangedModel(Body):
    model_name: Name = None
    litellm_params: Object = Field(default_factory=dict)
    model_info: Object = Field(default_factory=dict)


class OneModel(Body):
    id: Id


def router(gateway: Gateway, alarms: Alarms, reload: Reload) -> APIRouter:
    """reload: see `Reload`; other processes hear the message MODELS."""

    async def new_model(call: Call[NewModel]) -> Any:
        body, settings = call.body, _settings(gateway)
        id = _id(body.model_info) or str(uuid.uuid4())
        if any(each.id == id for each in gateway.serving.snapshot.deployments):
            raise taken()
        shown = await _checked(settings, id, body.model_name, body.litellm_params, body.model_info)
        made = await _stored(call.registry).add(
            id, body.model_name, body.litellm_params, _own(body.model_info), call.by
        )
        await _tell(call.registry)
        return _view(made, shown)

    async def update_model(call: Call[ChangedModel]) -> Any:
        id = _id(call.body.model_info)
        if id is None:
            raise InvalidRequest("'model_info.id' says which model.", param="model_info.id")
        return await _change(call, id)

    async def patch_model(call: Call[ChangedModel]) -> Any:
        return await _change(call, call.path["model_id"])

    async def delete_model(call: Call[OneModel]) -> Any:
        _settings(gateway)
        id = call.body.id
        if not await _stored(call.registry).remove(id):
            raise _missing(gateway, id)
        await _tell(call.registry)
        return {"message": f"Model: {id} deleted successfully"}

    async def _change(call: Call[ChangedModel], id: str) -> Any:
        body, settings, stored = call.body, _settings(gateway), _stored(call.registry)
        old = await stored.find(id)
        if old is None:
            raise _missing(gateway, id)
        changed = replace(
            old,
            name=body.model_name or old.name,
            params=_merged(old.params, body.litellm_params),
            info=_merged(old.info, _own(body.model_info)),
        )
        shown = await _checked(settings, id, changed.name, changed.params, changed.info)
        if not await stored.change(changed, call.by):
            raise _missing(gateway, id)
        await _tell(call.registry)
        return _view(await stored.find(id) or changed, shown)

    async def _tell(registry: Registry) -> None:
        await reload()
        await registry.bus.publish(MODELS)

    return endpoints_router(
        gateway,
        alarms,
        "models",
        (
            Endpoint("POST", ("/model/new",), NewModel, new_model, "Add a model"),
            Endpoint("POST", ("/model/update",), ChangedModel, update_model, "Change a model"),
            Endpoint(
                *("PATCH", ("/model/{model_id}/update",), ChangedModel, patch_model),
                "Change some of a model",
            ),
            Endpoint("POST", ("/model/delete",), OneModel, delete_model, "Delete a model"),
        ),
    )


def _settings(gateway: Gateway) -> Settings:
    settings = gateway.serving.snapshot.settings
    if not settings.general_settings.store_model_in_db:
        raise InvalidRequest(
            "Models are those of the configuration file: set general_settings.store_model_in_db"
            " to add others.",
            code="models_not_stored",
        )
    return settings


def _stored(registry: Registry) -> StoredModels:
    return StoredModels(registry.database, registry.secrets)


def _missing(gateway: Gateway, id: str) -> Exception:
    if any(each.id == id for each in gateway.serving.snapshot.deployments):
        return InvalidRequest(
            "This model stands in the configuration file: change it there.",
            param="id",
            code="model_of_the_file",
        )
    return NotFound("There is no such model.", param="id", code="model_not_found")


async def _checked(
    settings: Settings, id: str, name: str, params: Mapping[str, Any], info: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters as they may be shown. Raises InvalidRequest."""
    others = tuple(each for each in settings.model_list if each.model_info.id != id)
    rest = settings.model_copy(update={"model_list": others})
    entry = checked_entry(
        {
            "model_name": name,
            "litellm_params": dict(params),
            "model_info": {**_own(info), "id": id, "db_model": True},
        },
        rest,
    )
    snapshot = await asyncio.to_thread(build_snapshot, with_entries(rest, entry), 0)
    return next((shown_params(each) for each in snapshot.deployments if each.id == id), {})


def _id(info: Mapping[str, Any]) -> str | None:
    id = info.get("id")
    if id is not None and (not isinstance(id, str) or not 0 < len(id) <= 256):
        raise InvalidRequest("'model_info.id' must be a text.", param="model_info.id")
    return id


def _own(info: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in info.items() if name not in OURS}


def _merged(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Null takes a field away."""
    merged = {**old, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def _view(model: StoredModel, shown: Mapping[str, Any]) -> dict[str, Any]:
    (created, created_by), (updated, updated_by) = model.created, model.updated
    return {
        "model_id": model.id,
        "model_name": model.name,
        "litellm_params": shown,
        "model_info": {**model.info, "id": model.id, "db_model": True},
        "created_at": created.isoformat(),
        "created_by": created_by,
        "updated_at": updated.isoformat(),
        "updated_by": updated_by,
    }
