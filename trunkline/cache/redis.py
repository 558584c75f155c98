"""Answers in Redis, or in what speaks its protocol."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from ..settings.schema import CacheParams
from .stores import StoreFailed

T = TypeVar("T")

SECONDS = 0.5
"""In which Redis has to answer: a cache that is slower is no use."""
PAUSE = 1.0
"""Seconds in which a Redis that failed is not asked again, so that no call waits for it."""
CONNECTIONS = 100
AT_ONCE = 500

_GLOB = re.compile(r"([*?\[\]\\])")


class RedisStore:
    """See `Store`."""

    kind = "redis"

    def __init__(self, params: CacheParams, clock: Callable[[], float] = time.monotonic) -> None:
        shared: dict[str, Any] = {
            "socket_timeout": SECONDS,
            "socket_connect_timeout": SECONDS,
            "max_connections": CONNECTIONS,
            "retry": Retry(NoBackoff(), 1),  # on a connection that was idle and is gone
        }
        url = params.redis_url
        if url:
            self._client = Redis.from_url(url, **shared)
        else:
            self._client = Redis(
                host=params.host or "127.0.0.1",
                port=params.port or 6379,
                username=params.username,
                password=params.password,
                db=params.db,
                ssl=params.ssl,
                **shared,
            )
        self._clock = clock
        self._failed: tuple[float, str] | None = None

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        found: list[Any] = await self._ask(lambda: self._client.mget(keys))
        return found

    async def put(self, values: Sequence[tuple[str, bytes]], ttl: float) -> None:
        milliseconds = max(1, round(ttl * 1000))
        if len(values) == 1:
            key, value = values[0]
            await self._ask(lambda: self._client.set(key, value, px=milliseconds))
            return
        pipeline = self._client.pipeline(transaction=False)
        for key, value in values:
            pipeline.set(key, value, px=milliseconds)
        await self._ask(pipeline.execute)

    async def delete(self, keys: Sequence[str]) -> int:
        return await self._ask(lambda: self._client.unlink(*keys)) if keys else 0

    async def flush(self, prefix: str) -> int:
        return await self._ask(lambda: self._flush(prefix))

    async def _flush(self, prefix: str) -> int:
        count = 0
        keys: list[bytes] = []
        async for key in self._client.scan_iter(_GLOB.sub(r"\\\1", prefix) + "*", count=AT_ONCE):
            keys.append(key)
            if len(keys) == AT_ONCE:
                count += await self._client.unlink(*keys)
                keys.clear()
        return count + (await self._client.unlink(*keys) if keys else 0)

    async def ping(self) -> None:
        self._failed = None
        await self._ask(self._client.ping)

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, command: Callable[[], Awaitable[T]]) -> T:
        if self._failed is not None:
            until, reason = self._failed
            if self._clock() < until:
                raise StoreFailed(reason)
        try:
            found = await command()
        except (RedisError, OSError) as error:
            reason = f"Redis: {type(error).__name__}: {error}"
            if not isinstance(error, ResponseError):
                self._failed = self._clock() + PAUSE, reason
            raise StoreFailed(reason) from None
        self._failed = None
        return found
