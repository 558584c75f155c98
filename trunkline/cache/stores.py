"""Where kept answers are: what every store does, and how one is made from the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..settings.schema import CacheParams


class StoreFailed(Exception):
    """A store could not be reached, or refused: what it said, without secrets."""


class Store(Protocol):
    """Keeps bytes under keys, until they expire. Every method may raise StoreFailed.

    Keys begin with the cache's namespace, and a store touches no others.
    """

    kind: str

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """What is kept under each key, in their order."""
        ...

    async def put(self, values: Sequence[tuple[str, bytes]], ttl: float) -> None:
        """Keeps values for so many seconds."""
        ...

    async def delete(self, keys: Sequence[str]) -> int:
        """How many there were."""
        ...

    async def flush(self, prefix: str) -> int:
        """Deletes every key that begins with the prefix; how many there were."""
        ...

    async def ping(self) -> None: ...

    async def close(self) -> None: ...


def addressed(params: CacheParams, environ: Mapping[str, str]) -> CacheParams:
    """With the type, and with the Redis that LiteLLM's environment variables name, if they do."""
    found: dict[str, Any] = {}
    if not (params.redis_url or params.host):
        found = {
            field: environ[name]
            for field, name in _ENVIRONMENT.items()
            if environ.get(name) and not getattr(params, field)
        }
    named = params.redis_url or params.host or found.get("redis_url") or found.get("host")
    if params.type is None:
        found["type"] = "redis" if named else "local"
    return params.model_validate({**params.model_dump(exclude_none=True), **found})


_ENVIRONMENT = {
    "redis_url": "REDIS_URL",
    "host": "REDIS_HOST",
    "port": "REDIS_PORT",
    "username": "REDIS_USERNAME",
    "password": "REDIS_PASSWORD",
}


def build_store(params: CacheParams, folder: Path) -> Store:
    """folder: where the gateway keeps files, for what the configuration puts nowhere else.

    Each is imported where it is used alone.
    """
    match params.type:
        case "redis":
            from .redis import RedisStore  # noqa: PLC0415

            return RedisStore(params)
        case "s3":
            from .s3 import S3Store  # noqa: PLC0415

            return S3Store(params)
        case "disk":
            from .disk import DiskStore  # noqa: PLC0415

            return DiskStore(Path(params.disk_cache_dir) if params.disk_cache_dir else folder)
        case _:
            from .memory import MemoryStore  # noqa: PLC0415

            return MemoryStore()
