"""Parameters that all deployments share."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fakes import FakeOpenAI, Hang
from tests.support.gateway import DidNotStart, Gateway, Gateways
from tests.support.providers import Providers

pytestmark = pytest.mark.criterion("R1.5")


@pytest.fixture(scope="module")
def fake(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def elsewhere(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


def entry(group: str, **params: Any) -> dict[str, Any]:
    return {"model_name": group, "litellm_params": {"model": f"openai/{group}"} | params}


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, fake: FakeOpenAI, elsewhere: FakeOpenAI) -> Gateway:
    return module_gateway(
        {
            "model_list": [
                entry("plain"),
                entry("own", temperature=0.5, api_key="sk-own"),
                entry("away", base_url=f"{elsewhere.url}/v1"),
                entry("converted", lane="litellm"),
                entry("patient", timeout=30),
            ],
            "router_settings": {
                "num_retries": 0,
                "default_litellm_params": {
                    "api_base": f"{fake.url}/v1",
                    "api_key": "sk-shared",
                    "temperature": 0.25,
                    "seed": 7,
                    "timeout": 1,
                    "weight": 3,
                },
            },
        }
    )


def ask(server: Gateway, group: str, **fields: Any) -> httpx.Response:
    body = {"model": group, "messages": [{"role": "user", "content": "Hi"}], **fields}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)


@pytest.mark.parametrize("group", ["plain", "converted"])
def test_shared_parameters_hold_where_a_deployment_has_none_of_its_own(server, fake, group):
    assert ask(server, group).status_code == 200
    assert (fake.last.json["temperature"], fake.last.json["seed"]) == (0.25, 7)
    assert fake.last.headers["authorization"] == "Bearer sk-shared"
    assert not {"timeout", "weight"} & fake.last.json.keys()


def test_a_deployments_own_parameters_come_first(server, fake):
    assert ask(server, "own").status_code == 200
    assert (fake.last.json["temperature"], fake.last.json["seed"]) == (0.5, 7)
    assert fake.last.headers["authorization"] == "Bearer sk-own"


def test_a_requests_fields_come_before_both(server, fake):
    assert ask(server, "own", temperature=1).status_code == 200
    assert fake.last.json["temperature"] == 1


def test_an_address_under_its_other_name_comes_first_too(server, fake, elsewhere):
    assert ask(server, "away").status_code == 200
    assert elsewhere.requests
    assert not fake.requests


@pytest.mark.criterion("R14.4")
def test_a_shared_time_limit_holds_for_deployments_without_one(server, fake):
    fake.fault(Hang(), always=True)
    answer = ask(server, "plain")
    assert answer.status_code == 408
    assert "1 second" in answer.json()["error"]["message"]


def test_what_deployments_cannot_share_is_told(server):
    told = "router_settings.default_litellm_params.weight: deployments can't share this"
    assert told in server.log()


def test_a_shared_parameter_whose_variable_is_missing_keeps_the_gateway_from_serving(gateway):
    shared = {"api_base": "os.environ/NO_SUCH_BASE"}
    with pytest.raises(DidNotStart, match="the environment variable NO_SUCH_BASE isn't set"):
        gateway(
            {
                "model_list": [entry("plain")],
                "router_settings": {"default_litellm_params": shared},
            }
        )
