"""LiteLLM's notation for fallbacks: `[{"gpt-4o": ["claude", "mini"]}, {"*": ["mini"]}]`.

A model that stands in may also be written as a mapping with `model` and parameters of its own.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainValidator

from .values import expected

EVERY = "*"


def _entry(value: Any) -> dict[str, tuple[str, ...]]:
    """One entry: the models that stand in, by the model that they stand in for."""
    if isinstance(value, str):
        return {EVERY: (value,)}
    if not isinstance(value, dict) or not value:
        raise expected("a mapping of a model to the list of models that stand in for it")
    return {model: _targets(targets) for model, targets in value.items()}


def _targets(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    names: list[Any] = [item.get("model") if isinstance(item, dict) else item for item in items]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise expected("a list of models")
    return tuple(names)


Fallback = Annotated[dict[str, tuple[str, ...]], PlainValidator(_entry)]
