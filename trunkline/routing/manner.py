"""How one of a group's deployments is chosen: the configured way, and those of routing groups."""

from __future__ import annotations

from collections.abc import Container, Mapping
from random import Random
from typing import Any

from ..dataclass import dataclass
from ..settings import Settings
from ..settings.known import PRIORITY
from .configured import as_mapping
from .filters import Filters
from .strategies import STRATEGIES, SimpleShuffle, Strategy

KEPT_LATENCIES = 10


@dataclass(frozen=True, slots=True)
class Manner:
    """A strategy, and what comes before it.

    kept_latencies: samples of a deployment that are kept for the strategy.
    fails_over: whether a call that failed goes on to all others of its group.
    """

    strategy: Strategy
    filters: Filters
    kept_latencies: int = KEPT_LATENCIES
    fails_over: bool = False

    @classmethod
    def of(
        cls,
        settings: Settings,
        strategy: str,
        args: Mapping[str, Any],
        random: Random,
        *,
        learned: bool = False,
    ) -> Manner:
        """strategy: its name; one that isn't LiteLLM's gets `simple-shuffle`.

        learned: for models that a learned strategy ranks before.
        """
        built = STRATEGIES.get(strategy, SimpleShuffle)(args, random)
        shuffles = isinstance(built, SimpleShuffle)
        return cls(
            built,
            Filters.from_settings(settings, built.limits, learned=learned),
            max(1, int(args.get("max_latency_list_size", KEPT_LATENCIES))),
            shuffles and settings.router_settings.enable_weighted_failover,
        )


def general(settings: Settings, random: Random) -> Manner:
    """The way of all groups that no other is configured for."""
    router = settings.router_settings
    return Manner.of(
        settings, router.routing_strategy, as_mapping(router.routing_strategy_args), random
    )


def below_learned(settings: Settings, random: Random) -> Manner:
    """The way of deployments whose models a learned strategy ranks: the built-in default."""
    return Manner.of(settings, SimpleShuffle.name, {}, random, learned=True)


def by_group(
    settings: Settings, callable_groups: Container[str], random: Random
) -> dict[str, Manner]:
    """The ways of `routing_groups`, by their names and by those of their models.

    Models that are asked for by their own names know nothing of priorities.

    callable_groups: names that stand for a routing group, and not for a model.
    """
    manners: dict[str, Manner] = {}
    for group in settings.router_settings.routing_groups:
        shuffled = group.routing_strategy == PRIORITY
        name = SimpleShuffle.name if shuffled else group.routing_strategy
        manner = Manner.of(settings, name, as_mapping(group.routing_strategy_args), random)
        if group.group_name in callable_groups:
            manners[group.group_name] = manner
        if not shuffled:
            manners.update(dict.fromkeys(group.models, manner))
    return manners
