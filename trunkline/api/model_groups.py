"""What the deployments of a model group can do together, as `/model_group/info` tells it.

A group can do what one of its deployments can, takes as much as the largest, and costs at most as
much as the dearest; its rate limits add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..call import Deployment
from ..live.snapshot import Snapshot

_LARGEST = (
    "max_input_tokens",
    "max_output_tokens",
    "input_cost_per_token",
    "output_cost_per_token",
)
_ANY = (
    "supports_parallel_function_calling",
    "supports_vision",
    "supports_web_search",
    "supports_url_context",
    "supports_reasoning",
    "supports_function_calling",
)


def group_info(name: str, snapshot: Snapshot) -> dict[str, Any]:
    """LiteLLM's fields for a model group, under the name that clients ask for."""
    deployments = snapshot.resolve(name)
    facts = [snapshot.facts_of(deployment) for deployment in deployments]
    modes = (each.get("mode") for each in facts)
    return {
        "model_group": name,
        "providers": list(dict.fromkeys(each.provider for each in deployments)),
        **{field: _largest(facts, field) for field in _LARGEST},
        "input_cost_per_pixel": _largest(facts, "input_cost_per_pixel"),
        "mode": next((mode for mode in modes if mode), None),
        "tpm": _sum(each.tpm for each in deployments),
        "rpm": _sum(each.rpm for each in deployments),
        **{field: any(each.get(field) is True for each in facts) for field in _ANY},
        "configurable_clientside_auth_params": None,
        "is_public_model_group": False,
    }


def limits(deployments: Iterable[Deployment], snapshot: Snapshot) -> dict[str, Any]:
    """What `/v1/models` tells of a model beside its name, where it is known."""
    facts = [snapshot.facts_of(deployment) for deployment in deployments]
    mode = next((each["mode"] for each in facts if each.get("mode")), None)
    known = {
        "mode": mode,
        "max_input_tokens": _largest(facts, "max_input_tokens"),
        "max_output_tokens": _largest(facts, "max_output_tokens"),
    }
    return {name: value for name, value in known.items() if value is not None}


def _largest(facts: Iterable[Mapping[str, Any]], field: str) -> float | None:
    given = (each.get(field) for each in facts)
    return max((value for value in given if isinstance(value, int | float)), default=None)


def _sum(values: Iterable[int | None]) -> int | None:
    given = [value for value in values if value is not None]
    return sum(given) if given else None
