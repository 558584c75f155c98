"""Figures in a provider's JSON, of which any may be missing or something else."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeGuard

LARGEST = 2**53
"""A count beyond this is no count."""


def first(holder: Mapping[str, Any], *names: str) -> int | None:
    """The first figure that is given; an explicit zero is one."""
    for name in names:
        value = holder.get(name)
        if value is None:
            continue
        if type(value) is int and 0 <= value < LARGEST:
            return value
        if is_number(value) and 0 <= value < LARGEST and value == int(value):
            return int(value)
    return None


def amount(holder: Mapping[str, Any], *names: str) -> float | None:
    """The first figure that is given and needn't be whole; also as text."""
    for name in names:
        value = holder.get(name)
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                continue
        if is_number(value) and 0 <= value < LARGEST:
            return float(value)
    return None


def inner(holder: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The first object under one of the names; an empty one where there is none."""
    for name in names:
        held = holder.get(name)
        if isinstance(held, dict):
            return held
    return {}


def is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
