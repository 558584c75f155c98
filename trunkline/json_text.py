"""JSON: fast where orjson can, lenient where it can't (large integers, lone surrogates)."""

from __future__ import annotations

import json
from math import isinf
from typing import Any

import orjson


def loads(text: bytes) -> Any:
    """The decoded value. Raises ValueError when it isn't JSON, or is nested too deeply."""
    try:
        return orjson.loads(text)
    except ValueError:
        pass
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def dumps(value: Any) -> bytes:
    """Compact JSON text of a decoded value."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def _finite(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise ValueError("a number is too large")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
