"""Prices of what isn't counted in tokens: images, seconds, characters, queries, pages, searches.

All are integers of atto-dollars for one; None where the price map has none. Costs are None where
the price or the quantity isn't known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import ceil
from typing import Any

from ..call import UsageDetails
from ..dataclass import dataclass
from ..settings.price_map import IMAGE_PRICES
from .asked import Asked
from .rates import atto

SQUARE = (1024, 1024)
"""The size of an image where none is asked for."""

FAL_DEFAULTS = ("high", (1024, 768))
"""fal.ai's quality and size where none is asked for."""

DOCUMENTS_A_SEARCH = 100
"""Documents that a search unit ranks at most: https://cohere.com/pricing"""

_SIZED = re.compile(r"(?:([^/]+)/)?(\d+)-x-(\d+)")
_BY_RESOLUTION = re.compile(r"output_cost_per_second_(\w+)")
_BY_IMAGE_RESOLUTION = re.compile(r"output_cost_per_image_(?!token)([\w.]+)")


@dataclass(frozen=True, slots=True)
class ImagePrice:
    """each: for an image. pixel: for each of its pixels."""

    each: int | None
    pixel: int | None

    @property
    def known(self) -> bool:
        return self.each is not None or self.pixel is not None

    def of(self, size: tuple[int, int]) -> int | None:
        if self.each is not None:
            return self.each
        return None if self.pixel is None else self.pixel * size[0] * size[1]


@dataclass(frozen=True, slots=True)
class ImagePrices:
    """What an image costs.

    plain: whatever its size. sized: by quality, which may be empty, and size.
    by_resolution: by a name of one. nearest: whether a size that isn't listed costs as the
    nearest one does.
    """

    plain: ImagePrice
    sized: Mapping[tuple[str, tuple[int, int]], ImagePrice]
    by_resolution: Mapping[str, int]
    nearest: bool

    def cost(self, asked: Asked) -> int | None:
        price = self._one(asked)
        return None if price is None else price * asked.images

    def dearest(self, asked: Asked) -> int:
        """Of the quality and the size that are asked for, else of any."""
        if asked.size and asked.quality and (price := self._one(asked)) is not None:
            return price * asked.images
        size = asked.size or SQUARE
        prices = [self.plain.of(size), *self.by_resolution.values()]
        prices += [price.of(own) for (_, own), price in self.sized.items()]
        return asked.images * max((price for price in prices if price is not None), default=0)

    def _one(self, asked: Asked) -> int | None:
        if asked.resolution in self.by_resolution:
            return self.by_resolution[asked.resolution]
        if self.nearest and self.sized:
            return self._near(asked)
        size = asked.size or SQUARE
        quality = asked.quality or "standard"
        for key in ((quality, size), ("", size), ("high", size)):
            if key in self.sized:
                return self.sized[key].of(size)
        return self.plain.of(size)

    def _near(self, asked: Asked) -> int | None:
        quality, size = asked.quality or FAL_DEFAULTS[0], asked.size or FAL_DEFAULTS[1]
        wanted = size[0] * size[1]
        found = [(own, price) for (name, own), price in self.sized.items() if name == quality]
        if not found:
            return self.plain.of(size)
        own, price = min(
            found,
            key=lambda row: (abs(row[0][0] * row[0][1] - wanted), row[0][0] * row[0][1]),
        )
        return price.of(own)


@dataclass(frozen=True, slots=True)
class UnitPrices:
    """output_second: of audio or video that is made; by_resolution: of video, by its height.

    queries: of searches, each with the most results that it holds for. running: for a second that
    the provider takes to answer.
    """

    image: ImagePrices
    input_image: int | None
    character: int | None
    input_second: int | None
    output_second: int | None
    running: int | None
    video_second: int | None
    by_resolution: Mapping[str, int]
    input_audio_second: int | None
    input_video_second: int | None
    query: int | None
    queries: tuple[tuple[int, int], ...]
    page: int | None
    annotated_page: int | None
    credit: int | None

    def spoken(self, asked: Asked) -> int | None:
        return None if not self.character else self.character * asked.characters

    def heard(self, details: UsageDetails | None) -> int | None:
        """Of audio that was written down."""
        rate = self.output_second or self.input_second
        return None if rate is None or details is None else seconds(rate, details.seconds)

    def filmed(self, asked: Asked, details: UsageDetails | None) -> int | None:
        length = details.video_seconds if details and details.video_seconds else asked.seconds
        told = details.resolution if details else ""
        rate = self.video_second
        if rate is None:
            rate = self.by_resolution.get(told or asked.resolution, self.output_second)
        return None if rate is None or not length else seconds(rate, length)

    def ranked(self, asked: Asked, details: UsageDetails | None) -> int | None:
        if not self.query:
            return None
        told = details.search_units if details else 0
        return self.query * (told or max(1, ceil(asked.documents / DOCUMENTS_A_SEARCH)))

    def searched(self, asked: Asked) -> int | None:
        price = self.query
        if self.queries:
            fitting = (price for most, price in self.queries if asked.results <= most)
            price = next(fitting, self.queries[-1][1])
        return None if price is None else price * asked.queries

    def read(self, details: UsageDetails | None) -> int | None:
        """Of a document: by credits where the provider counts them, else by pages."""
        if details is None:
            return None
        if details.credits and self.credit is not None:
            return seconds(self.credit, details.credits)
        annotated = self.page if self.annotated_page is None else self.annotated_page
        if (details.pages and self.page is None) or (details.annotated_pages and annotated is None):
            return None
        return (self.page or 0) * details.pages + (annotated or 0) * details.annotated_pages

    def embedded(self, details: UsageDetails) -> int:
        """Of input that is counted beside tokens."""
        return (
            (self.character or 0) * details.characters
            + (self.input_image or 0) * details.images
            + seconds(self.input_audio_second or 0, details.seconds)
            + seconds(self.input_video_second or 0, details.video_seconds)
        )


def unit_prices(facts: Mapping[str, Any]) -> UnitPrices:
    def price(name: str) -> int | None:
        return atto(facts.get(name))

    tiered = facts.get("tiered_pricing")
    queries = [
        (int(tier["max_results_range"][1]), cost)
        for tier in (tiered if isinstance(tiered, list) else ())
        if isinstance(tier, dict)
        and (cost := atto(tier.get("input_cost_per_query"))) is not None
        and len(tier.get("max_results_range") or ()) == 2
    ]
    running = (price(f"{name}cost_per_second") for name in ("", "input_", "output_"))
    return UnitPrices(
        image=_image_prices(facts),
        input_image=price("input_cost_per_image"),
        character=price("input_cost_per_character"),
        input_second=price("input_cost_per_second"),
        output_second=price("output_cost_per_second"),
        running=next((rate for rate in running if rate is not None), None),
        video_second=price("output_cost_per_video_per_second"),
        by_resolution=_named(_BY_RESOLUTION, facts),
        input_audio_second=price("input_cost_per_audio_per_second"),
        input_video_second=price("input_cost_per_video_per_second"),
        query=price("input_cost_per_query"),
        queries=tuple(sorted(queries)),
        page=price("ocr_cost_per_page"),
        annotated_page=price("annotation_cost_per_page"),
        credit=price("ocr_cost_per_credit"),
    )


def _image_prices(facts: Mapping[str, Any]) -> ImagePrices:
    told = facts.get(IMAGE_PRICES)
    sized = {}
    for key, entry in (told if isinstance(told, dict) else {}).items():
        match = _SIZED.fullmatch(key)
        if match and isinstance(entry, dict) and (price := _image_price(entry)).known:
            sized[match[1] or "", (int(match[2]), int(match[3]))] = price
    return ImagePrices(
        plain=_image_price(facts),
        sized=sized,
        by_resolution=_named(_BY_IMAGE_RESOLUTION, facts),
        nearest=facts.get("litellm_provider") == "fal_ai",
    )


def _image_price(facts: Mapping[str, Any]) -> ImagePrice:
    each = atto(facts.get("output_cost_per_image"))
    if each is None:
        each = atto(facts.get("input_cost_per_image"))
    return ImagePrice(each, atto(facts.get("input_cost_per_pixel")))


def _named(pattern: re.Pattern[str], facts: Mapping[str, Any]) -> dict[str, int]:
    return {
        match[1]: cost
        for name, value in facts.items()
        if (match := pattern.fullmatch(name)) and (cost := atto(value)) is not None
    }


def seconds(rate: int, quantity: float) -> int:
    """Of a quantity that needn't be whole. A float holds 15 digits, more than a bill shows."""
    return rate * quantity if isinstance(quantity, int) else round(rate * quantity)
