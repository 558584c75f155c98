"""Builds a learned strategy and wires it together: its bundle, what watches it, what decides.

Apart from `app.py`, so that a gateway without one loads none of it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from .call import Operation
from .live.bundles import copies_folder, share, watch_bundle
from .live.snapshot import Snapshot, build_snapshot
from .live.steps import Steps
from .live.watch import Watch
from .routing.learned import Learned
from .routing.loading import Loaded, Loader, check
from .routing.router import Router
from .routing.workflows.workflow import Workflows, build_workflows
from .settings import Settings
from .settings.learned import S3, located
from .telemetry.metrics import Metrics

__all__ = ["Routing", "share", "try_bundle"]


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

    def __init__(self, settings: Settings, snapshot: Snapshot, shared: Path) -> None:
        """shared: see `live.bundles.share`. Raises BundleError."""
        args = settings.router_settings.learned
        assert args is not None
        self.watch: Watch[Loaded] | None = None
        self._settings = settings
        self._args = args
        self._loader = Loader.of(settings, snapshot.models)
        self._shared = shared
        self._learned: Learned | None = None

    async def load(self, metrics: Metrics) -> Learned:
        """What decides. Raises BundleError."""
        self.watch = self._watch(metrics)
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
        )
        return self._learned

    def _watch(self, metrics: Metrics) -> Watch[Loaded] | None:
        args, loader = self._args, self._loader
        remote = args.bucket_and_key
        if not (remote or args.model_path):
            return None
        return watch_bundle(
            "bundle",
            S3 + "/".join(remote) if remote else str(located(loader.base, args.model_path)),
            Steps(self._build, check, self._swap, lambda loaded: loaded.version),
            shared=self._shared,
            copies=copies_folder(os.environ),
            size_limit=loader.trust.size_limit,
            interval=args.reload_interval if args.hot_reload else None,
            metrics=metrics,
        )

    def _build(self, path: Path) -> Loaded:
        return self._loader.load(path)

    def _swap(self, loaded: Loaded) -> None:
        if self._learned is not None:
            self._learned.swap(loaded)

    def turn_to(self, snapshot: Snapshot) -> None:
        """From now on, the deployments are those of another snapshot; before its router is built.

        A label whose last deployment has gone ranks, and nothing is chosen by it.
        """
        self._loader = replace(self._loader, deployments=snapshot.models)
        if self._learned is not None:
            self._learned.turn_to(snapshot.models)

    def workflows(self, router: Router, metrics: Metrics, chat: Operation) -> Workflows | None:
        """What answers calls by calls of its own, where the strategy does so."""
        return build_workflows(self._settings, router, metrics, chat)

    async def stop(self) -> None:
        if self.watch is not None:
            await self.watch.stop()
        if self._learned is not None:
            self._learned.close()
