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
from .live.snapshot import Snapshot
from .live.status import Result
from .live.stored_models import load, with_entries
from .live.watch import FAULT
from .settings import Settings
from .settings.schema import ModelEntry
from .store.database import StoreUnavailable
from .telemetry.metrics import Metrics

log = logging.getLogger("trunkline.live")

WATCHED = "models"
"""What metrics call it."""

LOOK_SECONDS = 10.0
"""Between looks at the database, for what nobody said."""


class StoredReload:
    """Builds the next snapshot beside the current one, where the stored models have changed.

    in_force: the configuration without them, and the snapshot that is served. build: makes the next
    snapshot. use: puts it in the place of the one before; runs on the event loop.
    """

    def __init__(
        self,
        registry: Registry,
        in_force: Callable[[], tuple[Settings, Snapshot]],
        build: Callable[[Settings], Snapshot],
        use: Callable[[Snapshot], None],
        metrics: Metrics,
        clock: Clock | None = None,
    ) -> None:
        self._registry = registry
        self._in_force = in_force
        self._build = build
        self._use = use
        self._metrics = metrics
        self._clock = clock or Clock()
        self._known: tuple[ModelEntry, ...] | None = None
        self._turn = asyncio.Lock()
        self._said = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def beside(self, file: Settings) -> Settings:
        """A configuration with the stored models; those known where the database is away.

        Raises StoreUnavailable where none are known yet.
        """
        try:
            return await self._read(file)
        except StoreUnavailable:
            if self._known is None:
                raise
            own = {entry.model_info.id for entry in file.model_list}
            return with_entries(file, *(e for e in self._known if e.model_info.id not in own))

    def start(self) -> None:
        """Follows what changes from now on."""
        self._registry.bus.subscribe(self._hear)
        self._task = asyncio.create_task(self._follow(), name="stored models")

    def look(self) -> None:
        """Has the database looked at soon, in the background."""
        self._said.set()

    async def now(self) -> None:
        """Returns when what the database holds is in force. Raises StoreUnavailable."""
        async with self._turn:
            while not await self._brought():
                pass

    async def stop(self) -> None:
        """Ends following. What is in force stays so."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _brought(self) -> bool:
        """Whether it is in force; not where another configuration came meanwhile."""
        file, before = self._in_force()
        if not file.general_settings.store_model_in_db:
            return True
        settings = await self._read(file)
        if settings.model_list != before.settings.model_list:
            snapshot = await asyncio.to_thread(self._build, settings)
            if self._in_force()[0] is not file:
                return False
            self._use(snapshot)
            self._metrics.reloaded(WATCHED, Result.RELOADED)
            stored = len(settings.model_list) - len(file.model_list)
            told = {"stored": stored, "snapshot": snapshot.version}
            log.info("stored models loaded", extra=told)
        return self._in_force()[0] is file

    async def _read(self, file: Settings) -> Settings:
        settings = await load(self._registry.database, self._registry.secrets, file)
        self._known = settings.model_list[len(file.model_list) :]
        return settings

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
