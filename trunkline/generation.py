"""What one configuration builds: its snapshot, its learned strategy, its cache, its records.

What the next configuration says the same of goes on with it; the rest is closed when the last call
is over that may use it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache.answers import Answers
from .cache.stores import build_store
from .call import Call, Deployment
from .dataclass import dataclass
from .errors import BundleError
from .ledger.book import PriceBook
from .live.snapshot import Snapshot, build_snapshot
from .serving import Lasting
from .settings import Settings
from .settings.learned import located

if TYPE_CHECKING:
    from .bookkeeping import Books
    from .learning import Routing
    from .routing.learned import Learned
    from .routing.recording import Recorder
    from .store.routing_records import RoutingRecords

log = logging.getLogger("trunkline")


@dataclass(frozen=True, slots=True)
class Generation:
    """file: the configuration, without what the database adds. snapshot: with it."""

    file: Settings
    snapshot: Snapshot
    lasting: Lasting

    async def leave(self, following: Generation) -> None:
        """Closes what the following generation has something else for."""
        old, new = self.lasting, following.lasting
        if old.routing is not None and old.routing is not new.routing:
            await old.routing.stop()
        if old.answers is not None and old.answers is not new.answers:
            await old.answers.close()


class Maker:
    """Makes generations in one process.

    shared: gives the folder by which all processes watch what was learned.
    """

    def __init__(self, lasting: Lasting, shared: Callable[[], Path], first: Snapshot) -> None:
        """lasting: what outlives every configuration. first: the first snapshot, without what the
        database adds."""
        self._lasting = lasting
        self._shared = shared
        self._records: RoutingRecords | None = None
        self._first = first
        self._version = first.version
        self.current: Generation | None = None

    @property
    def books(self) -> Books | None:
        """What calls are charged with."""
        return self._lasting.books

    def snapshot(self, settings: Settings) -> Snapshot:
        """The next one. Takes up to seconds."""
        if self.current is None and settings == self._first.settings:
            return self._first
        self._version += 1
        return build_snapshot(settings, self._version)

    async def make(self, file: Settings, settings: Settings) -> Generation:
        """The generation of a configuration; nothing uses it yet.

        settings: with what the database adds. Raises BundleError.
        """
        before = self.current
        snapshot = await asyncio.to_thread(self.snapshot, settings)
        routing, learned = await self._learn(snapshot, before)
        lasting = replace(
            self._lasting,
            routing=routing,
            learned=learned,
            recorder=self._recorder(settings, learned),
            answers=self._answers(settings, before),
        )
        return Generation(file, snapshot, lasting)

    async def close(self) -> None:
        """Closes what the current generation uses."""
        if self.current is not None:
            lasting = self.current.lasting
            if lasting.routing is not None:
                await lasting.routing.stop()
            if lasting.answers is not None:
                await lasting.answers.close()
        if self._records is not None:
            await asyncio.to_thread(self._records.close)

    async def _learn(
        self, snapshot: Snapshot, before: Generation | None
    ) -> tuple[Routing | None, Learned | None]:
        """The learned strategy; None under a built-in one."""
        settings = snapshot.settings
        if settings.router_settings.learned is None:
            return None, None
        known = before.lasting if before is not None else self._lasting
        try:
            if known.routing is not None and known.routing.suits(settings):
                known.routing.check(snapshot)
                return known.routing, known.learned
            return await self._load(snapshot)
        except BundleError as error:
            strategy = settings.router_settings.routing_strategy
            raise BundleError(f"router_settings.routing_strategy {strategy}: {error}") from None

    async def _load(self, snapshot: Snapshot) -> tuple[Routing, Learned]:
        from .learning import Routing  # noqa: PLC0415 - only where something was learned

        books = self._lasting.books
        bus = books.bus if books is not None else None
        routing = Routing(snapshot.settings, snapshot, self._shared(), bus)
        try:
            return routing, await routing.load(self._lasting.metrics)
        except BaseException:
            await routing.stop()
            raise

    def _answers(self, settings: Settings, before: Generation | None) -> Answers | None:
        """What keeps answers; None where the configuration doesn't ask for it."""
        told, folder = settings.litellm_settings, _cache_folder(settings)
        if not told.cache:
            return None
        if before is not None and _caching(before.snapshot.settings) == _caching(settings):
            return before.lasting.answers
        return Answers(
            build_store(told.cache_params, folder),
            told.cache_params,
            self._lasting.metrics,
            specific=told.enable_caching_on_provider_specific_optional_params,
        )

    def _recorder(self, settings: Settings, learned: Learned | None) -> Recorder | None:
        """What keeps decisions and feedback; None where the configuration doesn't ask for it."""
        general = settings.general_settings
        if not general.routing_records:
            return None
        from .routing.recording import Recorder  # noqa: PLC0415

        prices_of = PriceBook(self._facts_of)

        def cost(deployment: Deployment, call: Call) -> int | None:
            known = prices_of(deployment)
            return known.charge(call) if known else None

        if self._records is None:
            self._records = self._record_store(settings)
        content = general.store_prompts_in_spend_logs
        return Recorder(self._records, learned, cost, content=content)

    def _facts_of(self, deployment: Deployment) -> Mapping[str, Any]:
        assert self.current is not None
        return self.current.snapshot.facts_of(deployment)

    def _record_store(self, settings: Settings) -> RoutingRecords:
        """PostgreSQL where it is there, else a file. Raises BundleError."""
        from .store.routing_records import File, RoutingRecords, StoreError  # noqa: PLC0415

        books = self._lasting.books
        if books is not None and books.database.dialect == "postgresql":
            from .store.routing_tables import Tables  # noqa: PLC0415

            return RoutingRecords(Tables(books.database.url))
        folder = settings.general_settings.data_directory
        try:
            return RoutingRecords(File(located(settings.source.parent, folder)))
        except StoreError as error:
            raise BundleError(f"general_settings.routing_records: {error}") from None


def _cache_folder(settings: Settings) -> Path:
    named = settings.litellm_settings.cache_params.disk_cache_dir
    return located(settings.source.parent, named or settings.general_settings.data_directory)


def _caching(settings: Settings) -> tuple[Any, ...]:
    """All that a configuration says of kept answers."""
    told = settings.litellm_settings
    specific = told.enable_caching_on_provider_specific_optional_params
    return told.cache, told.cache_params, specific, _cache_folder(settings)
