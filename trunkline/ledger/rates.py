"""What a token costs, by its kind, and what the tokens of a usage cost together.

Rates are integers of atto-dollars (10⁻¹⁸): the price map's decimals are exact in them, and so are
sums. The cheapest tokens cost about 10⁻⁹ dollars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from decimal import ROUND_HALF_UP, Decimal, DecimalException
from typing import Any

from ..call import Usage, UsageDetails
from ..dataclass import dataclass

ATTO_DIGITS = 18
ATTO_PER_NANO = 10**9

INPUT = (
    "input", "cached", "created", "created_hour", "audio_input", "image_input", "video_input",
    "cached_audio", "cached_image",
)  # fmt: skip
OUTPUT = ("output", "reasoning", "audio_output", "image_output", "video_output")


@dataclass(frozen=True, slots=True)
class Rates:
    """Atto-dollars a token.

    cached: read from the provider's cache. created: written to it, for some minutes; created_hour:
    for an hour. The kinds of media are those that models take and give beside text.
    """

    input: int
    output: int
    cached: int
    created: int
    created_hour: int
    reasoning: int
    audio_input: int
    image_input: int
    video_input: int
    audio_output: int
    image_output: int
    video_output: int
    cached_audio: int
    cached_image: int
    citations: int = 0

    def cost(self, usage: Usage) -> int:
        """Atto-dollars of a usage that tells of text alone."""
        plain, spoken, cost = usage.input_tokens or 0, usage.output_tokens or 0, 0
        if cached := usage.cached_tokens:
            plain -= cached
            cost += cached * self.cached
        if created := usage.cache_creation_tokens:
            plain -= created
            cost += created * self.created
        if reasoning := usage.reasoning_tokens:
            spoken -= reasoning
            cost += reasoning * self.reasoning
        if plain > 0:
            cost += plain * self.input
        return cost + spoken * self.output if spoken > 0 else cost

    def detailed(self, usage: Usage, details: UsageDetails) -> int:
        """Atto-dollars of a usage that tells of media too.

        A token that was read from the cache is charged as that, whatever it stands for, and no
        token is charged twice.
        """
        return self._input(usage, details) + self._output(usage, details)

    def _input(self, usage: Usage, details: UsageDetails) -> int:
        cached, created = usage.cached_tokens or 0, usage.cache_creation_tokens or 0
        cached_audio = min(details.cached_audio, cached)
        cached_image = min(details.cached_image, cached - cached_audio)
        hour = min(details.created_hour, created)
        left = max(0, (usage.input_tokens or 0) - cached - created)
        audio = min(left, max(0, details.audio_input - cached_audio))
        image = min(left - audio, max(0, details.image_input - cached_image))
        video = min(left - audio - image, details.video_input)
        return (
            (left - audio - image - video) * self.input
            + (cached - cached_audio - cached_image) * self.cached
            + cached_audio * self.cached_audio
            + cached_image * self.cached_image
            + (created - hour) * self.created
            + hour * self.created_hour
            + audio * self.audio_input
            + image * self.image_input
            + video * self.video_input
            + details.citations * self.citations
        )

    def _output(self, usage: Usage, details: UsageDetails) -> int:
        reasoning = usage.reasoning_tokens or 0
        media = details.audio_output + details.image_output + details.video_output
        spoken = max(0, (usage.output_tokens or 0) - reasoning - media)
        return (
            spoken * self.output
            + reasoning * self.reasoning
            + details.audio_output * self.audio_output
            + details.image_output * self.image_output
            + details.video_output * self.video_output
        )

    def dearest(self, kinds: Iterable[str]) -> int:
        """The highest of some kinds' rates."""
        return max(int(getattr(self, kind)) for kind in kinds)

    @property
    def free(self) -> bool:
        return not any(getattr(self, each.name) for each in fields(self))

    def changed(self, change: Callable[[int], int]) -> Rates:
        return Rates(*(change(getattr(self, each.name)) for each in fields(self)))


def atto(price: Any) -> int | None:
    """A price in dollars, a number or its text ("3e-7"), as atto-dollars; None for no price."""
    if price is None or isinstance(price, bool) or not isinstance(price, int | float | str):
        return None
    try:
        dollars = Decimal(str(price).strip())
        if not dollars.is_finite() or dollars < 0:
            return None
        return int(dollars.scaleb(ATTO_DIGITS).to_integral_value(ROUND_HALF_UP))
    except DecimalException:
        return None


def times(rate: int, factor: float) -> int:
    """A rate, or a cost, with a factor of the price map such as 1.1 for some region."""
    return int((rate * Decimal(str(factor))).to_integral_value(ROUND_HALF_UP))
