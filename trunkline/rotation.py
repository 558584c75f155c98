"""Looks whether secrets were rotated, and has what is served built anew with their new values."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from .errors import BundleError
from .live.clock import Clock
from .live.secrets_manager import SecretsManager
from .live.status import Result
from .live.threads import in_thread
from .settings.managed import SecretsError
from .telemetry.metrics import Metrics

log = logging.getLogger("trunkline.live")

WATCHED = "secrets"
"""What metrics call it."""


class Rotation:
    """interval: seconds between looks, as it is by then. again: builds what is served anew."""

    def __init__(
        self,
        vault: SecretsManager,
        interval: Callable[[], float],
        again: Callable[[], Awaitable[None]],
        metrics: Metrics,
        clock: Clock | None = None,
    ) -> None:
        self._vault = vault
        self._interval = interval
        self._again = again
        self._metrics = metrics
        self._clock = clock or Clock()
        self._looked = self._clock.now()
        self._owed = False
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name="secrets")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def catch_up(self) -> None:
        """Looks, where that is due."""
        if self._clock.now() - self._looked >= self._interval():
            await self.look()

    async def look(self) -> None:
        """Looks now. What can't be read, or can't be served, changes nothing."""
        self._looked = self._clock.now()
        if not self._vault.used:
            return
        try:
            self._owed = await in_thread(self._vault.refresh) or self._owed
            if self._owed:
                await self._again()
        except SecretsError as error:
            self._failed(Result.UNREACHABLE, error)
        except BundleError as error:
            self._failed(Result.REFUSED, error)
        else:
            if self._owed:
                self._metrics.reloaded(WATCHED, Result.RELOADED)
                log.info("secrets were rotated, and are in use")
            self._owed, self._failures = False, 0

    def _failed(self, result: Result, error: Exception) -> None:
        self._failures += 1
        self._metrics.reloaded(WATCHED, result)
        log.warning("%s: secrets: %s; the values in use stay so", result, error)

    async def _watch(self) -> None:
        while True:
            wait = self._clock.wait(self._interval(), self._failures)
            await self._clock.sleep(wait * self._clock.chance.uniform(0.9, 1.0))
            try:
                await self.look()
            except Exception:
                self._failures += 1
                log.exception("looking at secrets failed, and goes on")
