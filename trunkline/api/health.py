"""Liveness, readiness, and the health of the models."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from ..gateway import Gateway


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["health"])

    @routes.get("/health/liveliness", summary="Whether the process answers")
    @routes.get("/health/liveness", summary="Whether the process answers")
    async def liveness() -> str:
        return "I'm alive!"

    @routes.get("/health/readiness", summary="Whether calls can be served")
    async def readiness(response: Response) -> dict[str, Any]:
        usable = sum(1 for item in gateway.serving.snapshot.deployments if not item.missing)
        if not usable:
            response.status_code = 503
        return {
            "status": "healthy" if usable else "unhealthy",
            "models": len(gateway.serving.snapshot.groups),
            "deployments": usable,
        }

    return routes
