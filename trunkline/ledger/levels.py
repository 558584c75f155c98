"""Which rates hold for a call: they depend on the size of its input and on its service tier.

LiteLLM's price map writes `input_cost_per_token`, then with `_above_200k_tokens` for larger inputs
and with `_priority` for a service tier, or both; some models have a list `tiered_pricing` instead,
and some an `off_peak_pricing`. All are worked out here once, so that a call looks its rates up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..dataclass import dataclass
from .rates import Rates, atto, times

BATCHES = "batches"
"""The tier of calls that a batch made."""

TIERS = ("flex", "priority", "balanced", "ultrafast", "decisions")
ALIASES: Mapping[str, str] = {
    "fast": "priority",
    # Google's `trafficType`: https://cloud.google.com/vertex-ai/generative-ai/docs
    "on_demand_priority": "priority",
    "on_demand_flex": "flex",
    "batch": "flex",
}
"""Other names of service tiers."""

INCLUSIVE = frozenset({"xai"})
"""Providers whose higher level begins at the threshold itself: https://docs.x.ai/docs/models"""

CACHE_READ_SHARES = {"fireworks_ai": 0.5}
"""What reading from the cache costs of the input, where a provider's entries leave it out."""

Find = Callable[[str], int | None]
"""A rate by its kind's name in the price map; None where there is none."""

_ABOVE = re.compile(r"_above_(\d+)(k?)_tokens(?:_|$)")
_LEVELLED = (
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
)


@dataclass(frozen=True, slots=True)
class Levels:
    """Rates by the size of the input, the smallest first.

    levels: each with the number of tokens that the input must exceed, ascending from -1.
    """

    levels: tuple[tuple[int, Rates], ...]

    def of(self, input_tokens: int) -> Rates:
        chosen = self.levels[0][1]
        for above, rates in self.levels[1:]:
            if input_tokens <= above:
                break
            chosen = rates
        return chosen

    @property
    def step(self) -> int | None:
        """Tokens up to which the first level holds; None where it always does."""
        return self.levels[1][0] if len(self.levels) > 1 else None


def levels_of(facts: Mapping[str, Any], tier: str = "", factor: float = 1.0) -> Levels | None:
    """The rates of a service tier, "" for the standard one; None where no token has a price.

    facts: fields of the price map. factor: what all rates are multiplied with.
    """
    tiered = _tiered(facts)
    found = _batches(facts) if tier == BATCHES else tiered or _by_thresholds(facts, tier)
    if found is None or factor == 1.0:
        return found
    return Levels(
        tuple(
            (above, rates.changed(lambda rate: times(rate, factor)))
            for above, rates in found.levels
        )
    )


def off_peak_levels(facts: Mapping[str, Any], factor: float = 1.0) -> Levels | None:
    """The rates while `off_peak_pricing` holds: its own at every level, for what it names."""
    block = facts.get("off_peak_pricing")
    if not isinstance(block, dict):
        return None
    named = {name: price for name, price in block.items() if atto(price) is not None}
    above = {
        name
        for name in facts
        if _ABOVE.search(name) and any(name.startswith(each) for each in named)
    }
    plain = {
        name: value
        for name, value in facts.items()
        if name not in above and name != "tiered_pricing"
    }
    return levels_of({**plain, **named}, "", factor)


def tiers_of(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The service tiers that have prices of their own."""
    return tuple(
        tier
        for tier in TIERS
        if any(name.endswith(f"_{tier}") and atto(facts[name]) is not None for name in facts)
    )


def _by_thresholds(facts: Mapping[str, Any], tier: str) -> Levels | None:
    find = _finder(facts, tier)
    if not _prices_tokens(facts):
        return None
    inclusive = 1 if facts.get("litellm_provider") in INCLUSIVE else 0
    levels = [(-1, _rates(facts, find, tier))]
    for threshold, infix in _thresholds(facts):
        find = _above(facts, infix, tier, find)
        levels.append((threshold - inclusive, _rates(facts, find, tier)))
    return Levels(tuple(levels))


def _prices_tokens(facts: Mapping[str, Any]) -> bool:
    return any(
        atto(facts.get(name)) is not None
        for name in (*_LEVELLED[:2], "output_cost_per_image_token", "input_cost_per_image_token")
    )


def _thresholds(facts: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Thresholds with the part of a name that stands for them, ascending."""
    found = {}
    for name, price in facts.items():
        match = _ABOVE.search(name) if name.startswith(_LEVELLED) else None
        if match and atto(price) is not None:
            number, thousands = match.groups()
            found[int(number) * (1000 if thousands else 1)] = f"_above_{number}{thousands}_tokens"
    return sorted(found.items())


def _finder(facts: Mapping[str, Any], tier: str) -> Find:
    def find(name: str) -> int | None:
        own = atto(facts.get(f"{name}_{tier}")) if tier else None
        return atto(facts.get(name)) if own is None else own

    return find


def _above(facts: Mapping[str, Any], infix: str, tier: str, below: Find) -> Find:
    find = _finder(facts, tier)

    def above(name: str) -> int | None:
        own = find(f"{name}{infix}")
        return below(name) if own is None else own

    return above


def _rates(facts: Mapping[str, Any], find: Find, tier: str) -> Rates:
    """Rates with what an entry leaves out filled in: a kind costs what it is a kind of."""
    price = find("input_cost_per_token") or 0
    image_output = find("output_cost_per_image_token")
    output = find("output_cost_per_token") or image_output or 0
    cached = find("cache_read_input_token_cost")
    if cached is None:
        share = CACHE_READ_SHARES.get(str(facts.get("litellm_provider")))
        cached = times(price, share) if share else price
    created = _or(find("cache_creation_input_token_cost"), price)
    return Rates(
        input=price,
        output=output,
        cached=cached,
        created=created,
        created_hour=_or(find("cache_creation_input_token_cost_above_1hr"), created),
        reasoning=_reasoning(facts, find, tier, output),
        audio_input=_or(find("input_cost_per_audio_token"), price),
        image_input=_or(find("input_cost_per_image_token"), price),
        video_input=_or(find("input_cost_per_video_token"), price),
        audio_output=_or(find("output_cost_per_audio_token"), output),
        image_output=_or(image_output, output),
        video_output=_or(find("output_cost_per_video_token"), output),
        cached_audio=_or(find("cache_read_input_audio_token_cost"), cached),
        cached_image=_or(find("cache_read_input_image_token_cost"), cached),
        citations=find("citation_cost_per_token") or 0,
    )


def _reasoning(facts: Mapping[str, Any], find: Find, tier: str, output: int) -> int:
    """A service tier's output price is the price of its reasoning too, unless that has its own."""
    if tier:
        own = atto(facts.get(f"output_cost_per_reasoning_token_{tier}"))
        if own is not None:
            return own
        if facts.get(f"output_cost_per_token_{tier}") is not None:
            return output
    return _or(find("output_cost_per_reasoning_token"), output)


def _tiered(facts: Mapping[str, Any]) -> Levels | None:
    """`tiered_pricing`: one tier's rates for all tokens of a call, chosen by its input.

    Ranges are above their first number, up to their second; beyond the last, the last holds.
    """
    told = facts.get("tiered_pricing")
    listed = [
        tier
        for tier in (told if isinstance(told, list) else ())
        if isinstance(tier, dict)
        and len(tier.get("range") or ()) == 2
        and atto(tier.get("input_cost_per_token")) is not None
    ]
    levels: list[tuple[int, Rates]] = []
    for tier in sorted(listed, key=lambda tier: float(tier["range"][0])):
        own = {**_without_rates(facts), **tier}
        if "output_cost_per_token" not in tier:
            for name in ("output_cost_per_token", "output_cost_per_reasoning_token"):
                own[name] = facts.get(name)
        levels.append((int(tier["range"][0]) if levels else -1, _rates(own, _finder(own, ""), "")))
    return Levels(tuple(levels)) if levels else None


def _without_rates(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in facts.items()
        if not name.startswith((*_LEVELLED, "output_cost_per_reasoning_token"))
    }


def _batches(facts: Mapping[str, Any]) -> Levels | None:
    """What a batch's tokens cost: their own prices, else half of the standard ones.

    Where the input has its own price, tokens from the cache have none but their own. Reasoning is
    output. All kinds of media have prices of their own, else those of text.
    """
    if not _prices_tokens(facts):
        return None
    levels = [(-1, _batch_rates(facts, _batch_finder(facts, [])))]
    inclusive = 1 if facts.get("litellm_provider") in INCLUSIVE else 0
    infixes: list[str] = []
    for threshold, infix in _thresholds(facts):
        if any(f"{name}{infix}_{BATCHES}" in facts for name in _LEVELLED):
            infixes.insert(0, infix)
            rates = _batch_rates(facts, _batch_finder(facts, list(infixes)))
            levels.append((threshold - inclusive, rates))
    return Levels(tuple(levels))


def _batch_finder(facts: Mapping[str, Any], infixes: list[str]) -> Find:
    def find(name: str) -> int | None:
        prices = (atto(facts.get(f"{name}{infix}_{BATCHES}")) for infix in (*infixes, ""))
        return next((price for price in prices if price is not None), None)

    return find


def _batch_rates(facts: Mapping[str, Any], find: Find) -> Rates:
    def half(name: str) -> int | None:
        price = atto(facts.get(name))
        return None if price is None else price // 2

    own = find("input_cost_per_token") is not None
    price = _or(find("input_cost_per_token"), half("input_cost_per_token") or 0)

    def of_input(name: str) -> int:
        return _or(find(name) if own else half(name), price)

    cached = of_input("cache_read_input_token_cost")
    created = of_input("cache_creation_input_token_cost")
    output = _or(find("output_cost_per_token"), half("output_cost_per_token") or 0)
    image = find("output_cost_per_image_token")
    image = half("output_cost_per_image_token") if image is None else image
    return Rates(
        input=price,
        output=output,
        cached=cached,
        created=created,
        created_hour=created,
        reasoning=output,
        audio_input=of_input("input_cost_per_audio_token"),
        image_input=of_input("input_cost_per_image_token"),
        video_input=of_input("input_cost_per_video_token"),
        audio_output=output,
        image_output=_or(image, output),
        video_output=output,
        cached_audio=cached,
        cached_image=cached,
    )


def _or(price: int | None, otherwise: int) -> int:
    return otherwise if price is None else price
