"""What the router can do, what it does with, and why a call would go where it would."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request

from ..call import Call, Deployment, call_ids
from ..deadline import Alarms
from ..gateway import Gateway
from ..operations import OPERATIONS
from ..routing.router import Explanation
from ..settings.strategies import BUILT_IN, LEARNED, Learned, aliases
from .access import caller_of, required
from .http import header_map, read_body
from .payers import charge_to
from .requests import read_call

if TYPE_CHECKING:
    from ..routing.learned import Learned as Strategy

CHAT = next(operation for operation in OPERATIONS if operation.name == "chat")

_REQUEST = {
    "requestBody": {
        "required": True,
        "description": "A request as `/v1/chat/completions` takes it",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


def router(gateway: Gateway, alarms: Alarms) -> APIRouter:
    routes = APIRouter(tags=["routing"], dependencies=[Depends(required(gateway))])
    ids = call_ids()

    @routes.get("/routing/strategies", summary="List the routing strategies and what each needs")
    async def strategies() -> dict[str, Any]:
        serving = gateway.serving
        configured = serving.snapshot.settings.router_settings.routing_strategy
        return {
            "configured": configured,
            "loaded": _loaded(serving.router.learned),
            "data": [
                *({"name": name, "kind": "built-in", "needs": {}} for name in BUILT_IN),
                *map(_described, LEARNED.values()),
            ],
        }

    @routes.post(
        "/routing/explain",
        summary="Say where a chat request would go, and why, without calling a model",
        openapi_extra=_REQUEST,
    )
    async def explain(request: Request) -> dict[str, Any]:
        body = await read_body(request.receive, gateway.serving.body_limit, alarms)
        headers = header_map(request.scope)
        call = read_call(next(ids), time.monotonic(), CHAT, {}, b"", headers, body)
        charge_to(call, caller_of(request), request.scope)
        began = time.perf_counter()
        explanation = await gateway.explain(call)
        return _explained(call, explanation, time.perf_counter() - began)

    return routes


def _loaded(learned: Strategy | None) -> dict[str, Any] | None:
    if learned is None:
        return None
    loaded = learned.loaded
    return {
        "strategy": loaded.strategy,
        "bundle": loaded.version,
        "virtual_model": learned.virtual_model,
        "labels": [each.label.model_dump(exclude_none=True) for each in loaded.described.values()],
        "created": loaded.manifest.created,
        "evaluation": loaded.manifest.evaluation,
    }


def _described(strategy: Learned) -> dict[str, Any]:
    needs: dict[str, Any] = {"model_path": strategy.bundle}
    if strategy.bundle == "optional":
        needs["llm_data_path"] = "where there is no model_path"
    if strategy.onnx:
        needs["extra"] = "onnx"
    for role, must in strategy.roles:
        needs[role] = "required" if must else "optional"
    return {
        "name": strategy.name,
        "kind": "workflow" if strategy.workflow else "learned",
        "about": strategy.about,
        "aliases": aliases(strategy.name),
        "needs": needs,
    }


def _explained(call: Call, found: Explanation, seconds: float) -> dict[str, Any]:
    decision = found.decision
    decided = decision is not None and not decision.missing
    return {
        "asked": call.group,
        "strategy": decision.strategy if decision and decided else found.strategy,
        "bundle": decision.bundle if decision else None,
        "decision": None if decision is None else decision.missing or "decided",
        "milliseconds": round(seconds * 1000, 3),
        "decision_milliseconds": round(decision.seconds * 1000, 3) if decision else None,
        "ranking": _ranking(found),
        "chosen": {
            "label": _chosen(found),
            "deployments": [_named(each) for each in found.first],
            "among_them": found.strategy,
        },
        "excluded": [
            {
                **_named(each.candidate.deployment),
                "label": found.labels.get(each.candidate.deployment.id),
                "rule": each.rule,
                "reason": each.reason or None,
            }
            for each in found.excluded
        ],
    }


def _chosen(found: Explanation) -> str | None:
    """The label that would be asked; None where the deployments of several would share the call."""
    labels = {found.labels.get(each.id) for each in found.first}
    return labels.pop() if len(labels) == 1 else None


def _ranking(found: Explanation) -> list[dict[str, Any]]:
    if found.decision is None:
        return []
    left: dict[str, list[dict[str, str]]] = {}
    for each in found.candidates:
        left.setdefault(found.labels.get(each.id, ""), []).append(_named(each))
    scores = zip(found.decision.ranking, found.decision.scores, strict=True)
    return [
        {"label": label, "score": score, "candidates": left.get(label, [])}
        for label, score in scores
    ]


def _named(deployment: Deployment) -> dict[str, str]:
    return {
        "model_group": deployment.group,
        "model": deployment.model,
        "deployment": deployment.id,
    }
