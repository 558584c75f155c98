"""What tokens cost: integers, so that sums are exact.

A price is in femto-dollars (10⁻¹⁵) a token, since the cheapest models cost a few nano-dollars a
token and less; a cost is in nano-dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..call import Usage

FEMTO_PER_DOLLAR = 10**15
FEMTO_PER_NANO = 10**6
NANO_PER_DOLLAR = 10**9


@dataclass(frozen=True, slots=True)
class Prices:
    """Femto-dollars a token, by kind of token."""

    input: int
    output: int
    cached: int
    cache_creation: int
    reasoning: int

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Prices | None:
        """Prices from LiteLLM's fields (`input_cost_per_token` … in dollars); None when unknown."""
        if facts.get("input_cost_per_token") is None:
            return None
        price = _femto(facts["input_cost_per_token"])
        output = _femto(facts.get("output_cost_per_token") or 0)
        return cls(
            input=price,
            output=output,
            cached=_femto(facts.get("cache_read_input_token_cost"), price),
            cache_creation=_femto(facts.get("cache_creation_input_token_cost"), price),
            reasoning=_femto(facts.get("output_cost_per_reasoning_token"), output),
        )

    def cost(self, usage: Usage) -> int | None:
        """Nano-dollars, rounded half up; None when the provider gave no usage."""
        if usage.input_tokens is None and usage.output_tokens is None:
            return None
        cached = usage.cached_tokens or 0
        created = usage.cache_creation_tokens or 0
        reasoning = usage.reasoning_tokens or 0
        plain = max(0, (usage.input_tokens or 0) - cached - created)
        spoken = max(0, (usage.output_tokens or 0) - reasoning)
        femto = (
            plain * self.input
            + cached * self.cached
            + created * self.cache_creation
            + spoken * self.output
            + reasoning * self.reasoning
        )
        return (femto + FEMTO_PER_NANO // 2) // FEMTO_PER_NANO


def _femto(dollars: Any, default: int = 0) -> int:
    return default if dollars is None else round(float(dollars) * FEMTO_PER_DOLLAR)
