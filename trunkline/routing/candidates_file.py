"""LLMRouter's file of candidate models, `llm_data_path`: sizes, prices and descriptions by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import json_text
from ..dataclass import dataclass
from ..errors import BundleError
from .bundles.manifest import Label

LARGEST = 8 * 1024 * 1024
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Described:
    """A candidate. feature: what it is good at, in words."""

    label: Label
    feature: str = ""


def read_candidates(path: Path) -> dict[str, Described]:
    """The candidates of a file, in its order. Raises BundleError."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from None
    if len(text) > LARGEST:
        raise BundleError(f"{path}: more than {LARGEST} bytes")
    try:
        found = json_text.loads(text)
    except ValueError as error:
        raise BundleError(f"{path}: not JSON: {error}") from None
    if not isinstance(found, dict) or not found:
        raise BundleError(f"{path}: expected an object with an entry for each model")
    return {name: _described(path, name, entry) for name, entry in found.items()}


def _described(path: Path, name: str, entry: Any) -> Described:
    if not isinstance(entry, dict) or not name:
        raise BundleError(f"{path}: {name}: expected an object")
    for field in ("size", "feature"):
        if not isinstance(entry.get(field, ""), str):
            raise BundleError(f"{path}: {name}.{field}: expected a text")
    label = Label(
        name=name,
        input_price=_price(path, name, entry, "input_price"),
        output_price=_price(path, name, entry, "output_price"),
        size=entry.get("size"),
    )
    return Described(label, entry.get("feature", ""))


def _price(path: Path, name: str, entry: Mapping[str, Any], field: str) -> float | None:
    price = entry.get(field)
    if price is None:
        return None
    if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < math.inf:
        raise BundleError(f"{path}: {name}.{field}: expected dollars per million tokens")
    return float(price)
