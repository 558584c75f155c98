"""What a deployment's entry says about routing is read where LiteLLM's router reads it."""

from __future__ import annotations

from random import Random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.support.routing import call
from trunkline.call import Deployment
from trunkline.live.snapshot import build_snapshot
from trunkline.routing.candidate import candidate
from trunkline.routing.health import Health, Vitals
from trunkline.routing.policy import RoutingPolicy
from trunkline.routing.router import build_router
from trunkline.settings.schema import Settings

pytestmark = pytest.mark.criterion("R1.5")

PLACES = ("litellm_params", "model_info", "")
"""Where a setting may stand in an entry; "" is the entry itself."""

numbers = st.integers(0, 4000)
stated = {
    "order": st.integers(-1, 3),
    "weight": st.integers(0, 9),
    "rpm": numbers,
    "tpm": numbers,
    "max_parallel_requests": st.integers(0, 9),
    "timeout": st.sampled_from([0, 3, 5]),
    "request_timeout": st.sampled_from([7, 9]),
    "stream_timeout": st.sampled_from([0, 11, 13]),
    "timeout_by_service_tier": st.sampled_from([{}, {"flex": 15}]),
    "stream_timeout_by_service_tier": st.sampled_from([{}, {"flex": 17}, {"other": 19}]),
}
places = st.fixed_dictionaries(
    {}, optional={(place, name): value for place in PLACES for name, value in stated.items()}
)


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    from tests.support import litellm_oracle

    return litellm_oracle


def entry(said: dict[tuple[str, str], Any]) -> dict[str, Any]:
    held: dict[str, Any] = {
        "model_name": "group",
        "litellm_params": {"model": "openai/gpt-4o", "api_key": "sk-none"},
        "model_info": {"id": "d0"},
    }
    for (place, name), value in said.items():
        (held[place] if place else held)[name] = value
    return held


def deployment_of(held: dict[str, Any], **router: Any) -> Deployment:
    settings = Settings.model_validate({"model_list": [held], "router_settings": router})
    [deployment] = build_snapshot(settings, version=1).deployments
    return deployment


@examples(max_examples=60, deadline=None)
@given(places, st.sampled_from([{}, {"service_tier": "flex"}, {"service_tier": None}]))
async def test_a_setting_holds_where_litellm_lets_it_hold(
    oracle: ModuleType, said: dict[tuple[str, str], Any], asked: dict[str, Any]
) -> None:
    for name in ("rpm", "tpm"):
        if ("litellm_params", name) in said:
            # To LiteLLM a figure beside the parameters is the limit, one among them the weight.
            said.pop(("", name), None)
    held = entry(said)
    theirs = oracle.Read([held])
    ours = deployment_of(held)
    limited = candidate(
        ours, Vitals("d0"), alone=True, facts={}, default_places=None, informed=True
    )
    assert ours.order == theirs.order("d0")
    assert (ours.weight, ours.rpm, ours.tpm) == theirs.weights("d0")
    assert (limited.rpm, limited.tpm) == theirs.limits("d0")
    assert limited.places == theirs.places("d0")
    for stream in (False, True):
        seconds = RoutingPolicy().timeouts(ours, call(body=asked, stream=stream)).total
        assert seconds == (theirs.timeout("d0", stream, **asked) or 600.0)


some = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0.0, 1.0]),
        "top_p": st.sampled_from([0.25, 0.5]),
        "max_tokens": st.integers(1, 3),
    },
)


@examples(max_examples=30, deadline=None)
@given(some, some, some)
async def test_parameters_that_all_share_are_sent_as_litellm_sends_them(
    oracle: ModuleType, shared: dict[str, Any], own: dict[str, Any], request: dict[str, Any]
) -> None:
    held = entry({("litellm_params", name): value for name, value in own.items()})
    theirs = oracle.Read([held], default_litellm_params=shared).sent("d0", request)
    ours = deployment_of(held, default_litellm_params=shared).params | request
    for name in some_names:
        if name in shared and name in own and name not in request:
            # There the shared one comes first, although its source says the opposite.
            assert (ours[name], theirs[name]) == (own[name], shared[name])
        else:
            assert ours.get(name) == theirs.get(name)


some_names = ("temperature", "top_p", "max_tokens")


@pytest.mark.parametrize("of_router", [None, 5.0])
@pytest.mark.parametrize("of_deployment", [None, 3.0])
async def test_a_shared_time_limit_for_streams_holds_where_litellm_lets_it_hold(
    oracle: ModuleType, of_router: float | None, of_deployment: float | None
) -> None:
    held = entry({("litellm_params", "stream_timeout"): of_deployment} if of_deployment else {})
    router = {"stream_timeout": of_router, "default_litellm_params": {"stream_timeout": 2.0}}
    settings = Settings.model_validate({"router_settings": router})
    ours = RoutingPolicy.from_settings(settings).timeouts(deployment_of(held), call(stream=True))
    assert ours.total == oracle.Read([held], **router).timeout("d0", stream=True)


GROUPS = [
    {"group_name": "mixed", "models": ["a", "b"], "routing_strategy": "least-busy"},
    {
        "group_name": "ranked",
        "models": ["b", "c"],
        "routing_strategy": "priority",
        "model_priorities": {"b": 2, "c": 1},
    },
    {"group_name": "c", "models": ["d", "unheard-of"], "routing_strategy": "cost-based-routing"},
]


async def test_routing_groups_hold_whom_litellm_puts_there_and_choose_as_litellm_does(
    oracle: ModuleType,
) -> None:
    entries = [
        entry({("", "model_name"): model, ("model_info", "id"): f"{model}{number}"})
        for model in "abcde"
        for number in range(2)
    ]
    entries[0]["litellm_params"]["order"] = 7
    configuration = {"routing_groups": GROUPS, "model_group_alias": {"other": "mixed"}}
    theirs = oracle.Read(entries, **configuration)
    settings = Settings.model_validate({"model_list": entries, "router_settings": configuration})
    snapshot = build_snapshot(settings, version=1)
    ours = build_router(settings, snapshot, Health(), Random(1))
    for name in ("mixed", "ranked", "other"):
        found = {each.id: each.order for each in snapshot.resolve(name)}
        assert found == theirs.routing_group("mixed" if name == "other" else name)
    assert theirs.routing_group("c") is None
    assert [each.id for each in snapshot.resolve("c")] == ["c0", "c1"]
    for name in ("mixed", "ranked", "other", *"abcde"):
        assert ours.strategy_of(snapshot.resolve(name)).name == theirs.strategy(name)
