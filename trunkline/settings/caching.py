"""Where answers are kept: what the environment adds to `cache_params`, and what is wrong there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .document import Node
from .problems import Problem
from .schema import CacheParams

_HOST, _URL = "REDIS_HOST", "REDIS_URL"
_BESIDE_HOST = {"port": "REDIS_PORT", "username": "REDIS_USERNAME", "password": "REDIS_PASSWORD"}


def addressed(params: CacheParams, environ: Mapping[str, str]) -> CacheParams:
    """With the type, and with the Redis that LiteLLM's environment variables name, if they do.

    A port that isn't a number is left out: Kubernetes sets `REDIS_PORT` to an address wherever a
    service is called redis.
    """
    found: dict[str, Any] = {}
    if not (params.redis_url or params.host):
        if environ.get(_URL):
            found["redis_url"] = environ[_URL]
        elif environ.get(_HOST):
            found = {"host": environ[_HOST]} | {
                field: environ[name]
                for field, name in _BESIDE_HOST.items()
                if environ.get(name) and getattr(params, field) is None
            }
            if not found.get("port", "0").isdecimal():
                del found["port"]
    if params.type is None:
        named = params.redis_url or params.host or found
        found["type"] = "redis" if named else "local"
    return CacheParams.model_validate({**params.model_dump(exclude_none=True), **found})


def problems_of(params: CacheParams, root: Node) -> Iterator[Problem]:
    """Whether the address of Redis is one, as its client reads it."""
    if params.type != "redis" or not params.redis_url:
        return
    from redis.connection import parse_url  # noqa: PLC0415 - only where Redis is used

    path = ("litellm_settings", "cache_params", "redis_url")
    try:
        parse_url(params.redis_url)  # type: ignore[no-untyped-call]
    except ValueError:
        place = root.find(path).place(*path)
        yield place, f"expected redis://, rediss:// or unix:// and an address ({_URL} counts too)"
