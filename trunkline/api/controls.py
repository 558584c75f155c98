"""What a request asks of the gateway itself, in LiteLLM's fields and headers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..call import Call
from ..errors import InvalidRequest
from .client_caching import of_field, of_header
from .client_fallbacks import MOST_RETRIES, read_fallbacks

FIELDS = frozenset(
    [
        "num_retries",
        "timeout",
        "request_timeout",
        "stream_timeout",
        "fallbacks",
        "disable_fallbacks",
        "tags",
        "litellm_metadata",
        "cache",
        "litellm_trace_id",
        "litellm_session_id",
        "litellm_call_id",
        "no-log",
        "guardrails",
    ]
)
"""Fields of the body that are for the gateway and unknown to every provider."""

MOST_TAGS = 100
"""Of a call: the limits of each are looked up."""

COST_WEIGHT = "x-trunkline-cost-weight"
"""The header by which a client weighs costs against quality, where a learned strategy decides."""
MOST_WEIGHT = 1000
"""As in bundles. A far larger one leaves no finite score, and so no difference between models."""


def take_controls(call: Call) -> None:
    """Moves the controls from the body and the headers into the call. Raises InvalidRequest."""
    body, headers = call.body, call.headers
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and "tags" in metadata:
        call.tags += _names(metadata["tags"], "metadata.tags")
    if not FIELDS.isdisjoint(body):
        taken = {name: body.pop(name) for name in FIELDS & body.keys()}
        _apply(call, taken)
    if metadata is not None and call.operation.name == "chat" and not body.get("store"):
        # OpenAI takes metadata with stored calls only; elsewhere it is LiteLLM's and ours.
        body.pop("metadata")
    for name in ("x-litellm-timeout", "x-litellm-stream-timeout", "x-litellm-num-retries"):
        if name in headers:
            _apply_header(call, name, headers[name])
    if "cache-control" in headers:
        call.caching = of_header(call.caching, headers["cache-control"])
    if COST_WEIGHT in headers:
        call.cost_weight = _weight(headers[COST_WEIGHT], COST_WEIGHT)
    if "x-litellm-tags" in headers:
        tags = headers["x-litellm-tags"].split(",")
        call.tags += tuple(tag.strip() for tag in tags if tag.strip())
    if len(call.tags) > MOST_TAGS:
        raise InvalidRequest(f"A call can have {MOST_TAGS} tags at most.", param="tags")


def _apply(call: Call, taken: Mapping[str, Any]) -> None:
    limits = ["request_timeout", "timeout"]  # from the least specific to the most
    if call.stream:
        limits.append("stream_timeout")
    for name in limits:
        if taken.get(name) is not None:
            call.timeout = _seconds(taken[name], name)
    if taken.get("cache") is not None:
        call.caching = of_field(taken["cache"])
    if taken.get("num_retries") is not None:
        call.num_retries = _count(taken["num_retries"], "num_retries")
    if taken.get("disable_fallbacks") is True:
        call.fallback_groups = {}
    elif taken.get("fallbacks") is not None:
        call.fallback_groups = read_fallbacks(taken["fallbacks"])
    if taken.get("tags") is not None:
        call.tags += _names(taken["tags"], "tags")
    metadata = taken.get("litellm_metadata")
    if isinstance(metadata, dict) and "tags" in metadata:
        call.tags += _names(metadata["tags"], "litellm_metadata.tags")


def _apply_header(call: Call, name: str, value: str) -> None:
    if name == "x-litellm-num-retries":
        call.num_retries = _count(value, name)
    elif name == "x-litellm-timeout" or call.stream:
        call.timeout = _seconds(value, name)


def _seconds(value: Any, name: str) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if isinstance(value, bool) or not 0 < seconds < math.inf:
        raise InvalidRequest(f"'{name}' must be a number of seconds above 0.", param=name)
    return seconds


def _weight(value: str, name: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= MOST_WEIGHT or "_" in value:
        message = f"'{name}' must be a number from 0 to {MOST_WEIGHT}."
        raise InvalidRequest(message, param=name)
    return weight


def _count(value: Any, name: str) -> int:
    try:
        count = int(value)
    except (TypeError, ValueError, OverflowError):
        count = -1
    if isinstance(value, bool) or not 0 <= count <= MOST_RETRIES:
        message = f"'{name}' must be a whole number from 0 to {MOST_RETRIES}."
        raise InvalidRequest(message, param=name)
    return count


def _names(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidRequest(f"'{name}' must be an array of strings.", param=name)
    return tuple(value)
