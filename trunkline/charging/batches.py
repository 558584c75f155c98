"""Charges batches to who created them, once, when they have ended.

A batch is a call whose cost nobody knows for hours. Who created it is kept in the database. That it
has ended is seen in an answer that a client gets, or by asking the provider from time to time:
whoever sees it first charges it, and whoever sees it as well changes nothing by it, since its row
has one id and one time (see `store/batches.py`). The counters of budgets are told to take what was
spent from the database again, which may be done any number of times.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..call import Answer, Call, Deployment
from ..dataclass import dataclass
from ..errors import ErrorKind, GatewayError, ProviderError, let_go
from ..ledger.at_once import AtOnce
from ..ledger.tasks import repeat
from ..live.snapshot import Snapshot
from ..providers.batches import Batch, Output, batches_in, has_ended, output_of, place_of
from ..providers.usage_sums import total
from ..store import batches as store
from ..store.batches import CreatedBatch
from ..store.database import Database, StoreUnavailable
from .batch_costs import BatchCosts, Used
from .batch_rows import budgets_of, counters_of, created_by, id_of, payer_of, row_of
from .charges import Charges
from .provider_batches import ProviderBatches

log = logging.getLogger("trunkline.charging")

LOOK = 30.0
"""Seconds between two looks for batches that are due."""
LEASE = 600.0
"""Seconds that a process has for a batch that it asks for, before another may."""
AT_ONCE = 50
"""Batches that are asked for together."""
KEPT = timedelta(days=35)
"""For which a batch is known: it ends within a day, and its output is there for thirty."""
TIDY = 3600.0
UNTOLD = timedelta(seconds=10)
"""After which a row that was inserted has been counted, if who inserted it still lives."""
OVERLAP = timedelta(seconds=60)
"""By which the clocks of processes may differ."""
MOST_WAITING = 10_000
"""Batches that wait in memory for the database."""
MOST_SETTLED = 10_000
"""Batches of which is remembered that they are charged, and that the counters here know it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one configuration says: what a batch costs, and how its provider is asked."""

    snapshot: Snapshot
    charges: Charges
    provider: ProviderBatches

    @property
    def interval(self) -> float:
        """Seconds after which a batch is asked for again."""
        return self.snapshot.settings.general_settings.proxy_batch_polling_interval

    def costs(self, created: CreatedBatch) -> BatchCosts:
        return BatchCosts(self.snapshot, self.charges, created)


class Batches:
    """Used in one event loop, for as long as the process lives."""

    def __init__(
        self,
        database: Database,
        ledger: AtOnce,
        *,
        shared: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """shared: whether other processes count in the same counters. clock: Unix time."""
        self._database = database
        self._ledger = ledger
        self._shared = shared
        self._clock = clock
        self._terms: Terms | None = None
        self._waiting: list[tuple[CreatedBatch, datetime]] = []
        self._settled: dict[tuple[str, str], None] = {}
        self._due = asyncio.Event()
        self._heard = self._tidied = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._noticing: set[asyncio.Task[None]] = set()
        self._charging: set[tuple[str, str]] = set()

    def turn_to(self, terms: Terms) -> None:
        """From now on, this holds."""
        self._terms = terms
        self._due.set()

    def start(self) -> None:
        """Begins to ask for batches that nobody asks for."""
        self._heard = self._clock()
        asking = repeat("charging batches", self.look, LOOK, self._pause)
        self._asking = asyncio.create_task(asking, name="charging batches")

    async def close(self) -> None:
        """Ends what runs in the background. What isn't charged by now, another process charges."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        if self._noticing:
            await asyncio.wait(self._noticing)
        with contextlib.suppress(StoreUnavailable):
            await self._keep()

    # Batches in answers

    async def seen(self, call: Call, deployment: Deployment, answer: Answer) -> None:
        """Takes notice of the batches in an answer to a client."""
        terms, found = self._terms, batches_in(answer.body) if answer.chunks is None else []
        if not found or call.payer is None or terms is None:
            return
        if call.operation.name == "batches.create":
            await self._noticed(self._remember(terms, created_by(call, deployment, found[0])))
            return
        ended = [each for each in found if has_ended(each)]
        if ended:
            await self._noticed(self._ended(terms, place_of(deployment), ended))

    async def _noticed(self, work: Coroutine[Any, Any, None]) -> None:
        """Does it to its end, even when the client goes away meanwhile."""
        task = asyncio.ensure_future(work)
        self._noticing.add(task)
        task.add_done_callback(self._noticing.discard)
        await asyncio.shield(task)

    async def _remember(self, terms: Terms, created: CreatedBatch) -> None:
        self._waiting.append((created, created.created_at + timedelta(seconds=terms.interval)))
        try:
            await self._keep()
        except StoreUnavailable:
            log.warning("a batch is remembered in memory alone: the database is away")
            del self._waiting[:-MOST_WAITING]

    async def _keep(self) -> None:
        while self._waiting:
            waiting = self._waiting[0]
            await store.remember(self._database, *waiting)
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    async def _ended(self, terms: Terms, place: str, ended: Sequence[Batch]) -> None:
        by_id = {id_of(batch): batch for batch in ended}
        new = {(place, each) for each in by_id} - self._charging - self._settled.keys()
        if not new:
            return
        self._charging |= new
        try:
            ids = [batch_id for _, batch_id in new]
            for created in await store.uncharged(self._database, place, ids):
                await self._seen_to_end(terms, created, by_id[created.batch_id])
        except GatewayError as error:
            told = {"error": type(error).__name__}
            log.warning("a batch that has ended is charged later", extra=told)
        finally:
            self._charging -= new

    async def _seen_to_end(self, terms: Terms, created: CreatedBatch, batch: Batch) -> None:
        costs = terms.costs(created)
        used = await costs.told(batch)
        if used is None:
            # To read its output takes longer than a client waits for an answer.
            await store.ask_at(self._database, created, self._now())
            self._due.set()
        elif not await self._charge(terms, costs, created, batch, used):
            # Who inserted the row has it counted, unless it was killed in between.
            await store.ask_at(self._database, created, self._now() + UNTOLD)

    # Asking for batches

    async def look(self) -> None:
        """Asks for the batches that are due, and charges those that have ended.

        Raises StoreUnavailable.
        """
        terms = self._terms
        if terms is None:
            return
        await self._keep()
        now = self._now()
        until = now + timedelta(seconds=min(LEASE, terms.interval))
        found = await store.claim(self._database, now, until, AT_ONCE)
        if len(found) == AT_ONCE:
            self._due.set()
        asking = (self._ask(terms, created) for created in found)
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        await self._hear_of_others(terms)
        await self._tidy()
        for error in outcomes:
            if error is not None:
                raise error

    async def _ask(self, terms: Terms, created: CreatedBatch) -> None:
        costs, charged = terms.costs(created), False
        told = {"batch": created.request_id}
        if costs.deployment is None:
            log.warning("no deployment reaches a batch", extra=told)
        else:
            try:
                charged = await self._asked(terms, costs, costs.deployment, created)
            except ProviderError as error:
                log.warning(
                    "a batch could not be asked for", extra={**told, "error": error.kind.value}
                )
                let_go(error)
        if not charged:
            later = self._now() + timedelta(seconds=terms.interval)
            await store.ask_at(self._database, created, later)

    async def _asked(
        self, terms: Terms, costs: BatchCosts, deployment: Deployment, created: CreatedBatch
    ) -> bool:
        """Whether the batch has ended, and is charged."""
        batch = await terms.provider.batch(deployment, created.batch_id)
        if not has_ended(batch):
            return False
        used = await costs.told(batch)
        if used is None:
            used = await self._in_output(terms, deployment, batch)
        return await self._charge(terms, costs, created, batch, used, alone=True)

    async def _in_output(self, terms: Terms, deployment: Deployment, batch: Batch) -> Used:
        """What the answers in the output used; nothing where that is gone, so it is unknown."""
        output = Output()
        try:
            if file := output_of(batch):
                await terms.provider.read(deployment, file, output)
        except ProviderError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            let_go(error)
        return list(output.used.items())

    async def _hear_of_others(self, terms: Terms) -> None:
        """Has this process's counters count what others have charged, where each has its own."""
        if self._shared:
            return
        since, self._heard = self._heard, self._clock()
        moment, charges = datetime.fromtimestamp(since, UTC) - OVERLAP, terms.charges
        for created in await store.charged_since(self._database, moment):
            if (created.place, created.batch_id) not in self._settled:
                payer, deployment = (
                    await payer_of(charges, created),
                    terms.costs(created).deployment,
                )
                limits = await budgets_of(charges, payer, created.model_group, deployment)
                await charges.counters.forget(counters_of(created, limits))
                self._settle(created)

    async def _tidy(self) -> None:
        now = self._clock()
        if now - self._tidied < TIDY:
            return
        self._tidied = now
        lost = await store.forget(self._database, self._now() - KEPT)
        if lost:
            log.warning("batches were never seen to end, and are not charged", extra={"lost": lost})

    # Charging

    async def _charge(
        self,
        terms: Terms,
        costs: BatchCosts,
        created: CreatedBatch,
        batch: Batch,
        used: Used,
        *,
        alone: bool = False,
    ) -> bool:
        """Whether nothing is left to do; else another process has inserted the row just now.

        alone: whether this process has claimed the batch, so that it does what others left undone.
        """
        charges = terms.charges
        deployment, cost = await costs.cost(batch, used)
        group = created.model_group or deployment.group
        ended = await store.end(self._database, created, self._now())
        limits = await budgets_of(charges, await payer_of(charges, created), group, deployment)
        usage = total(each for _, several in used for each in several)
        row = row_of(created, batch, deployment, group, usage, cost, ended.timestamp(), limits)
        inserted = await self._ledger.insert(row)
        if inserted:
            spender = (row.key_hash, row.key_alias, row.user_id, row.team_id)
            charges.metrics.spent(deployment, spender, cost or 0, row.total_tokens)
        elif not alone:
            return False
        # Calls may have to ask the database then, so that not every process does it.
        await charges.counters.forget(counters_of(created, limits))
        await store.charged(self._database, created, self._now(), group, row.deployment)
        self._settle(created)
        return True

    def _settle(self, created: CreatedBatch) -> None:
        if len(self._settled) >= MOST_SETTLED:
            del self._settled[next(iter(self._settled))]
        self._settled[created.place, created.batch_id] = None

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    async def _pause(self, seconds: float) -> None:
        if self._terms is not None:
            seconds = min(seconds, self._terms.interval)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._due.wait()
        self._due.clear()
