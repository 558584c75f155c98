"""What a model's searches of the web, and of maps, cost: a price for each, or for each prompt.

Where the provider tells how many searches it made, its own rule holds; else the price depends on
how much of what is found the model reads ("low", "medium", "high").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import UsageDetails
from ..dataclass import dataclass
from .asked import Asked
from .rates import atto

MEDIUM = "medium"

# Prices of providers whose entries in the price map have none.
# https://ai.google.dev/gemini-api/docs/pricing, https://docs.x.ai/docs/models
_GOOGLE = atto("0.035") or 0
_MAPS_A_QUERY = atto("0.014") or 0
_MAPS_A_PROMPT = atto("0.025") or 0
_XAI = atto("0.005") or 0


@dataclass(frozen=True, slots=True)
class SearchPrices:
    """Atto-dollars a search.

    by_context: by how much the model reads. fixed: which of them holds, whatever is asked for.
    once: whether a prompt with searches is charged as one.
    """

    by_context: Mapping[str, int]
    fixed: str
    once: bool
    maps: int

    def cost(self, details: UsageDetails, context: str) -> int:
        count, maps = details.searches, details.maps
        if self.once:
            count, maps = min(count, 1), min(maps, 1)
        return count * self._price(context) + maps * self.maps

    def dearest(self, asked: Asked | None) -> int:
        if asked is None:
            return max((*self.by_context.values(), self.maps), default=0)
        if not asked.searches:
            return 0
        searches = 1 if self.once else asked.searches
        return searches * max(self._price(asked.context), self.maps)

    def _price(self, context: str) -> int:
        prices = self.by_context
        return prices.get(self.fixed or context or MEDIUM) or prices.get(MEDIUM, 0)


def search_prices(facts: Mapping[str, Any]) -> SearchPrices:
    told = facts.get("search_context_cost_per_query")
    prices: dict[str, int] = {}
    for size in ("low", MEDIUM, "high"):
        name = f"search_context_size_{size}"
        if isinstance(told, dict) and (price := atto(told.get(name))) is not None:
            prices[size] = price
    provider = str(facts.get("litellm_provider") or "")
    google = provider in {"gemini", "vertex_ai"} or provider == "vertex_ai-language-models"
    a_query = facts.get("web_search_billing_unit") == "per_query"
    fixed = ""
    if google:
        prices.setdefault(MEDIUM, _GOOGLE)
        fixed = MEDIUM
    elif provider == "xai":
        found = (prices.get(size) for size in (MEDIUM, "low", "high"))
        prices = {MEDIUM: next((price for price in found if price), _XAI)}
        fixed = MEDIUM
    elif provider == "perplexity":
        fixed = "low"
    elif provider in {"anthropic", "vertex_ai-anthropic_models", "groq"}:
        fixed = MEDIUM
    maps = atto(facts.get("google_maps_grounding_cost_per_query"))
    if maps is None:
        maps = (_MAPS_A_QUERY if a_query else _MAPS_A_PROMPT) if google else 0
    return SearchPrices(prices, fixed, google and not a_query, maps)
