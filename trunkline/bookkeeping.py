"""Builds what calls are charged with and wires it together: the database, counters, the ledger.

Apart from `app.py`, so that a gateway that charges nobody loads none of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from weakref import WeakSet

from .access.customary import Customary
from .access.directory import Directory
from .access.periods import next_reset, parse
from .access.registry import Registry
from .access.scopes import Level
from .access.secrets import Secrets
from .charging.batches import Batches, Terms
from .charging.charges import Charges
from .charging.estimate import Estimator
from .charging.provider_batches import ProviderBatches
from .charging.standing import Standing
from .ledger.at_once import AtOnce
from .ledger.book import PriceBook
from .ledger.ledger import Ledger
from .ledger.remote import RemoteLedger
from .ledger.upkeep import Upkeep
from .ledger_process import MODULE, Options
from .live.facts import map_file
from .live.snapshot import Snapshot
from .providers.lanes import Lanes
from .routing.policy import RoutingPolicy
from .settings import Settings
from .settings.learned import located
from .settings.price_map import PriceMap
from .state.build import build, warning
from .store.database import Database, address
from .store.schema import upgrade
from .store.spend_resets import Reset
from .telemetry.metrics import Metrics

DAY_SECONDS = 86_400


def bring_up_to_date(settings: Settings) -> bool:
    """Brings the database's tables to what this program knows; whether there was anything to do.

    Raises StoreError.
    """
    general = settings.general_settings
    patience = general.database_connection_timeout
    return upgrade(address(general.database_url, _folder(settings)), patience=patience)


def told(settings: Settings, workers: int) -> str | None:
    """What to tell at the start of limits that processes can't share; None where they can."""
    return warning(settings.router_settings, workers)


class Books:
    """Everything that outlives one snapshot: the database, the counters, the ledger.

    registry: for the management of keys, users and budgets. directory: who calls.
    batches: what providers work at for hours.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, workers: int, *, lasting: bool = False
    ) -> None:
        """workers: processes of this gateway. lasting: whether this one is worth a helper, which
        keeps the ledger where there is no Redis. Raises StoreError."""
        general, folder = settings.general_settings, _folder(settings)
        self._metrics = metrics
        self.database = Database(
            address(general.database_url, folder),
            connections=general.database_connection_pool_limit,
            timeout=general.database_connection_timeout,
        )
        state = build(settings.router_settings, metrics, workers=workers)
        self.counters, self.bus, stream = state
        self._streams = stream is not None
        secrets = Secrets(general.salt_key or general.master_key or "")
        customary = Customary.of(settings.litellm_settings)
        self.registry = Registry(self.database, secrets, self.counters, self.bus, customary)
        self.directory = Directory(
            self.database,
            secrets,
            self.bus,
            size=general.user_api_key_cache_max_size,
            seconds=general.user_api_key_cache_ttl,
            grace=general.key_grace_seconds,
        )
        kept = retention(general.maximum_spend_logs_retention_period)
        upkeep = Upkeep(self.database, next_reset, self._began_anew, retention=kept)
        logs = not general.disable_spend_logs
        if stream is None and lasting:
            options = Options.of(
                self.database.url,
                folder,
                retention=kept,
                timeout=general.database_connection_timeout,
                logs=logs,
                verbose=settings.litellm_settings.set_verbose,
                as_json=settings.litellm_settings.json_logs,
            )
            self.ledger: Ledger = RemoteLedger(
                self.database, folder, upkeep, module=MODULE, options=options, logs=logs
            )
        else:
            self.ledger = Ledger(self.database, folder, upkeep, stream=stream, logs=logs)
        self.batches = Batches(
            self.database,
            AtOnce(self.database, upkeep.reset, logs=logs),
            shared=self._streams,
        )
        self._charges: WeakSet[Charges] = WeakSet()

    async def start(self, *, asks: bool = True) -> None:
        """Begins what runs in the background. asks: whether providers are asked for batches."""
        self.counters.before_resume(self.ledger.flush)
        self.ledger.start()
        if asks:
            self.batches.start()

    def charges(self, snapshot: Snapshot) -> Charges:
        """How the calls of a snapshot are charged."""
        settings, general = snapshot.settings, snapshot.settings.general_settings
        prices_of = PriceBook(snapshot.facts_of, lambda: PriceMap.whole(map_file(settings)))
        charges = Charges(
            self.counters,
            self.ledger,
            self.directory,
            Estimator(prices_of, snapshot.facts_of, general.default_output_tokens),
            prices_of,
            self._metrics,
            Standing(settings),
            stand_in=prices_of.stand_in,
            streams=self._streams,
            budget_status=general.budget_exceeded_status,
        )
        self._charges.add(charges)
        return charges

    def batches_of(
        self, snapshot: Snapshot, charges: Charges, lanes: Lanes, policy: RoutingPolicy
    ) -> Batches:
        """The batches, charged by a snapshot from now on."""
        self.batches.turn_to(Terms(snapshot, charges, ProviderBatches(lanes, policy)))
        return self.batches

    def registry_of(self, snapshot: Snapshot) -> Registry:
        """What the management of keys works with, as a snapshot's configuration says."""
        return replace(self.registry, customary=Customary.of(snapshot.settings.litellm_settings))

    async def reached(self) -> dict[str, bool]:
        """Whether the stores that the configuration names can be reached: "db", and "redis"."""
        database, redis = await asyncio.gather(self.database.ping(), self.counters.ping())
        return {"db": database, "redis": redis} if self._streams else {"db": database}

    async def _began_anew(self, reset: Reset) -> None:
        await self.registry.budgets_changed(Level(reset.level), reset.ids)

    async def close(self) -> None:
        """Writes what is to be written, and ends what runs in the background."""
        await self.batches.close()
        for charges in list(self._charges):
            await charges.close()
        await self.ledger.close()
        await self.bus.close()
        await self.counters.close()
        await self.database.close()


def retention(period: str | None) -> timedelta | None:
    """How long rows are kept. Raises InvalidRequest for what is no duration."""
    if not period:
        return None
    number, unit = parse(period, "maximum_spend_logs_retention_period")
    seconds = {"s": 1, "m": 60, "h": 3600, "d": DAY_SECONDS, "w": 7 * DAY_SECONDS}
    return timedelta(seconds=number * seconds.get(unit, 31 * DAY_SECONDS))


def _folder(settings: Settings) -> Path:
    return located(settings.source.parent, settings.general_settings.data_directory)
