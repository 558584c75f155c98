"""What a call costs, from LiteLLM's prices: integers, so that sums are exact.

    rates.py     what tokens cost, by their kind
    levels.py    which rates hold: by the size of the input, the service tier, the time of the day
    units.py     what isn't counted in tokens: images, seconds, characters, queries, pages
    searches.py  searches of the web that a model makes
    asked.py     what the request says that the cost depends on

A cost is in nano-dollars. It is None, never 0, where a price or a quantity isn't known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ..call import Call, Deployment, Usage, UsageDetails
from ..dataclass import dataclass
from ..settings.price_map import IMAGE_PRICES
from .asked import PLAIN, STANDARD_TIERS, Asked, asked_of
from .levels import ALIASES, BATCHES, Levels, levels_of, off_peak_levels, tiers_of
from .off_peak import Window, windows_of
from .rates import ATTO_PER_NANO, INPUT, OUTPUT, Rates, atto, times
from .searches import SearchPrices, search_prices
from .units import UnitPrices, seconds, unit_prices

NANO_PER_DOLLAR = 10**9

Clock = Callable[[], datetime]

Bounds = tuple[tuple[int, int, int], ...]
"""Tokens that the input must exceed, and then the dearest rates of input and output."""

ANY = "*"
"""Stands for whatever service tier is dearest."""

_NEVER = 1 << 62
_OWN = ("input_cost_per_token", "output_cost_per_token")
_TELLERS = frozenset({"perplexity", "xai", "openrouter"})
"""Providers that say themselves what a call costs."""

_RUNNING_MODES = frozenset(
    {None, "audio_transcription", "chat", "completion", "embedding", "responses"}
)
_NO_TEXT = frozenset({"embedding", "rerank", "moderation"})
"""Modes of models that give no text."""

_NO_DETAILS = UsageDetails()


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of one model, worked out so that a call's cost takes a few multiplications.

    standard: of tokens; None where they have no price. tiers: of service tiers, and of batches.
    off_peak: of tokens in the `windows`; None where they cost the same all day.
    request: atto-dollars for each request. modes: factors of modes of serving.
    running: whether the seconds are charged that the provider takes to answer.
    silent: whether the model gives text at an unknown price. told: whether the provider's word on
    the cost is taken.
    """

    standard: Levels | None
    tiers: Mapping[str, Levels]
    off_peak: Levels | None
    windows: tuple[Window, ...]
    units: UnitPrices
    searches: SearchPrices
    request: int
    modes: Mapping[str, float]
    running: bool
    silent: bool
    told: bool
    _plain_up_to: int
    _special: frozenset[str]
    _bounds: Mapping[str, Bounds]
    _now: Clock

    @classmethod
    def of(cls, deployment: Deployment, facts: Mapping[str, Any]) -> Prices | None:
        """Prices of a deployment. Its region counts; its own prices hold against the provider's
        word on the cost."""
        found = cls.from_facts(facts, factor=_regional(deployment, facts))
        own = (*deployment.params, *deployment.info)
        if found is not None and found.told and any(name in own for name in _OWN):
            return replace(found, told=False)
        return found

    @classmethod
    def from_facts(
        cls,
        facts: Mapping[str, Any],
        *,
        factor: float = 1.0,
        now: Clock = lambda: datetime.now(UTC),
    ) -> Prices | None:
        """Prices from LiteLLM's fields (`input_cost_per_token` … in dollars); None when unknown.

        factor: what the prices of tokens are multiplied with.
        """
        if not any(_is_price(name, value) for name, value in facts.items()):
            return None
        standard = levels_of(facts, "", factor)
        tiers = {
            tier: levels
            for tier in (*tiers_of(facts), BATCHES)
            if (levels := levels_of(facts, tier, factor)) is not None
        }
        off_peak = off_peak_levels(facts, factor)
        tokens = any(atto(facts.get(name)) for name in _OWN) or bool(facts.get("tiered_pricing"))
        units = unit_prices(facts)
        mode = facts.get("mode")
        running = not tokens and mode in _RUNNING_MODES and units.running is not None
        silent = _is_silent(facts)
        plain = off_peak is None and not (_request(facts) or running or silent)
        step = -1
        if standard is not None and plain:
            step = _NEVER if standard.step is None else standard.step
        return cls(
            standard=standard,
            tiers=tiers,
            off_peak=off_peak,
            windows=windows_of(facts["off_peak_pricing"]) if off_peak else (),
            units=units,
            searches=search_prices(facts),
            request=_request(facts),
            modes=_modes(facts),
            running=running,
            silent=silent,
            told=facts.get("litellm_provider") in _TELLERS,
            _plain_up_to=step,
            _special=frozenset(tiers) | {name for name, tier in ALIASES.items() if tier in tiers},
            _bounds=_bounds(standard, off_peak, tiers),
            _now=now,
        )

    def charge(self, call: Call) -> int | None:
        """Nano-dollars of a call; None where a price or what it consumed isn't known."""
        return self.cost(call.usage, asked_of(call, timed=self.running))

    def cost(self, usage: Usage, asked: Asked | None = None) -> int | None:
        """Nano-dollars, rounded half up; None where a price or the usage isn't known.

        asked: what the request says; None for a call that is charged by its tokens alone.
        """
        size = usage.input_tokens
        if (
            asked is None
            and usage.details is None
            and size is not None
            and size <= self._plain_up_to
            and (usage.tier is None or usage.tier not in self._special)
            and self.standard is not None
        ):
            return _nano(self.standard.levels[0][1].cost(usage))
        cost = self._cost(usage, asked or PLAIN)
        return None if cost is None else _nano(cost)

    def total(self, usages: Iterable[Usage], asked: Asked) -> int | None:
        """The same of several calls that ask the same, rounded once."""
        total = 0
        for usage in usages:
            cost = self._cost(usage, asked)
            if cost is None:
                return None
            total += cost
        return _nano(total)

    def bound(self, input_tokens: int, output_tokens: int, asked: Asked | None = None) -> int:
        """Nano-dollars that a call with at most so many tokens costs at most.

        The dearest kind of token counts, at the dearest level that the input can reach. asked: what
        the request says; without it, the dearest service tier and one search count. What a
        provider adds that the request doesn't tell (more searches, a cost of its own) isn't in it.
        """
        tokens = 0
        for above, input_rate, output_rate in (
            self._bounds[""] if asked is PLAIN else self._bounds_of(asked)
        ):
            if above >= input_tokens and above >= 0:
                break
            tokens = input_tokens * input_rate + output_tokens * output_rate
        if asked is PLAIN:
            return -(-(tokens + self.request) // ATTO_PER_NANO)
        if self.modes:
            modes = self.modes.items()
            factors = [factor for name, factor in modes if asked is None or name in asked.modes]
            tokens = times(tokens, max((1.0, *factors)))
        cost = tokens + self.request + self.searches.dearest(asked)
        return -(-max(cost, self._unit_bound(asked)) // ATTO_PER_NANO)

    def _bounds_of(self, asked: Asked | None) -> Bounds:
        if asked is None or asked.tier == "auto":
            return self._bounds[ANY]
        tier = _named(asked.tier, asked.operation)
        return self._bounds.get(tier) or self._bounds[""]

    def _unit_bound(self, asked: Asked | None) -> int:
        if asked is None:
            return 0
        if asked.operation == "images":
            return self.units.image.dearest(asked)
        if asked.operation in _OPERATIONS:
            return _OPERATIONS[asked.operation](self, Usage(), asked) or 0
        return 0

    def _cost(self, usage: Usage, asked: Asked) -> int | None:
        details = usage.details
        if self.told and details is not None and details.cost is not None:
            return atto(details.cost)
        by_unit = _OPERATIONS.get(asked.operation)
        if by_unit is not None:
            return by_unit(self, usage, asked)
        if self.running:
            rate = self.units.running
            return None if asked.took is None or rate is None else seconds(rate, asked.took)
        tokens = self.tokens(usage, asked)
        if tokens is None:
            return None
        return tokens + self.request + self.searches.cost(details or _NO_DETAILS, asked.context)

    def tokens(self, usage: Usage, asked: Asked) -> int | None:
        """Atto-dollars of the tokens, and of input that is counted beside them."""
        details = usage.details
        levels = self._levels(usage, asked)
        if levels is None:
            return self.units.embedded(details) or None if details else None
        if self.silent and usage.output_tokens:
            return None
        rates = levels.of(usage.input_tokens or 0)
        if usage.input_tokens is None and usage.output_tokens is None and details is None:
            return 0 if rates.free else None
        if details is None:
            return rates.cost(usage)
        cost = self._text_apart(rates, details).detailed(usage, details)
        for mode in details.modes:
            cost = times(cost, self.modes.get(mode, 1.0))
        return cost + self.units.embedded(details)

    def _text_apart(self, rates: Rates, details: UsageDetails) -> Rates:
        """The rates without those of tokens that are charged by what they stand for."""
        units = self.units
        apart = {
            "input": details.characters and units.character is not None,
            "image_input": details.images and units.input_image is not None,
            "audio_input": details.seconds and units.input_audio_second is not None,
            "video_input": details.video_seconds and units.input_video_second is not None,
        }
        free = {kind: 0 for kind, is_apart in apart.items() if is_apart}
        return replace(rates, **free) if free else rates

    def _levels(self, usage: Usage, asked: Asked) -> Levels | None:
        """The served tier decides where it has a name; else the one that is asked for."""
        tier = _named(usage.tier or "", asked.operation)
        if tier not in self.tiers and tier not in STANDARD_TIERS:
            tier = _named(asked.tier, asked.operation)
        if tier in self.tiers:
            return self.tiers[tier]
        if self.off_peak is not None:
            now = self._now()
            if any(window.holds(now) for window in self.windows):
                return self.off_peak
        return self.standard


Cost = Callable[[Prices, Usage, Asked], int | None]


def _by_tokens(prices: Prices, usage: Usage, asked: Asked) -> int | None:
    """None where the model's tokens have no price, or the provider counted none."""
    levels = prices.standard
    if levels is None or levels.levels[0][1].free or not usage.total_tokens:
        return None
    return prices.tokens(usage, asked)


def _images(prices: Prices, usage: Usage, asked: Asked) -> int | None:
    """By tokens where the provider counts them, and then all that it gives are the image's."""
    details = usage.details or _NO_DETAILS
    if not (details.image_output or details.audio_output or usage.reasoning_tokens):
        details = replace(details, image_output=usage.output_tokens or 0)
    cost = _by_tokens(prices, replace(usage, details=details), asked)
    if cost is None:
        cost = prices.units.image.cost(asked)
    return None if cost is None else cost + prices.searches.cost(details, "")


def _speech(prices: Prices, usage: Usage, asked: Asked) -> int | None:
    cost = prices.units.spoken(asked)
    return _by_tokens(prices, usage, asked) if cost is None else cost


def _transcription(prices: Prices, usage: Usage, asked: Asked) -> int | None:
    cost = _by_tokens(prices, usage, asked)
    return prices.units.heard(usage.details) if cost is None else cost


def _rerank(prices: Prices, usage: Usage, asked: Asked) -> int | None:
    cost = prices.units.ranked(asked, usage.details)
    return prices.tokens(usage, asked) if cost is None else cost


_OPERATIONS: Mapping[str, Cost] = {
    "images": _images,
    "speech": _speech,
    "transcriptions": _transcription,
    "rerank": _rerank,
    "search": lambda prices, usage, asked: prices.units.searched(asked),
    "ocr": lambda prices, usage, asked: prices.units.read(usage.details),
    "videos": lambda prices, usage, asked: prices.units.filmed(asked, usage.details),
}
"""Operations that aren't charged by tokens, or not by them alone."""


def _nano(cost: int) -> int:
    return (cost + ATTO_PER_NANO // 2) // ATTO_PER_NANO


def _named(tier: str, operation: str) -> str:
    lower = tier.lower()
    if not lower and operation == "decisions":
        return operation
    return ALIASES.get(lower, lower)


def _bounds(
    standard: Levels | None, off_peak: Levels | None, tiers: Mapping[str, Levels]
) -> dict[str, Bounds]:
    plain = [levels for levels in (standard, off_peak) if levels is not None]
    bounds = {tier: _dearest([*plain, levels]) for tier, levels in tiers.items()}
    return {**bounds, "": _dearest(plain), ANY: _dearest([*plain, *tiers.values()])}


def _dearest(several: Sequence[Levels]) -> Bounds:
    dearest_input = dearest_output = 0
    found: dict[int, tuple[int, int, int]] = {}
    for above, rates in sorted(
        (level for levels in several for level in levels.levels), key=lambda level: level[0]
    ):
        dearest_input = max(dearest_input, rates.dearest(INPUT))
        dearest_output = max(dearest_output, rates.dearest(OUTPUT))
        found[above] = (above, dearest_input, dearest_output)
    return tuple(found.values())


def _is_price(name: str, value: Any) -> bool:
    if isinstance(value, dict):
        return "cost" in name or name == IMAGE_PRICES
    return name == "tiered_pricing" or ("cost" in name and atto(value) is not None)


def _request(facts: Mapping[str, Any]) -> int:
    return atto(facts.get("input_cost_per_request")) or 0


def _is_silent(facts: Mapping[str, Any]) -> bool:
    """Whether the model gives text, and nothing says what it costs."""
    if facts.get("mode") in _NO_TEXT or facts.get("tiered_pricing"):
        return False
    return not any(name.startswith("output_cost_per") for name in facts)


def _modes(facts: Mapping[str, Any]) -> dict[str, float]:
    entry = facts.get("provider_specific_entry")
    return {
        name: float(factor)
        for name, factor in (entry.items() if isinstance(entry, dict) else ())
        if isinstance(factor, int | float) and factor > 0
    }


def _regional(deployment: Deployment, facts: Mapping[str, Any]) -> float:
    """What the region adds in which the provider works: OpenAI's by its host, Vertex AI's."""
    params = deployment.params
    name = ""
    if deployment.provider == "openai":
        host = urlsplit(str(params.get("api_base") or params.get("base_url") or "")).hostname
        region = (host or "").removesuffix(".api.openai.com")
        name = f"regional_processing_uplift_multiplier_{region}"
    elif deployment.provider.startswith("vertex_ai"):
        location = params.get("vertex_location") or params.get("vertex_ai_location")
        if location and str(location).lower() != "global":
            name = "regional_endpoint_uplift_multiplier"
    factor = facts.get(name)
    return float(factor) if isinstance(factor, int | float) and factor > 0 else 1.0
