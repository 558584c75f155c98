"""What is known about a deployment's model: LiteLLM's price map, and what its entry says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..call import Deployment
from ..settings import Settings
from ..settings.learned import located
from ..settings.price_map import IMAGE_PRICES, PriceMap
from ..settings.providers import lookups
from ..settings.schema import ModelEntry

_BEDROCK_ROUTES = ("converse", "converse_like", "invoke")
_PRICE = "_cost"

_TRANSCRIBING = frozenset({"openai", "azure"})
_TRANSCRIBERS = """
    whisper-1 gpt-4o-transcribe gpt-4o-transcribe-diarize gpt-4o-mini-transcribe
    gpt-4o-mini-transcribe-2025-03-20 gpt-4o-mini-transcribe-2025-12-15 gpt-realtime-whisper
""".split()
"""Models that clients of realtime sessions have what is heard written down by: no entry names them.
"""

_REPLACED: Mapping[str, tuple[str, ...]] = {
    "input_cost_per_token": ("input_cost_per_", "cache_"),
    "output_cost_per_token": ("output_cost_per_",),
}
"""Beginnings of the map's prices that no longer hold where an entry sets its own."""

_OF_BOTH = ("tiered_pricing", "off_peak_pricing")


def map_file(settings: Settings) -> Path | None:
    """The price map that is configured; None where it is the packaged one."""
    named = settings.general_settings.cost_map_path
    return None if named is None else located(settings.source.parent, named)


def price_map(
    entries: Iterable[ModelEntry],
    *,
    whole: bool,
    others: Iterable[str] = (),
    file: Path | None = None,
) -> PriceMap:
    """As much of the price map as the entries need; wildcards may need any of it.

    others: names that are needed too. file: the map; the packaged one without.

    Raises PriceMapInvalid.
    """
    if whole:
        return PriceMap.whole(file)
    names: set[str] = set(others)
    for entry in entries:
        params = entry.litellm_params
        names.update(lookups(params.model, params.custom_llm_provider))
        prefix, _, rest = params.model.partition("/")
        provider = params.custom_llm_provider or prefix
        for upstream in {params.model, rest}:
            names.update(names_of(params.model, provider, upstream, entry.model_info.base_model))
        if provider in _TRANSCRIBING:
            names.update(_TRANSCRIBERS, (f"azure/{each}" for each in _TRANSCRIBERS))
    return PriceMap.of(names, file)


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
    sized = prices.images_of(names)
    if sized is not None:
        # Of models of one size alone the map has no other entry that tells what they are.
        shared = next(iter(sized.values()))
        kind = {name: shared[name] for name in ("mode", "litellm_provider") if name in shared}
        known = {**kind, **known, IMAGE_PRICES: sized}
    own = {**{name: value for name, value in params.items() if _PRICE in name}, **info}
    return {**_still_valid(known, own), **own}


def _still_valid(known: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the map says, without the variants of prices that an entry sets itself.

    Whoever says what a token of input costs means all of them: the map's prices for large inputs,
    for service tiers or for what was cached are those of another contract.
    """
    replaced = [name for name in _REPLACED if own.get(name) is not None]
    if not replaced:
        return known
    beginnings = tuple(each for name in replaced for each in _REPLACED[name])
    return {
        name: value
        for name, value in known.items()
        if name not in _OF_BOTH and not (_PRICE in name and name.startswith(beginnings))
    }


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
