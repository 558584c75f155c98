"""Builds a learned strategy and wires it together: its bundle, what watches it, what decides.

Apart from `app.py`, so that a gateway without one loads none of it.
"""

from __future__ import annotations

import logging
import os
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

from .call import Call, Deployment, Operation
from .errors import BundleError
from .ledger.book import PriceBook
from .live.bundles import copies_folder, share, watch_bundle
from .live.depot import FOLLOWED, depot
from .live.following import CANDIDATE, CURRENT, Terms
from .live.pointer import is_changed
from .live.snapshot import Snapshot, build_snapshot
from .live.steps import Steps
from .live.watch import Watch
from .routing.labels import check_labels
from .routing.learned import Learned
from .routing.loading import Loaded, Loader, check
from .routing.router import Router
from .routing.trial import Trial
from .routing.workflows.workflow import Workflows, build_workflows
from .settings import Settings
from .settings.learned import S3, located
from .settings.redis_address import address_of
from .state.arms import Arms, trial_id
from .state.build import arms_of, bus_of
from .state.contract import Bus
from .telemetry.metrics import Metrics

__all__ = ["Routing", "share", "try_bundle"]

log = logging.getLogger("trunkline.live")


async def try_bundle(settings: Settings) -> None:
    """Loads and tries what the learned strategy decides by, if one is configured.

    Raises BundleError.
    """
    if settings.router_settings.learned is not None:
        with share() as shared:
            routing = Routing(settings, build_snapshot(settings, version=1), Path(shared))
            await routing.load(Metrics())


class Routing:
    """The learned strategy of a configuration, from its bundle to what watches it.

    watch: what watches the bundle; None where there is none.
    """

    def __init__(
        self, settings: Settings, snapshot: Snapshot, shared: Path, bus: Bus | None = None
    ) -> None:
        """shared: see `live.bundles.share`. Raises BundleError.

        bus: by which it is told of rollouts; one of its own without.
        """
        args = settings.router_settings.learned
        assert args is not None
        self.watch: Watch[Loaded] | None = None
        self._settings = settings
        self._args = args
        self._loader = Loader.of(settings, snapshot.models)
        self._shared = shared
        self._learned: Learned | None = None
        self._prices = PriceBook(snapshot.facts_of)
        self._bus, self._own_bus = bus, False
        self._arms: Arms | None = None

    async def load(self, metrics: Metrics) -> Learned:
        """What decides. Raises BundleError."""
        place = self._place()
        self.watch = self._watch(place, metrics)
        if place.endswith(FOLLOWED):
            self._arms = arms_of(address_of(self._settings.router_settings), depot(place).name)
        if self.watch is None:
            loaded = self._loader.load(None)
            check(loaded)
        else:
            loaded = await self.watch.load()
        self._learned = Learned(
            loaded,
            self._loader.deployments,
            virtual_model=self._args.virtual_model,
            timeout=self._args.timeout_ms / 1000,
            metrics=metrics,
            arms=self._arms,
        )
        self._learned.cost = self._cost
        return self._learned

    def suits(self, settings: Settings) -> bool:
        """Whether another configuration says the same of what is learned."""
        return self.watch is not None and _told(settings) == _told(self._settings)

    def check(self, snapshot: Snapshot) -> None:
        """Raises BundleError where a label stands for none of a snapshot's deployments."""
        if self._learned is not None:
            check_labels(snapshot.models, self._learned.loaded.labels)

    def start(self) -> None:
        """Watches from now on, after `load`."""
        if self.watch is not None:
            self.watch.start()
            self._listen()

    def _listen(self) -> None:
        """Has what a pointer names checked whenever the bus says that it was written."""
        watch, place = self.watch, self._place()
        if watch is None or not place.endswith(FOLLOWED):
            return
        if self._bus is None:
            self._bus = bus_of(address_of(self._settings.router_settings))
            self._own_bus = True
        name, found = depot(place).name, weakref.ref(watch)

        # A bus can't be left: what it holds on to must be small.
        def hear(message: str) -> None:
            if is_changed(message, name) and (here := found()) is not None:
                here.look()

        self._bus.subscribe(hear)

    def _place(self) -> str:
        """Where the bundle is: a path or a URL; empty where there is none."""
        args = self._args
        if args.bucket_and_key:
            return S3 + "/".join(args.bucket_and_key)
        return str(located(self._loader.base, args.model_path)) if args.model_path else ""

    def _watch(self, place: str, metrics: Metrics) -> Watch[Loaded] | None:
        args, loader = self._args, self._loader
        if not place:
            return None
        return watch_bundle(
            "bundle",
            place,
            Steps(self._build, check, self._swap, lambda loaded: loaded.title),
            shared=self._shared,
            copies=copies_folder(os.environ),
            size_limit=loader.trust.size_limit,
            interval=args.reload_interval if args.hot_reload else None,
            metrics=metrics,
        )

    def _build(self, path: Path) -> Loaded:
        terms = Terms.read(path)
        if terms is None:
            return self._loader.load(path)
        loaded, candidate, problem = self._loader.load(path / CURRENT), None, terms.problem
        if not problem:
            try:
                candidate = self._loader.load(path / CANDIDATE)
                check(candidate)
            except BundleError as error:
                candidate, problem = None, str(error).replace(str(path), terms.pointer)
        if problem:
            log.warning("the candidate can't be tried here: %s", problem)
        trial_of = trial_id(terms.pointer, terms.revision)
        return replace(loaded, trial=Trial(trial_of, terms.share, candidate, problem))

    def _cost(self, deployment: Deployment, call: Call) -> int | None:
        prices = self._prices(deployment)
        return prices.charge(call) if prices else None

    def _swap(self, loaded: Loaded) -> None:
        if self._learned is not None:
            self._learned.swap(loaded)

    def turn_to(self, snapshot: Snapshot) -> None:
        """From now on, the deployments are those of another snapshot; before its router is built.

        A label whose last deployment has gone ranks, and nothing is chosen by it.
        """
        self._loader = replace(self._loader, deployments=snapshot.models)
        self._prices.turn_to(snapshot.facts_of)
        if self._learned is not None:
            self._learned.turn_to(snapshot.models)

    def workflows(self, router: Router, metrics: Metrics, chat: Operation) -> Workflows | None:
        """What answers calls by calls of its own, where the strategy does so."""
        return build_workflows(self._settings, router, metrics, chat)

    async def flush(self) -> None:
        """Returns when what became of a trial's calls is where others see it, if that can be."""
        if self._arms is not None:
            await self._arms.flush()

    async def stop(self) -> None:
        """Ends watching, and frees what decides."""
        if self.watch is not None:
            await self.watch.stop()
        if self._learned is not None:
            self._learned.close()
        if self._arms is not None:
            await self._arms.close()
        if self._own_bus and self._bus is not None:
            await self._bus.close()


def _told(settings: Settings) -> tuple[Any, ...]:
    """All that a configuration says of what is learned, but for the deployments."""
    general, router = settings.general_settings, settings.router_settings
    args = router.routing_strategy_args
    keys = tuple(general.bundle_public_keys), general.bundle_size_limit_mb
    return router.routing_strategy, args, keys, settings.source.parent
