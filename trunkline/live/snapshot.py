"""Everything that the configuration decides, frozen: what a call runs on from its start to its end.

A name is looked up in LiteLLM's order: an alias, a model group, a deployment's id, then the model
groups with a wildcard, the most specific first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from itertools import chain
from typing import Any

from ..call import Deployment, Operation
from ..dataclass import dataclass
from ..settings import Settings
from ..settings.price_map import PriceMap
from ..settings.providers import provider_of_name
from ..settings.wildcards import WILDCARD, Wildcard, filled, wildcards
from .deployments import deployments_of, search_tools_of, with_model
from .facts import facts_of, map_file, price_map
from .listing import names_shown
from .routing_groups import routing_groups_of

REMEMBERED = 4096
"""Names that wildcards matched and that are remembered, the latest."""

LONGEST_NAME = 500
"""Longer names match no wildcard: several wildcards in one name cost time that grows as a power."""

Deployments = tuple[Deployment, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Snapshot:
    """One version of the configuration.

    deployments: those of the `model_list`. groups: the same by model group, in its order.
    search_tools: the deployments of each search tool, in the order of `search_tools`.
    routing_groups: copies of the deployments of several model groups, by the name for all.
    """

    version: int
    settings: Settings
    deployments: Deployments
    groups: Mapping[str, Deployments]
    search_tools: Mapping[str, Deployments]
    routing_groups: Mapping[str, Deployments]
    _prices: PriceMap
    _named: dict[str, Deployments]
    _wildcards: tuple[Wildcard, ...]
    _shown: tuple[str, ...]
    _matched: dict[str, Deployments] = field(default_factory=dict)
    _facts: dict[Deployment, Mapping[str, Any]] = field(default_factory=dict)

    def resolve(self, model: str) -> Deployments:
        """The deployments that a name stands for; empty when the name is unknown."""
        found = self._named.get(model)
        if found is None:
            found = self._matched.get(model)
        return self._match(model) if found is None else found

    def search_tool(self, name: str) -> Deployments:
        """The deployments of a search tool; empty when the name is unknown."""
        return self.search_tools.get(name, ())

    def resolver(self, operation: Operation) -> Callable[[str], Deployments]:
        """What looks up the names of an operation's calls: search tools have their own."""
        return self.search_tool if operation.model == "tool" else self.resolve

    @property
    def everything(self) -> Deployments:
        """All deployments, of models and of search tools."""
        return self.deployments + tuple(chain.from_iterable(self.search_tools.values()))

    @property
    def models(self) -> Deployments:
        """The deployments that stand for one model each: those without a wildcard."""
        return tuple(each for each in self.deployments if WILDCARD not in each.model)

    def facts_of(self, deployment: Deployment) -> Mapping[str, Any]:
        """What is known about a deployment's model, under the price map's names.

        For example `input_cost_per_token`, `max_input_tokens`, `mode`, `supports_vision`.
        """
        known = self._facts.get(deployment)
        return facts_of(deployment, self._prices) if known is None else known

    def priced(self, prices: PriceMap) -> Snapshot:
        """The same with another price map."""
        facts = {deployment: facts_of(deployment, prices) for deployment in self._facts}
        return replace(self, _prices=prices, _facts=facts)

    def reread(self) -> PriceMap:
        """As much of the price map as the configuration needs, read anew.

        Raises PriceMapInvalid.
        """
        return _needed(self.settings, whole=bool(self._wildcards))

    def model_names(self) -> tuple[str, ...]:
        """The names that `/v1/models` lists."""
        return self._shown

    def _match(self, model: str) -> Deployments:
        if not self._wildcards or len(model) > LONGEST_NAME:
            return ()
        found = self._by_wildcard(model, model)
        if not found and (provider := provider_of_name(model, self._prices.get)):
            found = self._by_wildcard(f"{provider}/{model}", model)
        if found:
            while len(self._matched) >= REMEMBERED:
                self._matched.pop(next(iter(self._matched)))
            self._matched[model] = found
        return found

    def _by_wildcard(self, name: str, asked: str) -> Deployments:
        for wildcard in self._wildcards:
            parts = wildcard.match(name)
            if parts is not None:
                return tuple(
                    self._concrete(deployment, filled(deployment.model, name, parts))
                    for deployment in self.groups[wildcard.group]
                )
        return ()

    def _concrete(self, deployment: Deployment, model: str) -> Deployment:
        if model == deployment.model:
            return deployment
        return with_model(deployment, model, self._prices.get)


def build_snapshot(settings: Settings, version: int) -> Snapshot:
    """The snapshot of a configuration that `load` has found to be sound."""
    patterns = wildcards(entry.model_name for entry in settings.model_list)
    prices = _needed(settings, whole=bool(patterns))
    deployments = tuple(deployments_of(settings, prices.get))
    groups = _grouped(deployments)
    tools = search_tools_of(settings, (each.id for each in deployments))
    snapshot = Snapshot(
        version=version,
        settings=settings,
        deployments=deployments,
        groups=groups,
        search_tools=_grouped(tools),
        routing_groups={},
        _prices=prices,
        _named=_named(deployments, groups),
        _wildcards=patterns,
        _shown=(),
        _facts={deployment: facts_of(deployment, prices) for deployment in deployments},
    )
    routing = routing_groups_of(settings, groups, snapshot.resolve)
    named = routing | snapshot._named
    learned = settings.router_settings.learned
    virtual = {learned.virtual_model: snapshot.models} if learned else {}
    named |= virtual
    snapshot = replace(
        snapshot,
        routing_groups=routing,
        _named=named,
        _shown=names_shown(settings, {**groups, **routing, **virtual}, prices),
    )
    aliases = settings.router_settings.model_group_alias
    targets = {alias: snapshot.resolve(target.model) for alias, target in aliases.items()}
    return replace(snapshot, _named=named | targets)


def _needed(settings: Settings, *, whole: bool) -> PriceMap:
    tools = [each.model for each in search_tools_of(settings, ())]
    return price_map(settings.model_list, whole=whole, others=tools, file=map_file(settings))


def _grouped(deployments: Iterable[Deployment]) -> dict[str, Deployments]:
    groups: dict[str, list[Deployment]] = {}
    for deployment in deployments:
        groups.setdefault(deployment.group, []).append(deployment)
    return {name: tuple(members) for name, members in groups.items()}


def _named(deployments: Deployments, groups: Mapping[str, Deployments]) -> dict[str, Deployments]:
    """Deployments by the names that stand for them as they are written."""
    named: dict[str, Deployments] = {
        each.id: (each,) for each in deployments if WILDCARD not in each.model
    }
    named.update((name, members) for name, members in groups.items() if WILDCARD not in name)
    return named
