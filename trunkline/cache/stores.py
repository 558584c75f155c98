"""Where kept answers are: what every store does, and how one is made from the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

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


def build_store(params: CacheParams, folder: Path) -> Store:
    """folder: where the files of a store on disk are.

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

            return DiskStore(folder)
        case _:
            from .memory import MemoryStore  # noqa: PLC0415

            return MemoryStore()
