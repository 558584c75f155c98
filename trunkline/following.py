"""Brings into force, in one process, what becomes of its configuration.

    the configuration's source    another file or object, told of by whoever rolled it out
    the database                  models that were added beside those of the file
    secrets                       values that were rotated

Each is made ready beside what is in force, and then takes its place by one assignment. Calls end on
what they began with.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .configuration import Configuration, Read
from .gateway import Gateway, Serving
from .generation import Generation, Maker
from .live.depot import FOLLOWED, depot
from .live.pointer import is_changed
from .live.snapshot import Snapshot
from .live.watch import Watch
from .providers.environment import Exported
from .providers.litellm_lane import LitellmLane
from .providers.secrets import secrets_of
from .rotation import Rotation
from .settings import Settings, addresses
from .settings.lasting import lasting
from .telemetry import logs, traces
from .telemetry.metrics import Switched
from .underway import Underway

if TYPE_CHECKING:
    from .reloading import StoredReload
    from .state.contract import Bus

log = logging.getLogger("trunkline.live")

DRAIN = "drain"
"""The file of the shared folder that says how many seconds calls have at the end."""


class Following:
    """One process's way from one generation to the next.

    first: the configuration that it starts with. turned: told of each snapshot that is served.
    """

    def __init__(
        self,
        first: Settings,
        maker: Maker,
        underway: Underway,
        litellm: LitellmLane,
        metrics: Switched,
        turned: Callable[[Snapshot], None],
    ) -> None:
        self._first = first
        self._maker = maker
        self._underway = underway
        self._litellm = litellm
        self._metrics = metrics
        self._turned = turned
        self._gateway: Gateway | None = None
        self._read: Read | None = None
        self._ready_next: tuple[Generation, tuple[str, ...]] | None = None
        self._watch: Watch[Read] | None = None
        self._exported: Exported | None = None
        self._rotation: Rotation | None = None
        self._stored: StoredReload | None = None
        self._drain: Path | None = None
        self._own_bus: Bus | None = None

    @property
    def current(self) -> Generation:
        """What is in force, from when `first` has returned."""
        assert self._maker.current is not None
        return self._maker.current

    def watches(self) -> Sequence[Watch[Any]]:
        """All that is watched now."""
        routing = self.current.lasting.routing
        found = (self._watch, routing.watch if routing is not None else None)
        return [each for each in found if each is not None]

    async def load(self, configuration: Configuration, shared: Path) -> None:
        """Begins with what the configuration's source holds. Raises BundleError."""
        self._watch = configuration.watch(shared, self._metrics, self._swap, self._make_ready)
        self._exported = Exported(configuration.environ)
        self._drain = shared / DRAIN
        self._rotation = Rotation(
            configuration.vault, self._secrets_interval, self._watch.again, self._metrics
        )
        self._read = await self._watch.load()

    async def first(self) -> Serving:
        """What is served first. Raises BundleError, StoreUnavailable."""
        file = self._first
        pending: tuple[str, ...] = ()
        if self._read is not None:
            file, pending = lasting(self._first, self._read.settings)
        generation = await self._make(file)
        if self._read is not None:
            self._settle(self._read, generation, pending)
        return self._turn(generation)

    def start(self, gateway: Gateway) -> None:
        """Follows what changes, from now on."""
        self._gateway = gateway
        if self._watch is not None:
            self._watch.start()
            self._listen(self._watch)
        if self._rotation is not None:
            self._rotation.start()
        routing = self.current.lasting.routing
        if routing is not None:
            routing.start()
        if self._stored is not None:
            self._stored.start()

    async def catch_up(self, *, stood_still: bool) -> None:
        """Does what became due while this process stood still."""
        if stood_still and self._stored is not None:
            await self._stored.now()
        if self._rotation is not None:
            await self._rotation.catch_up()
        for watch in self.watches():
            await watch.catch_up()

    async def stored_now(self) -> None:
        """Returns when the models of the database are in force. Raises StoreUnavailable."""
        if self._stored is not None:
            await self._stored.now()

    async def stop(self) -> None:
        """Ends following. What is in force stays so."""
        for each in (self._watch, self._rotation, self._stored):
            if each is not None:
                await each.stop()
        if self._own_bus is not None:
            await self._own_bus.close()

    # Making ready

    async def _make(self, file: Settings) -> Generation:
        books, settings = self._maker.books, file
        if books is not None and file.general_settings.store_model_in_db:
            if self._stored is None:
                from .reloading import StoredReload  # noqa: PLC0415 - only where any are stored

                self._stored = StoredReload(
                    books.registry, self._in_force, self._maker.snapshot, self._use, self._metrics
                )
                if self._gateway is not None:
                    self._stored.start()
            settings = await self._stored.beside(file)
        return await self._maker.make(file, settings)

    async def _make_ready(self, read: Read) -> None:
        file, pending = lasting(self._first, read.settings)
        self._ready_next = await self._make(file), pending

    # Taking its place

    def _swap(self, read: Read) -> None:
        assert self._ready_next is not None
        (generation, pending), before = self._ready_next, self.current
        self._ready_next = None
        self._settle(read, generation, pending)
        self._serve(generation)
        routing = generation.lasting.routing
        if routing is not None and routing is not before.lasting.routing:
            routing.start()
        self._underway.after_all(partial(before.leave, generation))
        self._tell(before.file, generation.file, pending)
        if self._stored is not None:
            # What was added while this was made ready.
            self._stored.look()

    def _settle(self, read: Read, generation: Generation, pending: tuple[str, ...]) -> None:
        """Has the whole process do as a configuration says."""
        assert self._watch is not None
        assert self._exported is not None
        file, general = generation.file, generation.file.general_settings
        logs.hide(read.secret)
        self._exported.turn_to(read.exported)
        self._litellm.configure(file.litellm_settings.model_dump(exclude_none=True))
        self._metrics.turn_to(file.litellm_settings)
        self._watch.pending = pending
        self._watch.interval = general.config_reload_interval if general.config_hot_reload else None
        before = self._maker.current.file if self._maker.current is not None else self._first
        told, was = file.litellm_settings, before.litellm_settings
        if (told.set_verbose, told.json_logs) != (was.set_verbose, was.json_logs):
            # Where they were JSON though no configuration says so, the process needs them so.
            needed = logs.as_json() and not was.json_logs
            logs.configure(verbose=told.set_verbose, as_json=told.json_logs or needed)
        if self._drain is not None and general.drain_seconds != self._first_drain:
            self._drain.write_text(str(general.drain_seconds))

    @property
    def _first_drain(self) -> float:
        return self._first.general_settings.drain_seconds

    def _use(self, snapshot: Snapshot) -> None:
        """Serves another snapshot of the same configuration."""
        self._serve(replace(self.current, snapshot=snapshot))

    def _serve(self, generation: Generation) -> None:
        assert self._gateway is not None
        self._gateway.serving = self._turn(generation)

    def _turn(self, generation: Generation) -> Serving:
        serving = generation.lasting.serving(generation.snapshot)
        self._maker.current = generation
        self._turned(generation.snapshot)
        logs.hide(hidden(generation.snapshot))
        return serving

    def _in_force(self) -> tuple[Settings, Snapshot]:
        return self.current.file, self.current.snapshot

    def _tell(self, before: Settings, now: Settings, pending: tuple[str, ...]) -> None:
        for warning in now.warnings:
            if warning not in before.warnings:
                log.warning("%s", warning)
        if pending:
            log.warning("what takes effect at the next start: %s", ", ".join(pending))

    # Being told

    def _secrets_interval(self) -> float:
        return self.current.file.general_settings.secrets_refresh_interval

    def _listen(self, watch: Watch[Read]) -> None:
        """Looks at once whenever the bus says that the pointer was written."""
        place = watch.status().source
        if not place.endswith(FOLLOWED):
            return
        name, books = depot(place).name, self._maker.books
        bus = books.bus if books is not None else None
        if bus is None:
            from .settings.redis_address import address_of  # noqa: PLC0415
            from .state.build import bus_of  # noqa: PLC0415 - with the client of Redis

            bus = self._own_bus = bus_of(address_of(self._first.router_settings))

        def hear(message: str) -> None:
            if is_changed(message, name):
                watch.look()

        bus.subscribe(hear)


def hidden(snapshot: Snapshot) -> set[str]:
    """Every secret that a configuration and the environment give to this process."""
    settings = snapshot.settings
    general, router = settings.general_settings, settings.router_settings
    found = {general.master_key or ""}
    for endpoint in general.pass_through_endpoints:
        found.update(endpoint.headers.values(), addresses.secrets_of(endpoint.target))
    params = settings.litellm_settings.cache_params
    shown = (params.password, params.s3_aws_secret_access_key, params.s3_aws_session_token)
    found.update(traces.secrets(os.environ))
    found.update(each or "" for each in (*shown, router.redis_password, general.salt_key))
    for url in (params.redis_url, router.redis_url, general.database_url):
        found.update(addresses.password_of(url or ""))
    return found.union(*map(secrets_of, snapshot.everything))
