"""The cache of answers, for who runs the gateway: whether it works, and what is to be forgotten."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, Request

from ..cache.answers import Answers
from ..cache.stores import StoreFailed
from ..deadline import Alarms
from ..errors import GatewayError, InvalidRequest, NotFound
from ..gateway import Gateway
from .access import required
from .http import read_body
from .requests import json_object

T = TypeVar("T")

LARGEST_BODY = 1024 * 1024
MOST_KEYS = 1000

_NONE: dict[int | str, dict[str, Any]] = {404: {"description": "No answers are cached"}}
_GONE: dict[int | str, dict[str, Any]] = {
    **_NONE,
    503: {"description": "What keeps the answers can't be reached"},
}
_KEYS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["keys"],
                    "properties": {
                        "keys": {
                            "type": "array",
                            "maxItems": MOST_KEYS,
                            "items": {
                                "type": "string",
                                "description": "An answer's header `x-litellm-cache-key`",
                            },
                        }
                    },
                }
            }
        },
    }
}


class CacheUnreachable(GatewayError):
    status = 503
    type = "service_unavailable"


def router(gateway: Gateway, alarms: Alarms) -> APIRouter:
    routes = APIRouter(
        prefix="/cache", tags=["cache"], dependencies=[Depends(required(gateway))], responses=_GONE
    )

    @routes.get("/ping", summary="Whether answers can be kept")
    async def ping() -> dict[str, Any]:
        answers = _answers(gateway)
        await _told(answers.store.ping())
        return {
            "status": "healthy",
            "cache_type": answers.store.kind,
            "ping_response": True,
            "namespace": answers.namespace,
        }

    @routes.post("/delete", summary="Forget some answers", openapi_extra=_KEYS)
    async def delete(request: Request) -> dict[str, Any]:
        answers = _answers(gateway)
        keys = _keys(await read_body(request.receive, LARGEST_BODY, alarms))
        prefix = f"{answers.namespace}:"
        own = [key for key in keys if key.startswith(prefix) and key.isprintable()]
        return {"status": "success", "deleted": await _told(answers.store.delete(own))}

    @routes.post("/flushall", summary="Forget all answers")
    async def flush() -> dict[str, Any]:
        answers = _answers(gateway)
        count = await _told(answers.store.flush(f"{answers.namespace}:"))
        return {"status": "success", "deleted": count}

    return routes


async def _told(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except StoreFailed as error:
        raise CacheUnreachable(str(error)) from None


def _answers(gateway: Gateway) -> Answers:
    answers = gateway.serving.answers
    if answers is None:
        raise NotFound("No answers are cached: litellm_settings.cache is off.", code="no_cache")
    return answers


def _keys(body: bytes) -> list[str]:
    keys = json_object(body).get("keys")
    if (
        not isinstance(keys, list)
        or not all(isinstance(key, str) for key in keys)
        or not 1 <= len(keys) <= MOST_KEYS
    ):
        raise InvalidRequest(f"'keys' must be an array of 1 to {MOST_KEYS} strings.", param="keys")
    return keys
