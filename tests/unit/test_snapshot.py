"""A snapshot says which deployments a name stands for, as LiteLLM's router would."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from trunkline.call import Deployment
from trunkline.live import snapshot as snapshots
from trunkline.live.snapshot import Snapshot, build_snapshot
from trunkline.settings.schema import Settings

Entry = dict[str, Any]


def entry(name: str, model: str, *, info: Entry | None = None, **params: Any) -> Entry:
    given = {"model": model, "api_key": "k", **params}
    return {"model_name": name, "litellm_params": given, "model_info": info or {}}


def snapshot_of(*entries: Entry, aliases: Entry | None = None, **sections: Any) -> Snapshot:
    router = {"model_group_alias": aliases or {}}
    data = {"model_list": entries, "router_settings": router, **sections}
    return build_snapshot(Settings.model_validate(data), version=1)


def models(deployments: Sequence[Deployment]) -> list[str]:
    return [each.model for each in deployments]


ENTRIES = (
    entry("gpt", "openai/gpt-4o", info={"id": "one"}),
    entry("gpt", "azure/gpt-4o", info={"id": "two"}),
    entry("both", "openai/o3", info={"id": "gpt"}),
    entry("named", "openai/o3", info={"id": "three"}),
    entry("openai/*", "openai/*", info={"id": "four"}),
    entry("openai/o3-*", "openai/o3-*", info={"id": "five"}),
    entry("openai/o3-*", "azure/o3-*", info={"id": "six"}),
    entry("anthropic/*", "anthropic/*", info={"id": "seven"}),
    entry("bedrock/us.*", "bedrock/us.*", info={"id": "eight"}),
    entry("in-*-out-*", "openai/in::*::out::*", info={"id": "nine"}),
    entry("swap-*-*", "groq/*", info={"id": "ten"}),
    entry("fixed-*", "openai/gpt-4o-mini", info={"id": "eleven"}),
)
CATCH_ALL = (
    entry("gpt", "openai/gpt-4o", info={"id": "one"}),
    entry("*", "*", info={"id": "two"}),
    entry("*", "openai/*", info={"id": "three"}),
)
ALIASES = {
    "old": "gpt",
    "named": "both",
    "hidden": {"model": "gpt", "hidden": True},
    "wild": "anthropic/claude-sonnet-4-5",
    "by-id": "three",
}
ASKED = [
    *("gpt", "both", "named", "one", "two", "three", "old", "hidden", "wild", "unknown", ""),
    *("openai/gpt-4o", "gpt-4o", "openai/o3-mini", "o3-mini", "claude-sonnet-4-5"),
    *("anthropic/claude-x", "bedrock/us.amazon.nova-lite-v1:0", "bedrock/eu.amazon.nova"),
    *("in-a-out-b", "swap-a-b", "fixed-anything", "azure/gpt-4o", "team/model"),
]


@pytest.fixture(scope="module")
def router() -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    return litellm.Router


def asked_of_litellm(router: Any, name: str) -> list[tuple[str, str]]:
    """The ids and models that LiteLLM's router finds for a name."""
    import litellm

    try:
        _, found = router._common_checks_available_deployment(name)
    except litellm.BadRequestError:
        return []
    found = [found] if isinstance(found, dict) else found
    return [(each["model_info"]["id"], each["litellm_params"]["model"]) for each in found]


@pytest.mark.criterion("R1.5")
@pytest.mark.parametrize("entries", [ENTRIES, CATCH_ALL], ids=["specific", "catch-all"])
def test_a_name_stands_for_what_it_stands_for_in_litellm(
    router: Any, entries: tuple[Entry, ...]
) -> None:
    aliases = ALIASES if entries is ENTRIES else {"old": "gpt", "any": "openai/o3"}
    snapshot = snapshot_of(*entries, aliases=aliases)
    theirs = router(model_list=list(entries), model_group_alias=aliases)
    for name in ASKED:
        if name == "azure/gpt-4o" or (name in ("two", "three") and entries is CATCH_ALL):
            continue  # Names below the groups': a provider's own, and an id of a wildcard.
        ours = [(each.id, each.model) for each in snapshot.resolve(name)]
        assert ours == asked_of_litellm(theirs, name), name


def test_a_providers_name_for_a_model_is_no_name_of_ours() -> None:
    """LiteLLM also answers to `litellm_params.model`, which lets callers pass by the groups."""
    assert not snapshot_of(entry("gpt", "azure/gpt-4o")).resolve("azure/gpt-4o")


def test_a_wildcard_must_match_the_whole_name() -> None:
    snapshot = snapshot_of(entry("*-mini", "openai/*-mini"))
    assert models(snapshot.resolve("gpt-4o-mini")) == ["openai/gpt-4o-mini"]
    assert not snapshot.resolve("gpt-4o-mini-preview")


@pytest.mark.criterion("R1.4")
@pytest.mark.parametrize(
    ("asked", "provider", "upstream"),
    [
        ("openai/gpt-4o", "openai", "gpt-4o"),
        ("groq/llama-3.3-70b-versatile", "groq", "llama-3.3-70b-versatile"),
        ("claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ("whatever/model", "", "whatever/model"),
    ],
)
def test_behind_a_catch_all_the_provider_is_that_of_the_name(
    asked: str, provider: str, upstream: str
) -> None:
    (found,) = snapshot_of(entry("*", "*")).resolve(asked)
    assert (found.provider, found.upstream_model, found.params["model"]) == (
        provider,
        upstream,
        asked,
    )


def test_a_name_that_a_wildcard_matched_gives_the_same_deployments_again() -> None:
    snapshot = snapshot_of(entry("openai/*", "openai/*"))
    assert snapshot.resolve("openai/gpt-4o")[0] is snapshot.resolve("openai/gpt-4o")[0]


def test_names_that_clients_make_up_are_remembered_within_bounds() -> None:
    snapshot = snapshot_of(entry("*", "*"))
    for number in range(snapshots.REMEMBERED + 100):
        assert snapshot.resolve(f"name-{number}")
    assert len(snapshot._matched) == snapshots.REMEMBERED
    assert not snapshot_of(entry("gpt", "openai/gpt-4o")).resolve("unknown")


def test_endless_names_match_no_wildcard() -> None:
    snapshot = snapshot_of(entry("*-a-*-a-*-a-*-b", "openai/*"), entry("*", "*"))
    assert snapshot.resolve("x" * snapshots.LONGEST_NAME)
    assert not snapshot.resolve("-a" * 1_000_000)


def test_ids_are_stable_distinct_and_keep_credentials_to_themselves() -> None:
    entries = [
        entry("gpt", "openai/gpt-4o", api_key="sk-first"),
        entry("gpt", "openai/gpt-4o", api_key="sk-second"),
        entry("gpt", "openai/gpt-4o", api_key="sk-second"),
        entry("other", "openai/gpt-4o", api_key="sk-second"),
        entry("own", "openai/gpt-4o", info={"id": 7}),
        entry("own", "openai/gpt-4o", info={"id": "8"}, organization=["a", "b"]),
    ]
    ids = [each.id for each in snapshot_of(*entries).deployments]
    assert ids == [each.id for each in snapshot_of(*entries).deployments]
    assert len(set(ids)) == len(ids) == 7
    assert ids[4:] == ["7", "8", "8-2"]
    assert not any("sk-" in each for each in ids)
    moved = [each.id for each in snapshot_of(entries[3], *entries[:3]).deployments]
    assert sorted(moved) == sorted(ids[:4])


def test_a_deployment_carries_what_routing_needs_in_the_right_types() -> None:
    (found,) = snapshot_of(
        entry(
            "gpt",
            "azure/omni",
            timeout="30",
            stream_timeout=5,
            rpm="600",
            weight=2,
            order=1,
            max_parallel_requests="3",
            tags=["paid"],
            temperature=0.5,
            reasoning={"effort": "low"},
        )
        | {"tpm": "9000"}
    ).deployments
    assert (found.timeout, found.stream_timeout, found.rpm, found.tpm) == (30.0, 5.0, 600, 9000)
    assert (found.weight, found.order, found.max_parallel_requests) == (2.0, 1, 3)
    assert (found.tags, found.provider, found.upstream_model) == (("paid",), "azure", "omni")
    assert found.params["reasoning"] == {"effort": "low"}
    assert found.info == {"id": found.id}


def test_facts_are_the_price_map_with_what_the_entry_says_over_it() -> None:
    snapshot = snapshot_of(
        entry("plain", "openai/gpt-4o"),
        entry("priced", "openai/gpt-4o", input_cost_per_token="0.5"),
        entry("told", "openai/gpt-4o", info={"max_input_tokens": 10, "supports_vision": False}),
        entry("azure", "azure/x", info={"base_model": "gpt-4o"}),
        entry("bedrock", "bedrock/converse/us-gov.amazon.nova-lite-v1:0"),
        entry("unknown", "hosted_vllm/mine"),
        entry("openai/*", "openai/*"),
    )
    facts = {each.group: snapshot.facts_of(each) for each in snapshot.deployments}
    assert facts["plain"]["input_cost_per_token"] == 2.5e-06
    assert facts["plain"]["mode"] == "chat"
    assert facts["priced"]["input_cost_per_token"] == 0.5
    assert (facts["told"]["max_input_tokens"], facts["told"]["supports_vision"]) == (10, False)
    assert facts["azure"]["input_cost_per_token"] > 0
    assert facts["bedrock"]["max_input_tokens"] == 300000
    assert set(facts["unknown"]) == {"id"}
    (wild,) = snapshot.resolve("openai/gpt-4o-mini")
    assert snapshot.facts_of(wild)["input_cost_per_token"] == 1.5e-07


@pytest.mark.criterion("R1.5")
def test_clients_are_shown_what_can_serve_but_no_hidden_aliases() -> None:
    unusable = entry("unusable", "openai/gpt-4o") | {"missing": ("KEY",)}
    half = entry("gpt", "openai/gpt-4o") | {"missing": ("KEY",)}
    snapshot = snapshot_of(
        entry("gpt", "openai/gpt-4o"),
        half,
        unusable,
        entry("*", "*"),
        aliases={
            "old": "gpt",
            "out": "unusable",
            "wild": "anything",
            "hidden": {"model": "gpt", "hidden": True},
        },
    )
    assert snapshot.model_names() == ("gpt", "old", "wild")
    assert [each.missing for each in snapshot.resolve("unusable")] == [("KEY",)]


@pytest.mark.parametrize(
    "provider",
    "openai anthropic gemini groq mistral xai deepinfra cerebras perplexity vertex_ai".split(),
)
def test_a_wildcard_shows_the_providers_models_as_litellm_does(router: Any, provider: str) -> None:
    from litellm.proxy.auth.model_checks import get_known_models_from_wildcard
    from litellm.types.router import LiteLLM_Params

    for group in (f"{provider}/*", "mine/*"):
        shown = set(snapshot_of(entry(group, f"{provider}/*")).model_names())
        theirs = get_known_models_from_wildcard(group, LiteLLM_Params(model=f"{provider}/*"))
        prefix = group.removesuffix("*")
        callable_ = {name for name in theirs if name.startswith(prefix) and "-x-" not in name}
        assert shown
        assert shown == {name for name in callable_ if not name.startswith(f"{prefix}ft:")}


def test_a_partial_wildcard_shows_what_it_matches() -> None:
    shown = snapshot_of(entry("openai/gpt-4o*", "openai/gpt-4o*")).model_names()
    assert "openai/gpt-4o-mini" in shown
    assert all(name.startswith("openai/gpt-4o") for name in shown)


def test_a_snapshot_says_nothing_of_its_secrets() -> None:
    snapshot = snapshot_of(entry("gpt", "openai/gpt-4o", api_key="sk-canary"))
    assert "canary" not in repr(snapshot) + repr(snapshot.deployments)
