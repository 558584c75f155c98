"""Liveness, readiness, and the health of the models."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, Response

from .. import __version__
from ..call import Deployment
from ..errors import NotFound
from ..gateway import Gateway, Serving
from ..settings.schema import GeneralSettings
from .access import OPEN, required
from .described import shown_params
from .probes import Finding, probe

CONCURRENCY = 16
"""Models called at once; `general_settings.health_check_concurrency` may say otherwise."""

_SHOWN = (
    "model",
    "custom_llm_provider",
    "api_base",
    "api_version",
    "base_model",
    "aws_region_name",
    "aws_bedrock_runtime_endpoint",
    "region_name",
    "vertex_project",
    "vertex_location",
    "tpm",
    "rpm",
)
"""Parameters that LiteLLM's `/health` shows."""
_SHOWN_HEADERS = (
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ms-region",
)


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["health"])
    keyed = Depends(required(gateway))

    @routes.get("/health/liveliness", summary="Whether the process answers", openapi_extra=OPEN)
    @routes.get("/health/liveness", summary="Whether the process answers", openapi_extra=OPEN)
    async def liveness() -> str:
        return "I'm alive!"

    @routes.get(
        "/health/readiness",
        summary="Whether calls can be served",
        responses=_UNREADY,
        openapi_extra=OPEN,
    )
    async def readiness(response: Response) -> dict[str, Any]:
        return await _readiness(gateway.serving, response)

    @routes.get(
        "/health/readiness/details",
        summary="Whether calls can be served, and what stands in the way",
        dependencies=[keyed],
        responses=_UNREADY,
    )
    async def readiness_details(response: Response) -> dict[str, Any]:
        serving = gateway.serving
        unusable = [each for each in serving.snapshot.everything if each.missing]
        return {
            **await _readiness(serving, response),
            "version": __version__,
            "configuration_version": serving.snapshot.version,
            "cooling_down": serving.router.cooldowns(),
            "unusable": {each.id: list(each.missing) for each in unusable},
        }

    @routes.get(
        "/health",
        summary="Call the models, each with the smallest request there is",
        dependencies=[keyed],
        responses=_UNREADY,
    )
    async def health(
        response: Response, model: str | None = None, model_id: str | None = None
    ) -> dict[str, Any]:
        serving = gateway.serving
        deployments = _checked(serving, model, model_id)
        report = _report(
            await _probe_all(serving, deployments), details=_general(serving).health_check_details
        )
        if (model or model_id) and not report["healthy_count"]:
            response.status_code = 503
        return report

    return routes


_UNREADY: dict[int | str, dict[str, Any]] = {503: {"description": "Not healthy"}}


async def _readiness(serving: Serving, response: Response) -> dict[str, Any]:
    usable = sum(1 for item in serving.snapshot.everything if not item.missing)
    stores = await serving.stores() if serving.stores is not None else {}
    ready = usable and all(stores.values())
    if not ready:
        response.status_code = 503
    told = {name: "connected" if there else "unreachable" for name, there in stores.items()}
    return {
        "status": "healthy" if ready else "unhealthy",
        "db": "Not connected",
        **told,
        "models": len(serving.snapshot.groups),
        "deployments": usable,
    }


def _checked(serving: Serving, model: str | None, model_id: str | None) -> Sequence[Deployment]:
    """The deployments that a check is asked for: by group or LiteLLM model, by id, or all."""
    snapshot = serving.snapshot
    every = snapshot.deployments
    found: Sequence[Deployment] = every
    if model_id is not None:
        found = [each for each in every if each.id == model_id]
    elif model is not None:
        found = snapshot.resolve(model) or [each for each in every if each.model == model]
    if not found and (model or model_id):
        raise NotFound(
            f"The model '{model_id or model}' does not exist or you do not have access to it.",
            param="model_id" if model_id else "model",
            code="model_not_found",
        )
    if _general(serving).health_check_skip_disabled_background_models:
        found = [each for each in found if not each.info.get("disable_background_health_check")]
    return found


async def _probe_all(serving: Serving, deployments: Sequence[Deployment]) -> list[Finding]:
    places = asyncio.Semaphore(_general(serving).health_check_concurrency or CONCURRENCY)

    async def one(deployment: Deployment) -> Finding:
        async with places:
            return await probe(serving, deployment)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(deployment)) for deployment in deployments]
    return [task.result() for task in tasks]


def _report(findings: Sequence[Finding], *, details: bool) -> dict[str, Any]:
    """LiteLLM's fields, and those for what wasn't called."""
    healthy = [_endpoint(each, details) for each in findings if each.healthy]
    unhealthy = [_endpoint(each, details) for each in findings if each.healthy is False]
    unchecked = [_endpoint(each, details) for each in findings if each.healthy is None]
    return {
        "healthy_endpoints": healthy,
        "unhealthy_endpoints": unhealthy,
        "not_checked_endpoints": unchecked,
        "healthy_count": len(healthy),
        "unhealthy_count": len(unhealthy),
        "not_checked_count": len(unchecked),
    }


def _endpoint(finding: Finding, details: bool) -> dict[str, Any]:
    deployment = finding.deployment
    params = shown_params(deployment)
    endpoint = {name: params[name] for name in _SHOWN if name in params and details}
    endpoint |= {"model": params["model"], "model_id": deployment.id}
    if details:
        endpoint |= {"model_name": deployment.group, "mode": finding.mode}
        endpoint |= {name: value for name, value in finding.headers if name in _SHOWN_HEADERS}
    if finding.reason:
        endpoint["error" if finding.healthy is False else "reason"] = finding.reason
    if finding.status is not None:
        endpoint["exception_status"] = finding.status
    return endpoint


def _general(serving: Serving) -> GeneralSettings:
    return serving.snapshot.settings.general_settings
