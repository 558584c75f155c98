"""The counts, for Prometheus to fetch."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from ..access.identity import credential
from ..errors import NotFound
from ..gateway import Gateway

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The counts", "content": {"text/plain": {}}},
    404: {"description": "Nothing is counted"},
}


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["metrics"])

    @routes.get(
        "/metrics",
        summary="Retries, fallbacks and failures, for Prometheus",
        response_class=Response,
        responses=_ANSWERS,
    )
    async def metrics(request: Request) -> Response:
        serving = gateway.serving
        if serving.snapshot.settings.litellm_settings.require_auth_for_metrics_endpoint:
            await gateway.authenticate(credential(request.headers), "/metrics")
        exposition = serving.metrics.exposition(request.headers.get("accept", ""))
        if exposition is None:
            raise NotFound(
                "Nothing is counted: litellm_settings.callbacks does not name prometheus.",
                code="metrics_off",
            )
        kind, body = exposition
        return Response(body, media_type=kind)

    return routes
