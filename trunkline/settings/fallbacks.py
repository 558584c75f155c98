"""LiteLLM's notation for fallbacks: `[{"gpt-4o": ["claude", "mini"]}, {"*": ["mini"]}]`.

A model that stands in may also be written as a mapping with `model` and fields of the request that
take the place of the client's: `{"model": "claude", "temperature": 0, "timeout": 20}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from ..call import StandIn
from .client_parameters import forbidden_parameter
from .values import count, expected, seconds

EVERY = "*"

_OF_THE_CALL = frozenset(
    """
    stream stream_timeout fallbacks disable_fallbacks tags metadata litellm_metadata cache no-log
    guardrails litellm_trace_id litellm_session_id litellm_call_id
    """.split()
)
"""Fields that hold for a call whichever group answers it."""

_FOR_THE_GATEWAY: Mapping[str, Callable[[Any], float]] = {
    "timeout": seconds,
    "request_timeout": seconds,
    "num_retries": count,
}


def without_effect(stand_in: Mapping[str, Any]) -> list[str]:
    """Names in a mapping that no fallback can set: what is the call's, or the configuration's."""
    return [
        name
        for name, value in stand_in.items()
        if name in _OF_THE_CALL or forbidden_parameter({name: value})
    ]


def stand_in_of(given: Mapping[str, Any]) -> StandIn:
    """What a mapping with `model` says; names without effect are left out.

    Raises `expected` for values that can't be.
    """
    none = {"model", *without_effect(given)}
    fields = {name: value for name, value in given.items() if name not in none}
    numbers = {name: _number(fields, name) for name in _FOR_THE_GATEWAY}
    if not _are_messages(fields.get("messages", [])):
        raise expected("a list of messages, each with a role, for messages")
    retries = numbers["num_retries"]
    return StandIn(
        group=given["model"],
        fields=fields,
        timeout=numbers["timeout"] or numbers["request_timeout"] or None,
        num_retries=None if retries is None else int(retries),
    )


def _number(fields: dict[str, Any], name: str) -> float | None:
    value = fields.pop(name, None)
    try:
        return None if value is None else _FOR_THE_GATEWAY[name](value)
    except PydanticCustomError as error:
        raise expected(f"{error.message()} for {name}") from None


def _are_messages(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict) and isinstance(each.get("role"), str) for each in value
    )


def _entry(value: Any) -> dict[str, list[StandIn]]:
    """One entry: the models that stand in, by the model that they stand in for."""
    if isinstance(value, str):
        return {EVERY: [StandIn(value)]}
    if not isinstance(value, dict) or not value:
        raise expected("a mapping of a model to the list of models that stand in for it")
    return {model: _some(targets) for model, targets in value.items()}


def _some(value: Any) -> list[StandIn]:
    found = _all(value)
    if not found:
        raise expected("a list of models")
    return found


def _all(value: Any) -> list[StandIn]:
    return [_stand_in(item) for item in (value if isinstance(value, list) else [value])]


def _stand_in(item: Any) -> StandIn:
    name = item.get("model") if isinstance(item, dict) else item
    if not isinstance(name, str) or not name:
        raise expected("a list of models")
    return stand_in_of(item) if isinstance(item, dict) else StandIn(name)


Fallback = Annotated[dict[str, list[StandIn]], PlainValidator(_entry)]
Fallbacks = Annotated[list[StandIn], PlainValidator(_all)]
