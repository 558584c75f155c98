"""/spend/calculate: what a call costs, before or after it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request

from ...access.money import dollars
from ...call import Usage
from ...deadline import Alarms
from ...errors import GatewayError, InvalidRequest
from ...gateway import Gateway
from ...ledger.prices import Prices
from ...live.facts import map_file
from ...live.snapshot import Snapshot, build_snapshot
from ...providers.usage import read_object
from ...routing.prompt_size import USUAL_BYTES, size_of
from ...settings.price_map import PriceMapInvalid
from ...settings.schema import GeneralSettings, LitellmParams, ModelEntry, Settings
from ..access import required
from ..http import read_body
from ..requests import json_object

LARGEST_BODY = 8 * 1024 * 1024
LONGEST_NAME = 500
REMEMBERED = 256
"""Models of nobody's configuration whose prices are remembered."""

_REQUEST = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "model": {"type": "string"},
                        "messages": {"type": "array", "items": {"type": "object"}},
                        "completion_response": {
                            "type": "object",
                            "description": "An answer, with its model and its usage",
                        },
                    },
                }
            }
        },
    }
}


def router(gateway: Gateway, alarms: Alarms) -> APIRouter:
    routes = APIRouter(tags=["spend"], dependencies=[Depends(required(gateway))])

    @routes.post(
        "/spend/calculate", summary="What a call costs, in dollars", openapi_extra=_REQUEST
    )
    async def calculate(request: Request) -> dict[str, Any]:
        """Of messages to a model, the input alone, by an estimate of its tokens; of an answer, all
        that its usage tells."""
        asked = json_object(await read_body(request.receive, LARGEST_BODY, alarms))
        model, usage = _asked(asked)
        prices = await _prices(gateway.serving.snapshot, model)
        cost = prices.cost(usage) if prices is not None else None
        if cost is None:
            raise InvalidRequest(
                "The model's price isn't known: give it one in its model_info, such as"
                " input_cost_per_token.",
                param="model",
                code="unknown_price",
            )
        return {"cost": dollars(cost)}

    return routes


def _asked(asked: Mapping[str, Any]) -> tuple[str, Usage]:
    answer = asked.get("completion_response")
    if asked.get("model") is not None:
        messages = asked.get("messages")
        if not isinstance(messages, list):
            raise InvalidRequest("'messages' must be an array.", param="messages")
        tokens = -(-size_of(messages) // USUAL_BYTES)
        return _named(asked["model"], "model"), Usage(input_tokens=tokens, output_tokens=0)
    if not isinstance(answer, dict):
        raise InvalidRequest(
            "Give 'model' and 'messages', or 'completion_response'.", param="model"
        )
    usage = Usage()
    read_object(_reading(answer), answer, usage)
    if usage.input_tokens is None and usage.output_tokens is None:
        raise InvalidRequest("It tells no usage.", param="completion_response.usage")
    return _named(
        answer.get("model") or answer.get("modelVersion"), "completion_response.model"
    ), usage


def _reading(answer: Mapping[str, Any]) -> str:
    """Which API's answer it is."""
    if answer.get("type") == "message":
        return "anthropic"
    if "usageMetadata" in answer:
        return "google"
    return "responses" if answer.get("object") == "response" else "openai"


def _named(model: Any, param: str) -> str:
    if not isinstance(model, str) or not 0 < len(model) <= LONGEST_NAME:
        raise InvalidRequest(f"'{param}' must be a model's name.", param=param)
    return model


async def _prices(snapshot: Snapshot, model: str) -> Prices | None:
    """Of a model group or a deployment; else of the model that LiteLLM calls so."""
    for deployment in snapshot.resolve(model):
        return Prices.of(deployment, snapshot.facts_of(deployment))
    file = map_file(snapshot.settings)
    return await asyncio.to_thread(_of_nobody, model, file, _changed(file))


def _changed(file: Path | None) -> int:
    """When the price map was written."""
    try:
        return file.stat().st_mtime_ns if file is not None else 0
    except OSError:
        return 0


@lru_cache(maxsize=REMEMBERED)
def _of_nobody(model: str, file: Path | None, changed: int) -> Prices | None:
    """changed: when the file was, so that it is read anew then."""
    entry = ModelEntry(model_name=model, litellm_params=LitellmParams(model=model))
    general = GeneralSettings(cost_map_path=str(file) if file is not None else None)
    try:
        snapshot = build_snapshot(Settings(model_list=(entry,), general_settings=general), 0)
    except (GatewayError, PriceMapInvalid):
        return None
    for deployment in snapshot.deployments:
        return Prices.of(deployment, snapshot.facts_of(deployment))
    return None
