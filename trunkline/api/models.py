"""The models that a caller may use."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from ..gateway import Gateway
from .access import required

CREATED = 1677610602
"""LiteLLM's fixed creation time: OpenAI's clients want one, and models here have none."""


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["models"], dependencies=[Depends(required(gateway))])

    @routes.get("/v1/models", summary="List the models that the caller may use")
    @routes.get("/models", summary="List the models that the caller may use")
    async def models() -> dict[str, Any]:
        names = gateway.serving.snapshot.model_names()
        return {"object": "list", "data": [_model(name) for name in names]}

    return routes


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "openai"}
