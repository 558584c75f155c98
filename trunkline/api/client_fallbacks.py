"""The fallbacks that a request names, in LiteLLM's notations.

["claude", "mini"]                          for whatever group fails
[{"model": "claude", "temperature": 0}]     the same, with fields that the request has there
[{"gpt": ["claude"]}, {"claude": ["mini"]}] by the group that fails, as in a configuration
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from ..call import StandIn
from ..errors import InvalidRequest
from ..settings.client_parameters import forbidden_parameter
from ..settings.fallbacks import EVERY, stand_in_of, without_effect

NAME = "fallbacks"
MOST_RETRIES = 100


def read_fallbacks(value: Any) -> Mapping[str, list[StandIn]]:
    """What stands in for which group; `*` for every one. Raises InvalidRequest."""
    if not isinstance(value, list):
        raise InvalidRequest(
            f"'{NAME}' must be an array of model names, or of objects with a 'model'.", param=NAME
        )
    groups: dict[str, list[StandIn]] = {}
    for number, item in enumerate(value):
        place = f"{NAME}[{number}]"
        if isinstance(item, dict) and "model" not in item:
            for group, stand_ins in item.items():
                groups.setdefault(group, _listed(stand_ins, f"{place}.{group}"))
        elif isinstance(item, dict) and isinstance(item["model"], list):
            groups.setdefault("model", _listed(item["model"], f"{place}.model"))
        else:
            groups.setdefault(EVERY, []).append(_stand_in(item, place))
    return groups


def _listed(value: Any, place: str) -> list[StandIn]:
    if not isinstance(value, list):
        raise InvalidRequest(f"'{place}' must be an array of model names.", param=place)
    return [_stand_in(item, f"{place}[{number}]") for number, item in enumerate(value)]


def _stand_in(item: Any, place: str) -> StandIn:
    name = item.get("model") if isinstance(item, dict) else item
    if not isinstance(name, str) or not name:
        raise InvalidRequest(f"'{place}' must be a model's name, or name a 'model'.", param=place)
    if not isinstance(item, dict):
        return StandIn(name)
    refused = without_effect(item)
    if refused:
        found = f"{place}.{forbidden_parameter({refused[0]: item[refused[0]]}) or refused[0]}"
        raise InvalidRequest(
            f"A request may not set '{found}': it is decided by the gateway's configuration, or "
            "for the whole of a call.",
            param=found,
            code="parameter_not_allowed",
        )
    try:
        stand_in = stand_in_of(item)
    except PydanticCustomError as error:
        raise InvalidRequest(f"'{place}': expected {error.message()}.", param=place) from None
    if (stand_in.num_retries or 0) > MOST_RETRIES:
        raise InvalidRequest(
            f"'{place}.num_retries' must be a whole number from 0 to {MOST_RETRIES}.",
            param=f"{place}.num_retries",
        )
    return stand_in
