"""What batches cost: by the prices of batches, of the models as their providers call them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from ..call import Deployment, Usage
from ..ledger.asked import Asked
from ..ledger.levels import BATCHES
from ..ledger.prices import Prices
from ..live.snapshot import Snapshot
from ..providers.affinity import tag_of
from ..providers.batches import Batch, model_of, named, output_of, place_of, told_by
from ..store.batches import CreatedBatch
from .charges import Charges

Used = Sequence[tuple[str, Sequence[Usage]]]
"""What calls used, by the provider's name of the model; that is empty where it isn't known."""


class BatchCosts:
    """Prices of one configuration, for a batch that was created.

    deployment: by which it is asked for: the one that created it, else one of its account, else one
        at its server; None where there is none.
    """

    def __init__(self, snapshot: Snapshot, charges: Charges, created: CreatedBatch) -> None:
        self._snapshot = snapshot
        self._charges = charges
        self._created = created

    @cached_property
    def _there(self) -> list[Deployment]:
        place = self._created.place
        found = (each for each in self._snapshot.deployments if not each.missing)
        return [each for each in found if place_of(each) == place]

    @cached_property
    def deployment(self) -> Deployment | None:
        created = self._created

        def fits(each: Deployment) -> tuple[bool, bool, bool]:
            return (
                each.id == created.model_id,
                tag_of(each) == created.account,
                each.group == created.model_group,
            )

        return max(self._there, key=fits, default=None)

    async def told(self, batch: Batch) -> Used | None:
        """What the object tells that was used; None where only its output can tell what it costs:
        where it doesn't say, or where the price of a token depends on the size of a request."""
        usage, model = told_by(batch), model_of(batch)
        if usage is None or (usage.total_tokens and not model and output_of(batch)):
            return None
        if usage.total_tokens and output_of(batch):
            _, prices = await self._priced(model)
            levels = prices.tiers.get(BATCHES) if prices else None
            step = levels.step if levels else None
            if step is not None and (usage.input_tokens or 0) > step:
                return None
        return [(model, [usage])]

    async def cost(self, batch: Batch, used: Used) -> tuple[Deployment, int | None]:
        """The deployment that its model stands for, and nano-dollars; None where they aren't
        known."""
        asked = Asked(operation=_family(batch), tier=BATCHES)
        first, _ = await self._priced(used[0][0] if used else "")
        cost = 0 if used else None
        for model, usages in used:
            if cost is not None and any(usage.total_tokens for usage in usages):
                _, prices = await self._priced(model)
                more = prices.total(usages, asked) if prices is not None else None
                cost = None if more is None else cost + more
        return first, cost

    async def _priced(self, model: str) -> tuple[Deployment, Prices | None]:
        charges, by, group = self._charges, self.deployment, self._created.model_group
        own = [each for each in self._there if each.group == group]
        if found := named(own, model) or named(self._there, model):
            return found, charges.prices_of(found)
        if not model and by is not None and group:
            return by, charges.prices_of(by)
        deployment = await charges.stand_in(by.provider if by is not None else "", model)
        return deployment, charges.prices_of(deployment)


def _family(batch: Batch) -> str:
    return "images" if "/images/" in str(batch.get("endpoint")) else "chat"
