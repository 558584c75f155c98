"""The groups of `routing_groups`: the deployments of several models under one name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..call import Deployment
from ..settings.known import PRIORITY
from ..settings.schema import RoutingGroup, Settings
from ..settings.wildcards import WILDCARD

Deployments = tuple[Deployment, ...]


def routing_groups_of(
    settings: Settings, groups: Mapping[str, Deployments], resolve: Callable[[str], Deployments]
) -> dict[str, Deployments]:
    """The deployments of each group that can be asked for, as members of that group.

    A group that is called like a model or an alias can't be asked for. groups: the model groups.
    """
    taken = {*groups, *settings.router_settings.model_group_alias}
    return {
        group.group_name: members
        for group in settings.router_settings.routing_groups
        if group.group_name not in taken and (members := _members(group, resolve))
    }


def _members(group: RoutingGroup, resolve: Callable[[str], Deployments]) -> Deployments:
    """Copies, since they may differ from the originals in their order, and fail as another group.

    They keep their ids, by which their health is known.
    """
    return tuple(
        replace(
            deployment,
            group=group.group_name,
            order=(
                group.model_priorities[model]
                if group.routing_strategy == PRIORITY
                else deployment.order
            ),
        )
        for model in dict.fromkeys(group.models)
        if WILDCARD not in model
        for deployment in resolve(model)
    )
