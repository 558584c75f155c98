"""What the management of keys, users, teams and budgets works with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from ..dataclass import dataclass
from ..state.contract import Bus, Counters
from ..store.database import Database
from .customary import Customary
from .scopes import Level, budget_counter
from .secrets import Secrets

MODELS = "models"
"""The message that stored models have changed."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Where they are, who has to hear that they changed, and what is customary for them."""

    database: Database
    secrets: Secrets
    counters: Counters
    bus: Bus
    customary: Customary = field(default_factory=Customary)

    async def changed(self, level: Level, *ids: str) -> None:
        """Tells every process that what it knows of these is no longer so."""
        for each in ids:
            await self.bus.publish(f"{level}:{each}")

    async def budgets_changed(self, level: Level, ids: Sequence[str]) -> None:
        """The same where their spend was set, so that it is to be read again."""
        await self.counters.forget([budget_counter(f"{level}:{each}") for each in ids])
        await self.changed(level, *ids)
