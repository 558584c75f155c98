"""Answers in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

LARGEST = 64 * 1024 * 1024
OVERHEAD = 300
"""Bytes that an entry takes beside its key and its value, about."""


class MemoryStore:
    """See `Store`. What was not asked for longest makes room. largest: bytes of all together."""

    kind = "local"

    def __init__(self, largest: int = LARGEST, clock: Callable[[], float] = time.monotonic) -> None:
        self._largest = largest
        self._clock = clock
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self.bytes = 0

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._get(key) for key in keys]

    def _get(self, key: str) -> bytes | None:
        found = self._kept.get(key)
        if found is None:
            return None
        if found[1] <= self._clock():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return found[0]

    async def put(self, values: Sequence[tuple[str, bytes]], ttl: float) -> None:
        until = self._clock() + ttl
        for key, value in values:
            self._drop(key)
            if _size(key, value) <= self._largest:
                self._kept[key] = value, until
                self.bytes += _size(key, value)
        while self.bytes > self._largest:
            self._drop(next(iter(self._kept)))

    async def delete(self, keys: Sequence[str]) -> int:
        return sum(self._drop(key) for key in keys)

    async def flush(self, prefix: str) -> int:
        return await self.delete([key for key in self._kept if key.startswith(prefix)])

    async def ping(self) -> None:
        """Never fails."""

    async def close(self) -> None:
        self._kept.clear()
        self.bytes = 0

    def _drop(self, key: str) -> bool:
        found = self._kept.pop(key, None)
        if found is not None:
            self.bytes -= _size(key, found[0])
        return found is not None


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + OVERHEAD
