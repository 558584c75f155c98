"""The names of models that clients are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..call import Deployment
from ..settings import Settings
from ..settings.price_map import PriceMap
from ..settings.wildcards import WILDCARD

_IN_PRICE_MAP: Mapping[str, tuple[str, ...]] = {
    "openai": ("openai", "text-completion-openai"),
    "cohere": ("cohere", "cohere_chat"),
    "bedrock": ("bedrock", "bedrock_converse"),
    "fireworks_ai": ("fireworks_ai", "fireworks_ai-embedding-models"),
    "vertex_ai": tuple(
        f"vertex_ai-{kind}"
        for kind in (
            "chat-models text-models language-models anthropic_models vision-models"
            " deepseek_models minimax_models moonshot_models zai_models"
        ).split()
    ),
    "azure": (),
}
"""The price map's words for a provider, where they differ from LiteLLM's name for it."""


_ONLY_PRICES = re.compile(r"^ft:|\*|(?:^|/)\d+-x-\d+/|-month-commitment/")
"""Entries of the price map that nobody can call by their name: image sizes, commitments."""


def names_shown(
    settings: Settings, groups: Mapping[str, tuple[Deployment, ...]], prices: PriceMap
) -> tuple[str, ...]:
    """Groups that can serve, aliases that aren't hidden, and what wildcard groups are known for."""
    aliases = settings.router_settings.model_group_alias
    serving = {name: members for name, members in groups.items() if _usable(members)}
    names = [name for name in serving if WILDCARD not in name]
    for alias, target in aliases.items():
        if not target.hidden and (target.model in serving or target.model not in groups):
            names.append(alias)
    patterns = [name for name in serving if WILDCARD in name]
    catalog = _by_provider(prices) if patterns else {}
    for name in patterns:
        for deployment in serving[name]:
            names += _known(name, deployment.model, catalog)
    return tuple(dict.fromkeys(names))


def _usable(members: tuple[Deployment, ...]) -> bool:
    return any(not deployment.missing for deployment in members)


def _by_provider(prices: PriceMap) -> dict[str, list[str]]:
    catalog: dict[str, list[str]] = {}
    for name, entry in prices:
        if not _ONLY_PRICES.search(name):
            catalog.setdefault(str(entry.get("litellm_provider")), []).append(name)
    return catalog


def _known(group: str, model: str, catalog: Mapping[str, list[str]]) -> Iterator[str]:
    """The price map's models of a wildcard's provider, as a client would name them."""
    pattern = model if group == WILDCARD and "/" in model else group
    prefix, slash, suffix = pattern.partition("/")
    provider = model.partition("/")[0] if "/" in model else prefix
    if not slash:
        return
    start = suffix.partition(WILDCARD)[0]
    for word in _IN_PRICE_MAP.get(provider, (provider,)):
        for name in catalog.get(word, ()):
            upstream = name.removeprefix(f"{provider}/")
            if upstream.startswith(start):
                yield f"{prefix}/{upstream}"
