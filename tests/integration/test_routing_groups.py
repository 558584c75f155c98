"""Routing groups: several models under one name, with a strategy of their own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest

from tests.fakes import FakeOpenAI, Status
from tests.support.gateway import DidNotStart, Gateway, Gateways
from tests.support.providers import Providers

pytestmark = pytest.mark.criterion("R1.5")

CALLS = 30
"""Enough that each of two equals is asked: they fail once in 10^9 runs."""


@pytest.fixture(scope="module")
def fake(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


def entry(fake: FakeOpenAI, model: str, **params: Any) -> dict[str, Any]:
    base = {"model": f"openai/{model}", "api_base": f"{fake.url}/v1", "api_key": "sk-none"}
    return {"model_name": model, "litellm_params": base | params, "model_info": {"id": model}}


def group(name: str, *models: str, strategy: str = "simple-shuffle", **more: Any) -> dict[str, Any]:
    return {"group_name": name, "models": list(models), "routing_strategy": strategy, **more}


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, fake: FakeOpenAI) -> Gateway:
    dear = {"input_cost_per_token": 1, "output_cost_per_token": 1}
    cheap = {"input_cost_per_token": 0.1, "output_cost_per_token": 0.1}
    ranks = {"large": 1, "small": 2}
    return module_gateway(
        {
            "model_list": [
                entry(fake, "large", **dear),
                entry(fake, "small", **cheap),
                entry(fake, "twin", **dear),
                entry(fake, "twin", **cheap) | {"model_info": {"id": "cheap-twin"}},
                entry(fake, "failing"),
            ],
            "router_settings": {
                "num_retries": 0,
                "disable_cooldowns": True,
                "routing_groups": [
                    group("any", "large", "small"),
                    group("cheapest", "twin", "failing", strategy="cost-based-routing"),
                    group("ranked", "large", "small", strategy="priority", model_priorities=ranks),
                    group("small", "gone"),
                ],
                "model_group_alias": {"whichever": "any"},
                "fallbacks": [{"failing": ["ranked"]}, {"ranked": ["twin"]}],
            },
        }
    )


def ask(server: Gateway, model: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)


def asked(server: Gateway, fake: FakeOpenAI, model: str) -> Counter[str]:
    """How often each deployment answered so many calls."""
    answers = [ask(server, model) for _ in range(CALLS)]
    assert {answer.status_code for answer in answers} == {200}
    return Counter(answer.headers["x-litellm-model-id"] for answer in answers)


@pytest.mark.parametrize("name", ["any", "whichever"])
def test_a_groups_name_stands_for_the_deployments_of_all_its_models(server, fake, name):
    assert asked(server, fake, name).keys() == {"large", "small"}
    assert ask(server, name).headers["x-litellm-model-group"] == "any"


def test_a_groups_models_are_asked_by_its_strategy_under_their_own_names_too(server, fake):
    assert asked(server, fake, "twin") == {"cheap-twin": CALLS}


def test_priorities_decide_which_model_is_asked_first_and_which_next(server, fake):
    assert asked(server, fake, "ranked") == {"large": CALLS}
    fake.fault(Status(500), always=True, when=lambda request: request.json["model"] == "large")
    assert ask(server, "ranked").headers["x-litellm-model-id"] == "small"


def test_a_group_can_stand_in_for_a_model_and_a_model_for_a_group(server, fake):
    bad = {"failing", "large", "small"}
    fake.fault(Status(500), always=True, when=lambda request: request.json["model"] in bad)
    answer = ask(server, "failing")
    assert answer.status_code == 200
    assert [request.json["model"] for request in fake.requests] == [
        "failing",
        "large",
        "small",
        "twin",
    ]


def test_a_model_comes_before_a_group_of_the_same_name(server, fake):
    assert asked(server, fake, "small") == {"small": CALLS}
    assert "routing_groups[3].group_name: a model has this name" in server.log()
    assert "routing_groups[3].models[0]: there is no model of this name" in server.log()


def test_groups_are_listed_among_the_models(server):
    models = httpx.get(f"{server.url}/v1/models").json()["data"]
    names = [model["id"] for model in models]
    assert {"any", "cheapest", "ranked", "whichever", "large"} <= set(names)
    assert names.count("small") == 1
    health = httpx.get(f"{server.url}/model/info").json()["data"]
    assert "any" in {each["model_name"] for each in health}


def test_a_deployment_that_cools_down_is_left_alone_in_all_its_groups(gateway, fake):
    equal = {"large": 1, "small": 1}
    groups = [
        group("any", "large", "small"),
        group("all", "large", "small", strategy="priority", model_priorities=equal),
    ]
    server = gateway(
        {
            "model_list": [entry(fake, "large", cooldown_time=60), entry(fake, "small")],
            "router_settings": {"num_retries": 2, "routing_groups": groups},
        }
    )
    fake.fault(Status(429), always=True, when=lambda request: request.json["model"] == "large")
    for _ in range(20):
        assert ask(server, "any").status_code == 200
        assert ask(server, "all").status_code == 200
    assert Counter(request.json["model"] for request in fake.requests)["large"] == 1


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ([group("default", "large")], "[0]: expected another group_name"),
        ([group("a", "large"), group("a", "small")], "[1]: expected one group of the name a"),
        ([group("a", "large"), group("b", "large")], "[1]: expected models of one group only"),
        ([group("a", "large", strategy="fastest")], "[0].routing_strategy: expected one of"),
        ([group("a", "large", strategy="priority")], "[0]: expected model_priorities with each"),
        (
            [group("large", "small", strategy="priority", model_priorities={"small": 1})],
            "[0]: expected a group_name that no model has, got large",
        ),
        ([group("a", "large", model_priorities={"large": 1})], "[0]: expected model_priorities"),
        (
            [group("a", "large", strategy="priority", model_priorities={"large": 0})],
            "[0].model_priorities.large: expected a whole number above 0, got 0",
        ),
    ],
)
def test_groups_that_litellm_refuses_are_named_with_their_place(gateway, fake, groups, told):
    models = [entry(fake, "large"), entry(fake, "small")]
    with pytest.raises(DidNotStart) as refused:
        gateway({"model_list": models, "router_settings": {"routing_groups": groups}})
    assert f"router_settings.routing_groups{told}" in str(refused.value)
