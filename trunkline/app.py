"""The composition root: everything is built and wired together here, and nowhere else."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import ssl
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from .api.http import Receive, Scope, Send
from .api.surface import Surface
from .cache.answers import Answers
from .cache.stores import build_store
from .call import Call, Deployment
from .deadline import Alarms
from .gateway import Gateway
from .ledger.book import PriceBook
from .live.snapshot import Snapshot, build_snapshot
from .operations import OPERATIONS
from .providers.direct import DirectLane
from .providers.lanes import Lanes
from .providers.litellm_lane import LitellmLane
from .providers.mock_lane import MockLane
from .providers.secrets import secrets_of
from .routing.health import Health
from .routing.shared_cooldowns import SharedCooldowns
from .serving import Lasting, needs_litellm
from .settings import Settings, addresses
from .settings.learned import located
from .settings.schema import LitellmSettings
from .settings.strategies import BUILT_IN, LEARNED
from .telemetry import logs
from .telemetry.metrics import Metrics, build_metrics

if TYPE_CHECKING:
    from .bookkeeping import Books
    from .learning import Routing
    from .live.watch import Watch
    from .reloading import StoredReload
    from .routing.learned import Learned
    from .routing.loading import Loaded
    from .routing.recording import Recorder
    from .store.routing_records import RoutingRecords

log = logging.getLogger("trunkline")

STILL_SECONDS = 2.0
"""For which a process may stand still without its connections being taken for dead."""


class Application:
    """The gateway as an ASGI application, for one process.

    once_started: awaited when the server has been told that the gateway is ready.
    shared: see `learning.share`; a folder of its own without, for a process that is alone.
    warms: whether LiteLLM is imported in the background where the configuration needs it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        once_started: Callable[[], Awaitable[None]] | None = None,
        shared: Path | None = None,
        workers: int = 1,
        warms: bool = True,
    ) -> None:
        self._warms = warms
        self._once_started = once_started
        self._shared = shared
        self._workers = workers
        self._books: Books | None = None
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._settings = settings
        self._snapshot = build_snapshot(settings, version=1)
        self._stored: StoredReload | None = None
        self._surface: Surface | None = None
        self._learned: Learned | None = None
        self._routing: Routing | None = None
        self._recorder: Recorder | None = None
        self._answers: Answers | None = None
        self._session: aiohttp.ClientSession | None = None
        self._litellm = LitellmLane(settings.litellm_settings.model_dump(exclude_none=True))

    def secrets(self) -> set[str]:
        """Every secret that the configuration and the environment give to this process."""
        general = self._settings.general_settings
        found = {general.master_key or ""}
        for endpoint in general.pass_through_endpoints:
            found.update(endpoint.headers.values(), addresses.secrets_of(endpoint.target))
        params = self._settings.litellm_settings.cache_params
        router = self._settings.router_settings
        hidden = (params.password, params.s3_aws_secret_access_key, params.s3_aws_session_token)
        found.update(each or "" for each in (*hidden, router.redis_password, general.salt_key))
        for url in (params.redis_url, router.redis_url, general.database_url):
            found.update(addresses.password_of(url or ""))
        return found.union(*map(secrets_of, self._snapshot.everything))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        surface = self._surface or await self._start()
        if scope["type"] == "http":
            await surface.http(scope, receive, send)
        else:
            await surface.websocket(scope, receive, send)

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
        if still > STILL_SECONDS:
            if self._books is not None:
                self._books.bus.renew()
            if self._stored is not None:
                await self._stored.now()
        for watch in self._watches():
            await watch.catch_up()

    async def settle(self) -> None:
        """Returns when the database has every row of the calls so far. Raises StoreUnavailable."""
        if self._routing is not None:
            await self._routing.flush()
        if self._books is not None and self._books.ledger.waiting:
            await self._books.ledger.flush()

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
        self._session = _session(self._settings)
        settings = self._settings
        alarms = Alarms(asyncio.get_running_loop())
        direct = DirectLane(self._session, alarms)
        metrics = build_metrics(settings.litellm_settings)
        books = await self._account(metrics)
        if books is not None and settings.general_settings.store_model_in_db:
            await self._load_stored(books, metrics)
        self._learned = await self._learn(metrics)
        self._recorder = self._recording()
        health = Health()
        if books is not None and not settings.router_settings.disable_cooldowns:
            SharedCooldowns(health, books.bus)
        lasting = Lasting(
            lanes=Lanes(direct=direct, litellm=self._litellm, mock=MockLane()),
            health=health,
            metrics=metrics,
            books=books,
            routing=self._routing,
            learned=self._learned,
            recorder=self._recorder,
            answers=self._caching(metrics),
            warm=self._litellm.warm if self._warms else _nothing_warmed,
        )
        gateway = Gateway(lasting.serving(self._snapshot))
        self._surface = Surface(
            gateway,
            self._session,
            alarms,
            self._watches,
            reload=self._stored.now if self._stored else _nothing_stored,
        )
        for watch in self._watches():
            watch.start()
        if self._routing is not None:
            self._routing.listen()
        if self._stored is not None:
            self._stored.start(partial(self._turn, gateway, lasting))
        _settle_memory()
        return self._surface

    async def _load_stored(self, books: Books, metrics: Metrics) -> None:
        """Puts the models of the database beside those of the file."""
        from .reloading import StoredReload  # noqa: PLC0415 - only where models are stored

        self._stored = StoredReload(books.registry, self._settings, metrics)
        self._snapshot = await self._stored.load()
        logs.hide(self.secrets())

    def _turn(self, gateway: Gateway, lasting: Lasting, snapshot: Snapshot) -> None:
        """Serves another snapshot from now on; calls in flight finish on theirs."""
        self._snapshot = snapshot
        logs.hide(self.secrets())
        gateway.serving = lasting.serving(snapshot)

    async def _account(self, metrics: Metrics) -> Books | None:
        """What calls are charged with; None where they are charged to nobody."""
        if not self._settings.general_settings.charges:
            return None
        from . import bookkeeping  # noqa: PLC0415 - only where somebody is charged

        await asyncio.to_thread(bookkeeping.bring_up_to_date, self._settings)
        self._books = bookkeeping.Books(self._settings, metrics, self._workers)
        await self._books.start()
        return self._books

    async def _learn(self, metrics: Metrics) -> Learned | None:
        """The learned strategy in force; None under a built-in one."""
        if self._settings.router_settings.learned is None:
            return None
        from .learning import Routing, share  # noqa: PLC0415 - only where something was learned

        if self._shared is None:
            self._own = share()
            self._shared = Path(self._own.name)
        bus = self._books.bus if self._books is not None else None
        self._routing = Routing(self._settings, self._snapshot, self._shared, bus)
        return await self._routing.load(metrics)

    def _watches(self) -> tuple[Watch[Loaded], ...]:
        watch = self._routing.watch if self._routing is not None else None
        return (watch,) if watch is not None else ()

    def _recording(self) -> Recorder | None:
        """What keeps decisions and feedback; None where the configuration doesn't ask for it."""
        general = self._settings.general_settings
        if not general.routing_records:
            return None
        from .routing.recording import Recorder  # noqa: PLC0415

        def facts_of(deployment: Deployment) -> Mapping[str, Any]:
            return self._snapshot.facts_of(deployment)  # of whichever is current

        prices_of = PriceBook(facts_of)

        def cost(deployment: Deployment, call: Call) -> int | None:
            known = prices_of(deployment)
            return known.charge(call) if known else None

        content = general.store_prompts_in_spend_logs
        return Recorder(self._record_store(), self._learned, cost, content=content)

    def _record_store(self) -> RoutingRecords:
        """PostgreSQL where it is there, else a file."""
        from .store.routing_records import File, RoutingRecords  # noqa: PLC0415 - with sqlite3

        if self._books is not None and self._books.database.dialect == "postgresql":
            from .store.routing_tables import Tables  # noqa: PLC0415

            return RoutingRecords(Tables(self._books.database.url))
        folder = self._settings.general_settings.data_directory
        return RoutingRecords(File(located(self._settings.source.parent, folder)))

    def _caching(self, metrics: Metrics) -> Answers | None:
        """What keeps answers; None where the configuration doesn't ask for it."""
        settings, general = self._settings.litellm_settings, self._settings.general_settings
        if not settings.cache:
            return None
        params = settings.cache_params
        named = params.disk_cache_dir or general.data_directory
        folder = located(self._settings.source.parent, named)
        self._answers = Answers(
            build_store(params, folder),
            params,
            metrics,
            specific=settings.enable_caching_on_provider_specific_optional_params,
        )
        return self._answers

    async def _stop(self) -> None:
        if self._stored is not None:
            await self._stored.stop()
        if self._routing is not None:
            await self._routing.stop()
        if self._answers is not None:
            await self._answers.close()
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.store.close)
        if self._books is not None:
            await self._books.close()
        if self._session is not None:
            await self._session.close()
        await self._litellm.close()
        log.info("stopped")


def _nothing_warmed() -> None:
    """In the place of an import in the background, where there is no background."""


async def _nothing_stored() -> None:
    """In the place of a reload, where models are those of the file alone."""


def _session(settings: Settings) -> aiohttp.ClientSession:
    """What the direct lane reaches providers with."""
    proxied = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY"))
    return aiohttp.ClientSession(
        # Idle connections are given up before common servers and load balancers give them up.
        connector=aiohttp.TCPConnector(
            limit=0, keepalive_timeout=15, ttl_dns_cache=30, ssl=_tls(settings.litellm_settings)
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"accept-encoding": "identity", "user-agent": "trunkline"},
        read_bufsize=2**18,
        trust_env=proxied,
    )


def _tls(settings: LitellmSettings) -> ssl.SSLContext | bool:
    """How providers' certificates are checked: `ssl_verify`, or a file of authorities there."""
    verify, certificate = settings.ssl_verify, settings.ssl_certificate
    if verify is False:
        return False
    authorities = verify if isinstance(verify, str) else os.environ.get("SSL_CERT_FILE")
    if not (authorities or certificate):
        return True
    context = ssl.create_default_context(cafile=authorities)
    if certificate:
        context.load_cert_chain(certificate)
    return context


def _settle_memory() -> None:
    """Keeps the collector off what lives as long as the process.

    Going through it again and again is what the slowest requests waited for: their 99th percentile
    at 32 connections falls to half.
    """
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
