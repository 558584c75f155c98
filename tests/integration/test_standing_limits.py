"""Limits that the configuration sets, and what of users bounds their keys."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import Delay, FakeOpenAI
from tests.support.accounts import INPUT, OUTPUT, Fleet, config, price_of_one, statuses
from tests.support.gateway import Gateways
from tests.support.management import MASTER
from tests.support.providers import Providers

CALLS = 3


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def price(module_gateway: Gateways, openai: FakeOpenAI) -> float:
    """Dollars that one call costs."""
    return price_of_one(Fleet([module_gateway(config(openai))])) / 1e9


def asked(fleet: Fleet, count: int, **fields: Any) -> list[int]:
    return [fleet.one(MASTER, **fields).status for _ in range(count)]


@pytest.mark.criterion("R12.3")
def test_a_budget_of_the_gateway_covers_all_calls_together(
    gateway: Gateways, openai: FakeOpenAI, price: float
) -> None:
    told = {"max_budget": CALLS * price, "budget_duration": "30d"}
    fleet = Fleet([gateway(config(openai, litellm_settings=told))])
    key = fleet.admin.key()
    assert asked(fleet, 2) == [200, 200]
    assert fleet.one(key).status == 200
    refused = fleet.one(key)
    assert (refused.status, refused.body["error"]["type"]) == (400, "budget_exceeded")


def test_what_the_gateway_has_spent_outlives_it(
    gateway: Gateways, openai: FakeOpenAI, price: float
) -> None:
    told = {"max_budget": CALLS * price, "budget_duration": "3d"}
    first = gateway(config(openai, litellm_settings=told))
    assert asked(Fleet([first]), CALLS) == [200] * CALLS
    first.stop()
    data = {"data_directory": str(first.folder / ".trunkline")}
    again = gateway(config(openai, litellm_settings=told, general_settings=data))
    assert asked(Fleet([again]), 1) == [400]


@pytest.mark.criterion("R12.3")
def test_calls_go_to_another_provider_when_the_budget_of_one_is_used_up(
    gateway: Gateways, openai: FakeOpenAI, price: float
) -> None:
    settings = config(
        openai,
        router_settings={
            "provider_budget_config": {
                "openai": {"budget_limit": CALLS * price, "time_period": "1d"}
            }
        },
    )
    other = {"model": "deepseek/m", "api_base": f"{openai.url}/v1", "api_key": "sk-up", "order": 2}
    prices = {"input_cost_per_token": INPUT / 1e9, "output_cost_per_token": OUTPUT / 1e9}
    settings["model_list"][0]["litellm_params"]["order"] = 1
    settings["model_list"].append(
        {"model_name": "m", "litellm_params": other, "model_info": prices}
    )
    fleet = Fleet([gateway(settings)])
    answers = [fleet.one(MASTER) for _ in range(CALLS + 2)]
    models = [answer.headers["x-trunkline-model"] for answer in answers]
    assert models == ["openai/m"] * CALLS + ["deepseek/m"] * 2
    assert asked(fleet, 1, model="other") == [400]  # it has no other provider


def test_a_deployment_has_a_budget_of_its_own(
    gateway: Gateways, openai: FakeOpenAI, price: float
) -> None:
    settings = config(openai)
    settings["model_list"][0]["litellm_params"] = {
        **settings["model_list"][0]["litellm_params"],
        "max_budget": CALLS * price,
        "budget_duration": "14d",
    }
    fleet = Fleet([gateway(settings)])
    assert asked(fleet, CALLS + 1) == [200] * CALLS + [400]
    assert asked(fleet, 1, model="other") == [200]


def test_customers_without_a_budget_have_that_of_the_configuration(
    gateway: Gateways, openai: FakeOpenAI, price: float
) -> None:
    fleet = Fleet([gateway(config(openai, litellm_settings={"max_end_user_budget": price}))])
    fleet.admin.ask("/customer/new", {"user_id": "rich", "max_budget": 3 * price})
    assert asked(fleet, 2, user="poor") == [200, 400]
    assert asked(fleet, 1, user="another") == [200]
    assert asked(fleet, 4, user="rich") == [200, 200, 200, 400]


def test_calls_of_all_keys_at_once_are_limited(gateway: Gateways, openai: FakeOpenAI) -> None:
    fleet = Fleet([gateway(config(openai, general_settings={"global_max_parallel_requests": 2}))])
    openai.fault(Delay(1.0), always=True)
    assert statuses(fleet.ask(MASTER, 6)) == {200: 2, 429: 4}


@pytest.mark.criterion("R11.2")
def test_a_user_s_models_bound_their_keys_of_no_team(gateway: Gateways, openai: FakeOpenAI) -> None:
    fleet = Fleet([gateway(config(openai))])
    bound = {"user_id": "bound", "models": ["other"], "auto_create_key": False}
    fleet.admin.ask("/user/new", bound)
    key = fleet.admin.key(user_id="bound")
    assert fleet.one(key).status == 403
    assert fleet.one(key, model="other").status == 200
    shown = fleet.admin.having(key).ask("/v1/models")["data"]
    assert [model["id"] for model in shown] == ["other"]
    team = fleet.admin.ask("/team/new", {"models": ["m"]})["team_id"]
    assert fleet.one(fleet.admin.key(user_id="bound", team_id=team)).status == 200


def test_a_soft_budget_warns_once_and_stops_nothing(
    gateway: Gateways, openai: FakeOpenAI, price: float
) -> None:
    server = gateway(config(openai, general_settings={"user_api_key_cache_ttl": 0.1}))
    fleet = Fleet([server])
    key = fleet.admin.key(soft_budget=price)
    for _ in range(2):
        assert fleet.one(key).status == 200
        fleet.until(
            lambda: fleet.admin.ask("/key/info", key=key)["info"]["spend"], lambda spent: spent > 0
        )
    for _ in range(5):
        assert fleet.one(key).status == 200
        server.wait_until_said("is used up")
    assert server.log().count("the soft budget of key:") == 1
    assert key not in server.log()
