"""Brings the models that are stored in the database into force, as they come and change.

Whoever changes them says so on the bus; a process that can't hear the others looks now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from .access.registry import MODELS, Registry
from .live.clock import Clock
from .live.snapshot import Snapshot, build_snapshot
from .live.status import Result
from .live.stored_models import load
from .live.watch import FAULT
from .settings import Settings
from .telemetry.metrics import Metrics

log = logging.getLogger("trunkline.live")

WATCHED = "models"
"""What metrics call it."""

LOOK_SECONDS = 10.0
"""Between looks at the database, for what nobody said."""


class StoredReload:
    """Builds the next snapshot beside the current one, where the stored models have changed.

    file: the configuration without them.
    """

    def __init__(
        self, registry: Registry, file: Settings, metrics: Metrics, clock: Clock | None = None
    ) -> None:
        self._registry = registry
        self._metrics = metrics
        self._file = file
        self._use: Callable[[Snapshot], None] = lambda snapshot: None
        self._clock = clock or Clock()
        self._current: Snapshot | None = None
        self._turn = asyncio.Lock()
        self._said = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> Snapshot:
        """The first snapshot. Raises StoreUnavailable."""
        settings = await load(self._registry.database, self._registry.secrets, self._file)
        self._current = await asyncio.to_thread(build_snapshot, settings, 1)
        return self._current

    def start(self, use: Callable[[Snapshot], None]) -> None:
        """Follows what changes from now on, after `load`.

        use: puts a snapshot in the place of the one before. Runs on the event loop.
        """
        self._use = use
        self._registry.bus.subscribe(self._hear)
        self._task = asyncio.create_task(self._follow(), name="stored models")

    async def now(self) -> None:
        """Returns when what the database holds is in force. Raises StoreUnavailable."""
        async with self._turn:
            before = self._current
            assert before is not None
            settings = await load(self._registry.database, self._registry.secrets, self._file)
            if settings.model_list == before.settings.model_list:
                return
            version = before.version + 1
            self._current = await asyncio.to_thread(build_snapshot, settings, version)
            self._use(self._current)
            self._metrics.reloaded(WATCHED, Result.RELOADED)
            stored = len(settings.model_list) - len(self._file.model_list)
            log.info("stored models loaded", extra={"stored": stored, "snapshot": version})

    async def stop(self) -> None:
        """Ends following. What is in force stays so."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _hear(self, message: str) -> None:
        if message in (MODELS, ""):  # empty: others may have said something unheard
            self._said.set()

    async def _follow(self) -> None:
        failures = 0
        while True:
            wait = self._clock.wait(1.0, failures) if failures else LOOK_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._said.wait(), wait)
            self._said.clear()
            try:
                await self.now()
            except Exception as error:  # noqa: BLE001 - whatever it is, it goes on
                failures += 1
                self._metrics.reloaded(WATCHED, FAULT)
                told = {"error": f"{type(error).__name__}: {error}"}
                log.warning("the stored models could not be read; those known stay", extra=told)
            else:
                failures = 0
