"""The composition root: everything is built and wired together here, and nowhere else."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .api.http import Receive, Scope, Send
from .api.surface import Surface
from .deadline import Alarms
from .following import Following, hidden
from .gateway import Gateway
from .generation import Maker
from .live.bundles import share
from .live.snapshot import Snapshot, build_snapshot
from .operations import OPERATIONS
from .providers.client import aiohttp, late
from .providers.direct import DirectLane
from .providers.lanes import Lanes
from .providers.litellm_lane import LitellmLane
from .providers.mock_lane import MockLane
from .providers.session import session_of
from .routing.health import Health
from .routing.shared_cooldowns import SharedCooldowns
from .serving import Lasting, needs_litellm
from .settings import Settings
from .settings.strategies import BUILT_IN, LEARNED
from .telemetry import traces
from .telemetry.metrics import Metrics, Switched
from .telemetry.traces import Traces
from .underway import Underway

if TYPE_CHECKING:
    from .bookkeeping import Books
    from .configuration import Configuration

log = logging.getLogger("trunkline")

STILL_SECONDS = 2.0
"""For which a process may stand still without its connections being taken for dead."""


class Application:
    """The gateway as an ASGI application, for one process.

    settings: what it starts with. once_started: awaited when the server has been told that the
    gateway is ready. shared: see `live.bundles.share`; a folder of its own without, for a process
    that is alone. warms: whether what reaches providers is loaded before the first of them is
    called: aiohttp at once, LiteLLM in the background where the configuration needs it.
    configuration: where the settings come from, to follow what becomes of them; without it they
    stay as they are.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        once_started: Callable[[], Awaitable[None]] | None = None,
        shared: Path | None = None,
        workers: int = 1,
        warms: bool = True,
        configuration: Configuration | None = None,
    ) -> None:
        self._warms = warms
        self._once_started = once_started
        self._shared = shared
        self._workers = workers
        self._configuration = configuration
        self._books: Books | None = None
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._first = settings
        self._snapshot = build_snapshot(settings, version=1)
        self._surface: Surface | None = None
        self._following: Following | None = None
        self._maker: Maker | None = None
        self._session: aiohttp.ClientSession | None = None
        self._traces: Traces | None = None
        self._underway = Underway()
        self._litellm = LitellmLane(settings.litellm_settings.model_dump(exclude_none=True))

    def secrets(self) -> set[str]:
        """Every secret that the configuration and the environment give to this process."""
        return hidden(self._snapshot)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        surface = self._surface or await self._start()
        begun = self._underway.begin()
        try:
            if scope["type"] == "http":
                await surface.http(scope, receive, send)
            else:
                await surface.websocket(scope, receive, send)
        finally:
            self._underway.end(begun)

    async def import_litellm(self) -> None:
        """Returns when LiteLLM is imported, where some calls need it. Raises ProviderError."""
        if any(map(needs_litellm, self._snapshot.everything)):
            await self._litellm.load()

    async def resume(self, still: float) -> None:
        """Catches up after this process stood still, as Lambda has it do between two calls.

        What is due is done before this returns, not in the background, for which there may be no
        time. Raises what stops it; what is in force stays so.

        still: seconds for which it stood still.
        """
        if still > STILL_SECONDS and self._books is not None:
            self._books.bus.renew()
        if self._following is not None:
            await self._following.catch_up(stood_still=still > STILL_SECONDS)

    async def settle(self) -> None:
        """Returns when the database has every row of the calls so far, and traces are sent.

        Raises StoreUnavailable.
        """
        routing = self._following.current.lasting.routing if self._following else None
        try:
            if routing is not None:
                await routing.flush()
            if self._books is not None and self._books.ledger.waiting:
                await self._books.ledger.flush()
        finally:
            if self._traces is not None:
                await self._traces.flush()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._start()
        except Exception as error:
            log.exception("the gateway could not start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        if self._once_started is not None:
            await self._once_started()
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> Surface:
        session = partial(session_of, self._first)
        self._session = session() if self._warms else late(session)
        self._traces = traces.begun(self._first.litellm_settings, os.environ)
        alarms = Alarms(asyncio.get_running_loop())
        metrics = Switched(self._first.litellm_settings)
        books, health = await self._account(metrics), Health()
        if books is not None:
            SharedCooldowns(health, books.bus)
        lasting = Lasting(
            lanes=Lanes(
                direct=DirectLane(self._session, alarms), litellm=self._litellm, mock=MockLane()
            ),
            health=health,
            metrics=metrics,
            books=books,
            warm=self._litellm.warm if self._warms else _nothing_warmed,
        )
        self._maker = Maker(lasting, self._folder, self._snapshot)
        self._following = Following(
            self._first, self._maker, self._underway, self._litellm, metrics, self._turned
        )
        if self._configuration is not None:
            await self._following.load(self._configuration, self._folder())
        gateway = Gateway(await self._following.first())
        self._surface = Surface(
            gateway,
            self._session,
            alarms,
            self._following.watches,
            reload=self._following.stored_now,
            traces=self._traces,
        )
        self._following.start(gateway)
        _settle_memory()
        return self._surface

    def _turned(self, snapshot: Snapshot) -> None:
        """Another snapshot is served."""
        self._snapshot = snapshot

    async def _account(self, metrics: Metrics) -> Books | None:
        """What calls are charged with; None where they are charged to nobody."""
        if not self._first.general_settings.charges:
            return None
        from . import bookkeeping  # noqa: PLC0415 - only where somebody is charged

        await asyncio.to_thread(bookkeeping.bring_up_to_date, self._first)
        self._books = bookkeeping.Books(self._first, metrics, self._workers, lasting=self._warms)
        await self._books.start(asks=self._warms)
        return self._books

    def _folder(self) -> Path:
        if self._shared is None:
            self._own = share()
            self._shared = Path(self._own.name)
        return self._shared

    async def _stop(self) -> None:
        if self._following is not None:
            await self._following.stop()
        await self._underway.close()
        if self._maker is not None:
            await self._maker.close()
        if self._books is not None:
            await self._books.close()
        if self._session is not None:
            await self._session.close()
        await self._litellm.close()
        if self._traces is not None:
            await self._traces.close()
        log.info("stopped")


def _nothing_warmed() -> None:
    """In the place of an import in the background, where there is no background."""


def _settle_memory() -> None:
    """Keeps the collector off what lives as long as the process.

    Going through it again and again is what the slowest requests waited for: their 99th percentile
    at 32 connections falls to half. Nothing is collected while the collector is disabled, as for a
    cold start on Lambda, which looking would make longer.
    """
    if gc.isenabled():
        gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


_NO_SALT = (
    "no salt key is configured (general_settings.salt_key, TRUNKLINE_SALT_KEY): virtual keys are"
    " hashed with the master key, and end when it changes"
)


def announce(settings: Settings, workers: int) -> None:
    """The start-up log: what is registered, and what of the configuration has no effect.

    Told once, however many processes serve.
    """
    groups = Counter(entry.model_name for entry in settings.model_list)
    paths = sum(len(operation.paths) for operation in OPERATIONS)
    strategy = settings.router_settings.routing_strategy
    registered = ", ".join((*BUILT_IN, *LEARNED))
    log.info("strategies registered: %s; in force: %s", registered, strategy)
    log.info("routes registered: %d operations on %d paths", len(OPERATIONS), paths)
    log.info("models registered: %s", _counted(groups))
    if settings.search_tools:
        tools = Counter(entry.search_tool_name for entry in settings.search_tools)
        log.info("search tools registered: %s", _counted(tools))
    for warning in settings.warnings:
        log.warning("%s", warning)
    general = settings.general_settings
    if general.charges:
        from .bookkeeping import told  # noqa: PLC0415 - only where somebody is charged

        if alone := told(settings, workers):
            log.warning("%s", alone)
        if not general.salt_key:
            log.warning(_NO_SALT)
    if not general.master_key:
        log.warning("no master key is configured: calls need no key")


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in names.items()) or "none"
