"""The models that a caller may use, and what is known about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from ..access.identity import Principal
from ..call import Deployment
from ..charging.allowed import is_allowed
from ..errors import InvalidRequest, NotFound
from ..gateway import Gateway
from ..live.snapshot import Snapshot
from .access import caller_of, required
from .described import described
from .model_groups import group_info, limits

CREATED = 1677610602
"""LiteLLM's fixed creation time: OpenAI's clients want one, and models here have none."""
_CREATED_AT = "2023-02-28T18:56:42Z"
"""The same moment for Anthropic's clients."""


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["models"], dependencies=[Depends(required(gateway))])

    @routes.get("/v1/models", summary="List the models that the caller may use")
    @routes.get("/models", summary="List the models that the caller may use")
    async def models(request: Request) -> dict[str, Any]:
        snapshot = gateway.serving.snapshot
        names = tuple(_shown(caller_of(request), snapshot))
        if "anthropic-version" in request.headers:
            return _anthropic_list(names)
        return {"object": "list", "data": [_model(name, snapshot) for name in names]}

    @routes.get("/v1/models/{model:path}", summary="Describe a model that the caller may use")
    @routes.get("/models/{model:path}", summary="Describe a model that the caller may use")
    async def model(model: str, request: Request) -> dict[str, Any]:
        snapshot = gateway.serving.snapshot
        found = snapshot.resolve(model)
        if not (found and is_allowed(caller_of(request), model, found)):
            raise NotFound(
                f"The model '{model}' does not exist or you do not have access to it.",
                param="model",
                code="model_not_found",
            )
        if "anthropic-version" in request.headers:
            return _anthropic_model(model)
        return _model(model, snapshot)

    @routes.get("/model/info", summary="Describe the deployments")
    @routes.get("/v1/model/info", summary="Describe the deployments")
    async def model_info(request: Request, litellm_model_id: str | None = None) -> dict[str, Any]:
        entries = _described(gateway.serving.snapshot, caller_of(request))
        if litellm_model_id is None:
            return {"data": list(entries)}
        found = [entry for entry in entries if entry["model_info"]["id"] == litellm_model_id]
        if not found:
            raise InvalidRequest(
                f"No deployment has the id '{litellm_model_id}'.", param="litellm_model_id"
            )
        return {"data": found}

    @routes.get("/v2/model/info", summary="Describe the deployments, page by page")
    async def model_info_pages(
        request: Request,
        page: Annotated[int, Query(ge=1)] = 1,
        size: Annotated[int, Query(ge=1, le=1000)] = 50,
        model: str | None = None,
        search: str = "",
        modelId: str | None = None,  # noqa: N803 - LiteLLM's name
    ) -> dict[str, Any]:
        found = [
            entry
            for entry in _described(gateway.serving.snapshot, caller_of(request))
            if (model is None or entry["model_name"] == model)
            and (modelId is None or entry["model_info"]["id"] == modelId)
            and search.lower() in entry["model_name"].lower()
        ]
        return {
            "data": found[(page - 1) * size : page * size],
            "total_count": len(found),
            "current_page": page,
            "total_pages": -(-len(found) // size),
            "size": size,
        }

    @routes.get("/model_group/info", summary="Describe the model groups")
    async def model_group_info(request: Request, model_group: str | None = None) -> dict[str, Any]:
        snapshot, caller = gateway.serving.snapshot, caller_of(request)
        names = list(_shown(caller, snapshot))
        if model_group is not None:
            found = snapshot.resolve(model_group)
            names = [model_group] if found and is_allowed(caller, model_group, found) else []
        return {"data": [group_info(name, snapshot) for name in names]}

    return routes


def _shown(caller: Principal, snapshot: Snapshot) -> Iterator[str]:
    """The names that are listed, of the models that the caller may call."""
    for name in snapshot.model_names():
        if not caller.models or is_allowed(caller, name, snapshot.resolve(name)):
            yield name


def _described(snapshot: Snapshot, caller: Principal) -> Iterator[dict[str, Any]]:
    """Every deployment that the caller may call, under each name that is listed for it; the
    unlisted under their group."""
    seen: set[str] = set()
    for name in _shown(caller, snapshot):
        for deployment in snapshot.resolve(name):
            seen.add(deployment.id)
            yield described(deployment, name, snapshot)
    for deployment in snapshot.deployments:
        if deployment.id not in seen and is_allowed(caller, deployment.group, (deployment,)):
            yield described(deployment, deployment.group, snapshot)


def _model(name: str, snapshot: Snapshot) -> dict[str, Any]:
    model = {"id": name, "object": "model", "created": CREATED, "owned_by": "openai"}
    deployments: tuple[Deployment, ...] = snapshot.resolve(name)
    return model | limits(deployments, snapshot)


def _anthropic_list(names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "data": [_anthropic_model(name) for name in names],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }


def _anthropic_model(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_AT}
