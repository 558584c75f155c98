"""LiteLLM's price map: what models cost, take and can do.

It is a JSON file in LiteLLM's package, read here without importing LiteLLM. What isn't asked for
is dropped again: the whole map takes as much memory as the gateway.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

FILE = "model_prices_and_context_window_backup.json"
EXAMPLE = "sample_spec"
"""The map's entry that explains the others."""


@dataclass(frozen=True, slots=True)
class PriceMap:
    """Entries of the price map by LiteLLM's model names ("azure/gpt-4o", "gpt-4o").

    They are kept as JSON, a third of the size that they have as objects.
    """

    entries: dict[str, bytes]

    @classmethod
    def of(cls, models: Collection[str]) -> PriceMap:
        """The entries of some models; those that the map doesn't know are left out."""
        if not models:
            return cls({})
        known = _read()
        return cls({name: orjson.dumps(known[name]) for name in models if name in known})

    @classmethod
    def whole(cls) -> PriceMap:
        return cls({name: orjson.dumps(entry) for name, entry in _read().items()})

    def get(self, model: str) -> dict[str, Any] | None:
        entry = self.entries.get(model)
        return None if entry is None else orjson.loads(entry)

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        return ((name, orjson.loads(entry)) for name, entry in self.entries.items())


def facts_of(models: Collection[str]) -> dict[str, dict[str, Any]]:
    """The price map's entries for some models, by name; unknown models are left out."""
    return dict(PriceMap.of(models))


def _read() -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = orjson.loads(_file().read_bytes())
    entries.pop(EXAMPLE, None)
    return entries


@cache
def _file() -> Path:
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / FILE
