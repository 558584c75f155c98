"""The ledger's stream in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from . import keys, scripts
from .contract import CountersUnavailable
from .link import Link, LinkDown

AT_ONCE = 500


class RedisStream:
    """See `Stream`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def add(self, rows: Sequence[bytes]) -> list[str]:
        try:
            connection = await self._link.connection()
            adding = [connection.ask("XADD", keys.LEDGER, "*", "r", row) for row in rows]
            return [added.decode() for added in await asyncio.gather(*adding)]
        except LinkDown as error:
            raise CountersUnavailable(str(error)) from None

    async def delete(self, ids: Sequence[str]) -> None:
        for first in range(0, len(ids), AT_ONCE):
            some = ids[first : first + AT_ONCE]
            await self._run(scripts.WRITTEN, (keys.LEDGER, keys.UNWRITTEN), some)

    async def older_than(self, seconds: float, count: int) -> list[tuple[str, bytes]]:
        found = await self._run(scripts.OLDER, (keys.LEDGER,), (int(seconds * 1000), count))
        return [(id.decode(), fields[1]) for id, fields in found]

    async def length(self) -> int:
        try:
            return int(await self._link.ask("XLEN", keys.LEDGER))
        except LinkDown as error:
            raise CountersUnavailable(str(error)) from None

    async def _run(self, script: scripts.Script, named: Sequence[str], words: Any) -> Any:
        try:
            return await script.run_again(self._link, named, words)
        except LinkDown as error:
            raise CountersUnavailable(str(error)) from None
