"""LiteLLM's price map: what models cost, take and can do.

It is a JSON file: the one that is configured, or the one in LiteLLM's package, read here without
importing LiteLLM. What isn't asked for is dropped again: the whole map takes as much memory as the
gateway.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field
from functools import cache
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any

import orjson

from ..dataclass import dataclass

FILE = "model_prices_and_context_window_backup.json"
EXAMPLE = "sample_spec"
"""The map's entry that explains the others."""

PATH_VARIABLE = "LITELLM_LOCAL_COST_MAP_PATH"
"""The environment variable that names a file to take in the packaged one's place."""

LARGEST = 64 * 1024 * 1024
"""Bytes of a file that is read at all."""

IMAGE_PRICES = "image_prices"
"""The fact under which a model's prices by quality and size of an image stand."""

_SIZED = re.compile(
    r"(?:(?P<before>.+)/)?(?P<size>\d+-x-\d+)/(?:(?P<steps>50|max)-steps/)?(?P<model>.+)"
)
_QUALITIES = frozenset({"standard", "hd", "low", "medium", "high", "xhigh", "max"})
_PRICE_NAMES = re.compile(r"(?:^|_)cost(?:_|$)")


class PriceMapInvalid(ValueError):
    """A file that is no price map. Its text says what is wrong with it, and where."""


@dataclass(frozen=True, slots=True)
class PriceMap:
    """Entries of the price map by LiteLLM's model names ("azure/gpt-4o", "gpt-4o").

    They are kept as JSON, a third of the size that they have as objects.

    images: of models whose images have prices by quality and size, which stand in the map as models
        of their own ("hd/1024-x-1024/dall-e-3"): those entries by "quality/width-x-height", by the
        model's name.
    """

    entries: dict[str, bytes]
    images: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, models: Collection[str], file: Path | None = None) -> PriceMap:
        """The entries of some models; those that the map doesn't know are left out.

        file: the map; the packaged one without. Raises PriceMapInvalid.
        """
        if not models:
            return cls({})
        known = _read(file)
        named = [name for name in models if name in known]
        return cls._packed({name: known[name] for name in named}, _images(known, models))

    @classmethod
    def whole(cls, file: Path | None = None) -> PriceMap:
        known = _read(file)
        return cls._packed(known, _images(known, None))

    @classmethod
    def _packed(cls, entries: Mapping[str, Any], images: Mapping[str, Any]) -> PriceMap:
        return cls(
            {name: orjson.dumps(entry) for name, entry in entries.items()},
            {name: orjson.dumps(sized) for name, sized in images.items()},
        )

    def get(self, model: str) -> dict[str, Any] | None:
        entry = self.entries.get(model)
        return None if entry is None else orjson.loads(entry)

    def images_of(self, models: Iterable[str]) -> dict[str, Any] | None:
        """Prices by quality and size of the first of the names that has any."""
        found = next((self.images[name] for name in models if name in self.images), None)
        return None if found is None else orjson.loads(found)

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        return ((name, orjson.loads(entry)) for name, entry in self.entries.items())


def facts_of(models: Collection[str]) -> dict[str, dict[str, Any]]:
    """The price map's entries for some models, by name; unknown models are left out."""
    return dict(PriceMap.of(models))


def checked(content: bytes) -> dict[str, dict[str, Any]]:
    """The entries of a price map, each an object whose prices are numbers from 0 on.

    Raises PriceMapInvalid.
    """
    try:
        entries = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise PriceMapInvalid(f"it is not JSON: {error}") from None
    if not isinstance(entries, dict):
        raise PriceMapInvalid("it is not an object of models by their names")
    entries.pop(EXAMPLE, None)
    if not entries:
        raise PriceMapInvalid("it has no models")
    for name, entry in entries.items():
        if not isinstance(entry, dict):
            raise PriceMapInvalid(f"'{name}' is not an object")
        for fact, value in entry.items():
            if _PRICE_NAMES.search(fact) and not _is_price(value):
                raise PriceMapInvalid(f"'{name}': '{fact}' is not a price")
    if not any(_PRICE_NAMES.search(fact) for entry in entries.values() for fact in entry):
        raise PriceMapInvalid("none of its models has a price")
    return entries


def _is_price(value: Any) -> bool:
    """Dollars: a number, or its text; or an object of prices, as of searches by their size."""
    if value is None:
        return True
    if isinstance(value, dict):
        return all(map(_is_price, value.values()))
    try:
        dollars = float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool) and isfinite(dollars) and dollars >= 0


def _read(file: Path | None = None) -> dict[str, dict[str, Any]]:
    if file is None:
        entries: dict[str, dict[str, Any]] = orjson.loads(_file().read_bytes())
        entries.pop(EXAMPLE, None)
        return entries
    try:
        if file.stat().st_size > LARGEST:
            raise PriceMapInvalid(f"{file}: it is larger than {LARGEST} bytes")
        return checked(file.read_bytes())
    except OSError as error:
        raise PriceMapInvalid(f"{file}: {error.strerror or error}") from None
    except PriceMapInvalid as error:
        raise PriceMapInvalid(f"{file}: {error}") from None


def _images(
    known: Mapping[str, dict[str, Any]], models: Collection[str] | None
) -> dict[str, dict[str, Any]]:
    """Entries that price one quality and size of a model's images, by the model's name.

    models: those that are asked for; None for all.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, entry in known.items():
        match = _SIZED.fullmatch(name) if "-x-" in name else None
        if match is None:
            continue
        before = (match["before"] or "").split("/")
        quality = before.pop() if before[-1] in _QUALITIES else ""
        if match["steps"] == "max":
            quality = "max-steps"
        model = "/".join([*filter(None, before), match["model"]])
        if models is None or model in models:
            key = f"{quality}/{match['size']}" if quality else match["size"]
            found.setdefault(model, {})[key] = entry
    return found


@cache
def _file() -> Path:
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / FILE
