"""A trial's counts in files beside a pointer that is in a folder, one of each process.

So processes of one machine need no Redis to share them.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from .. import json_text
from .arms import ARMS, FLUSH_SECONDS, MemoryArms, Tallies, Tally

FOLDER = ".trials"


class FileArms(MemoryArms):
    """See `Arms`. folder: that of the pointer."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder / FOLDER
        self._own = f"{uuid.uuid4().hex}.json"
        self._dirty: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def read(self, trial: str) -> Tallies:
        counts: Counter[str] = Counter()
        place = self._place(trial)
        for each in sorted(place.glob("*.json")) if place.is_dir() else ():
            with contextlib.suppress(OSError, ValueError):
                counts.update(json_text.loads(each.read_bytes()))
        return {arm: Tally.of(counts, arm) for arm in ARMS}

    async def flush(self) -> None:
        dirty, self._dirty = self._dirty, set()
        for trial in dirty:
            place = self._place(trial)
            with contextlib.suppress(OSError):
                place.mkdir(parents=True, exist_ok=True)
                new = place / f".{self._own}"
                new.write_bytes(json_text.dumps(dict(self.counts[trial])))
                new.replace(place / self._own)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.flush()

    def _add(self, trial: str, counts: Mapping[str, int]) -> None:
        super()._add(trial, counts)
        self._dirty.add(trial)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._later(), name="trial counts")

    async def _later(self) -> None:
        while self._dirty:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    def _place(self, trial: str) -> Path:
        return self._folder / trial.replace(":", "-")
