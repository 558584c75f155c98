"""A strategy's hyperparameters: those of the configuration file over the trainer's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def hyperparameters(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults, with what the configuration says in their place.

    Each must be of its default's type; where that is None, it may be anything. Raises ValueError.
    """
    unknown = sorted(set(config) - set(defaults))
    if unknown:
        raise ValueError(
            f"{unknown[0]}: there is no such hyperparameter; there are {', '.join(defaults)}"
        )
    return {name: _checked(name, config.get(name, own), own) for name, own in defaults.items()}


def _checked(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, bool) or not isinstance(default, int | float):
        if default is not None and type(value) is not type(default):
            raise ValueError(f"{name} must be {_KINDS[type(default)]}, not {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number, not {value!r}")
    if isinstance(default, int) and value != int(value):
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} must not be negative, but is {value!r}")
    return int(value) if isinstance(default, int) else float(value)


_KINDS = {bool: "true or false", str: "a text", list: "a list", dict: "a table"}
