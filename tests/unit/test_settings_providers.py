"""Providers, names and prices are LiteLLM's, found without LiteLLM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from trunkline.providers import catalog
from trunkline.settings import credentials
from trunkline.settings.price_map import PriceMap, facts_of
from trunkline.settings.providers import ENDPOINT_HOSTS, PROVIDERS, split_model

ASKS_THE_NETWORK = ("github_copilot", "chatgpt")
"""Providers for which LiteLLM begins a login when it is asked about them."""

Oracle = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def litellm() -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    return litellm


@pytest.fixture(scope="module")
def oracle(litellm: Any) -> Oracle:
    """LiteLLM's provider and model for a name; an empty provider where it refuses."""

    def ask(model: str, custom: str | None = None, api_base: str | None = None) -> tuple[str, str]:
        try:
            found = litellm.get_llm_provider(
                model, custom_llm_provider=custom, api_base=api_base, api_key="k"
            )
        except litellm.exceptions.BadRequestError:
            return "", model
        return str(found[1]), found[0]

    return ask


@pytest.fixture(scope="module")
def prices() -> PriceMap:
    return PriceMap.whole()


@pytest.mark.criterion("R1.4")
def test_every_provider_that_litellm_knows_is_known(litellm: Any) -> None:
    from litellm.types.utils import LlmProviders

    file = Path(litellm.__file__).parent / "llms" / "openai_like" / "providers.json"
    by_file = set(json.loads(file.read_text("utf-8")))
    assert {provider.value for provider in LlmProviders} | by_file == PROVIDERS


def test_every_endpoint_that_litellm_recognises_is_known(litellm: Any) -> None:
    endpoints = litellm.openai_compatible_endpoints
    urls = [url if "//" in url else f"//{url}" for url in endpoints]
    assert {urlsplit(url).hostname for url in urls} == ENDPOINT_HOSTS


@pytest.mark.criterion("R1.4")
@pytest.mark.parametrize("provider", sorted(PROVIDERS - set(ASKS_THE_NETWORK)))
def test_a_provider_is_accepted_as_a_prefix_and_by_its_own_key(
    provider: str, oracle: Oracle, prices: PriceMap
) -> None:
    for model in ("gpt-4o", "claude-3-opus", "meta-llama/Llama-3", "openai/gpt-4o", "claude-2"):
        for asked in ((f"{provider}/{model}", None), (model, provider)):
            theirs = oracle(*asked)
            if theirs[0]:
                assert split_model(*asked, known=prices.get) == theirs


@pytest.mark.criterion("R1.4")
def test_every_model_of_the_price_map_is_split_as_litellm_splits_it(
    oracle: Oracle, prices: PriceMap
) -> None:
    """But for those that nobody calls by that name, where the provider is left to LiteLLM."""
    wrong, left = [], []
    for model, _ in prices:
        if model.startswith((*ASKS_THE_NETWORK, "bedrock_mantle/")):
            continue
        ours, theirs = split_model(model, known=prices.get), oracle(model)
        if not ours[0] and theirs[0]:
            left.append(model)
        elif ours != theirs:
            wrong.append((model, ours, theirs))
    assert not wrong
    assert [model for model in left if "-x-" not in model] == ["azure/mistral-large-latest"]


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o", "openai"),
        ("o3", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-pro", "vertex_ai"),
        ("command-r-plus-08-2024", "cohere_chat"),
        ("amazon.nova-lite-v1:0", "bedrock"),
        ("ft:gpt-4o-2024-08-06:company::id", "openai"),
        ("text-embedding-3-small", "openai"),
        ("whisper-1", "openai"),
        ("a-model-that-nobody-knows", ""),
    ],
)
def test_a_well_known_bare_name_has_its_provider(
    model: str, provider: str, oracle: Oracle, prices: PriceMap
) -> None:
    assert split_model(model, known=prices.get) == (provider, model) == oracle(model)


@pytest.mark.parametrize("host", sorted(ENDPOINT_HOSTS))
def test_a_bare_name_at_a_providers_own_address_is_left_to_litellm(
    host: str, prices: PriceMap
) -> None:
    for base in (f"https://{host}/v1", host):
        assert split_model("gpt-4o", api_base=base, known=prices.get) == ("", "gpt-4o")


@pytest.mark.parametrize("base", ["http://127.0.0.1:8000/v1", "http://[", "not a url", ""])
def test_a_bare_name_at_any_other_address_keeps_its_provider(base: str, prices: PriceMap) -> None:
    assert split_model("gpt-4o", api_base=base, known=prices.get) == ("openai", "gpt-4o")


def test_facts_are_those_of_litellm(litellm: Any) -> None:
    names = ["gpt-4o", "azure/gpt-4o", "amazon.nova-lite-v1:0"]
    found = facts_of([*names, "nothing-of-the-kind"])
    assert list(found) == names
    for name in names:
        theirs = litellm.model_cost[name]
        assert found[name]["input_cost_per_token"] == theirs["input_cost_per_token"]
        assert found[name]["max_input_tokens"] == theirs["max_input_tokens"]


def test_providers_whose_keys_go_in_a_header_of_their_own_are_known() -> None:
    others = {name for name, row in catalog.PROVIDERS.items() if row.auth != "authorization"}
    assert others == credentials.OTHER_HEADER


def test_the_maps_example_entry_is_no_model() -> None:
    assert not facts_of(["sample_spec"])


def test_litellm_is_never_imported_for_it() -> None:
    code = """
        import sys
        from pathlib import Path
        from trunkline.live.snapshot import build_snapshot
        from trunkline.settings import load
        snapshot = build_snapshot(load(Path(sys.argv[1]), {}), 1)
        assert snapshot.resolve("openai/gpt-4o") and snapshot.model_names()
        assert "litellm" not in sys.modules
    """
    config = Path(__file__).parent.parent / "configurations" / "wildcards.yaml"
    text = "\n".join(line.strip() for line in code.splitlines())
    subprocess.run([sys.executable, "-c", text, str(config)], check=True, timeout=60)
