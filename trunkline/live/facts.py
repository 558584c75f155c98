"""What is known about a deployment's model: LiteLLM's price map, and what its entry says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..call import Deployment
from ..settings.price_map import PriceMap
from ..settings.providers import lookups
from ..settings.schema import ModelEntry

_BEDROCK_ROUTES = ("converse", "converse_like", "invoke")
_PRICE = "_cost"


def price_map(entries: Iterable[ModelEntry], *, whole: bool) -> PriceMap:
    """As much of the price map as the entries need; wildcards may need any of it."""
    if whole:
        return PriceMap.whole()
    names: set[str] = set()
    for entry in entries:
        params = entry.litellm_params
        names.update(lookups(params.model, params.custom_llm_provider))
        prefix, _, rest = params.model.partition("/")
        provider = params.custom_llm_provider or prefix
        for upstream in {params.model, rest}:
            names.update(names_of(params.model, provider, upstream, entry.model_info.base_model))
    return PriceMap.of(names)


def names_of(model: str, provider: str, upstream: str, base_model: str | None) -> list[str]:
    """The price map's possible names for a model, the best first."""
    if base_model:
        return [base_model, f"{provider}/{base_model}"]
    names = [model, f"{provider}/{upstream}", upstream]
    if provider == "bedrock":
        names += _bedrock_names(upstream)
    return names


def facts_of(deployment: Deployment, prices: PriceMap) -> Mapping[str, Any]:
    """The price map's entry with what `model_info` and the parameters say put over it."""
    params, info = deployment.params, deployment.info
    names = names_of(
        deployment.model, deployment.provider, deployment.upstream_model, info.get("base_model")
    )
    entries = (prices.get(name) for name in names)
    known = next((entry for entry in entries if entry is not None), {})
    own_prices = {name: value for name, value in params.items() if _PRICE in name}
    return {**known, **own_prices, **info}


def _bedrock_names(upstream: str) -> list[str]:
    """Names without what says how, where and in which regions a model of Bedrock is called."""
    names = []
    for route in _BEDROCK_ROUTES:
        upstream = upstream.removeprefix(f"{route}/")
    model = upstream.rpartition("/")[2]
    names += [upstream, model]
    regions, dot, rest = model.partition(".")
    if dot and regions in {"us", "eu", "apac", "au", "jp", "global", "us-gov"}:
        names.append(rest)
    return names
