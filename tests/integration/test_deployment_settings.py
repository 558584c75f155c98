"""A deployment's own settings hold wherever LiteLLM lets them stand in its entry."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.fakes import Delay, FakeOpenAI, Hang, Status
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers

pytestmark = pytest.mark.criterion("R1.5")

TAGS = {"enable_tag_filtering": True}
CALLS = 30
"""Enough that each of two equals is asked: they fail once in 10^9 runs."""


@pytest.fixture(scope="module")
def fake(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, fake: FakeOpenAI) -> Gateway:
    def entry(group: str, model: str, **said: Any) -> dict[str, Any]:
        info = said.pop("model_info", {})
        beside = said.pop("beside", {})
        base = {"model": f"openai/{model}", "api_base": f"{fake.url}/v1", "api_key": "sk-none"}
        return {
            "model_name": group,
            "litellm_params": base | said,
            "model_info": {"id": model, **info},
            **beside,
        }

    return module_gateway(
        {
            "model_list": [
                entry("ordered", "backup", model_info={"order": 2}),
                entry("ordered", "chief", model_info={"order": 1}),
                entry("parted", "free", order=1, tags=["free"], model_info=TAGS),
                entry("parted", "paid", order=2, tags=["paid"], model_info=TAGS),
                entry("overruled", "first", order=1, model_info={"order": 5}),
                entry("overruled", "second", model_info={"order": 2}),
                entry("weighed", "heavy", weight=1),
                entry("weighed", "light", weight=0),
                entry("shared", "counted", beside={"rpm": 600}),
                entry("shared", "uncounted"),
                entry("informed", "known", model_info={"rpm": 100000, "tpm": 10**9}),
                entry("informed", "unknown"),
                entry("rationed", "ration", model_info={"rpm": 2}),
                entry("hurried", "slow", request_timeout=0.5),
                entry("patient", "both", timeout=0.5, request_timeout=30),
                entry("tiered", "flexible", timeout=30, timeout_by_service_tier={"flex": 0.5}),
                entry("narrow", "one-place", max_parallel_requests=1, order=1),
                entry("narrow", "more-places", order=2),
            ],
            "router_settings": {
                "num_retries": 0,
                "disable_cooldowns": True,
                "optional_pre_call_checks": ["enforce_model_rate_limits"],
            },
        }
    )


def ask(server: Gateway, group: str, **fields: Any) -> httpx.Response:
    body = {"model": group, "messages": [{"role": "user", "content": "Hi"}], **fields}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)


def asked(server: Gateway, fake: FakeOpenAI, group: str) -> Counter[str]:
    """The models that were asked in so many calls to a group."""
    for _ in range(CALLS):
        assert ask(server, group).status_code == 200
    return Counter(request.json["model"] for request in fake.requests)


def test_an_order_in_model_info_decides_who_is_asked_first(server, fake):
    assert asked(server, fake, "ordered") == {"chief": CALLS}


def test_a_higher_order_in_model_info_is_asked_when_the_lowest_fails(server, fake):
    fake.fault(Status(500), always=True, when=lambda request: request.json["model"] == "chief")
    answer = ask(server, "ordered")
    assert answer.headers["x-litellm-model-id"] == "backup"


def test_a_higher_order_that_the_tags_exclude_is_never_asked(server, fake):
    fake.fault(Status(500), always=True)
    assert ask(server, "parted", tags=["free"]).status_code == 500
    assert [request.json["model"] for request in fake.requests] == ["free"]


def test_an_order_among_the_parameters_comes_before_one_in_model_info(server, fake):
    assert asked(server, fake, "overruled") == {"first": CALLS}


def test_a_weight_of_zero_gets_no_calls(server, fake):
    assert asked(server, fake, "weighed") == {"heavy": CALLS}


def test_rpm_beside_the_parameters_is_a_weight(server, fake):
    assert asked(server, fake, "shared") == {"counted": CALLS}


def test_rpm_in_model_info_is_no_weight(server, fake):
    assert asked(server, fake, "informed").keys() == {"known", "unknown"}


def test_rpm_in_model_info_is_a_limit(server, fake):
    # A minute may turn meanwhile, and then another.
    statuses = Counter(ask(server, "rationed").status_code for _ in range(8))
    assert statuses.keys() == {200, 429}
    assert len(fake.requests) == statuses[200]


@pytest.mark.criterion("R14.4")
@pytest.mark.parametrize("group", ["hurried", "patient"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_request_timeout_among_the_parameters_holds_where_there_is_no_timeout(
    server, fake, group, stream
):
    fake.fault(Hang(), always=True)
    answer = ask(server, group, stream=stream)
    assert answer.status_code == 408
    assert "0.5" in answer.json()["error"]["message"]


@pytest.mark.criterion("R14.4")
def test_a_service_tier_has_a_time_limit_of_its_own(server, fake):
    fake.fault(Hang(), always=True)
    answer = ask(server, "tiered", service_tier="flex")
    assert answer.status_code == 408
    assert "0.5" in answer.json()["error"]["message"]
    assert "timeout_by_service_tier" not in fake.last.json


def test_a_request_timeout_keeps_no_call_off_the_direct_lane_nor_reaches_the_provider(server, fake):
    assert ask(server, "hurried").headers["x-trunkline-lane"] == "direct"
    assert "request_timeout" not in fake.last.json


def test_a_call_goes_elsewhere_while_all_places_of_a_deployment_are_taken(server, fake):
    fake.fault(Delay(1), Delay(1))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: ask(server, "narrow"), range(2)))
    served = {answer.headers["x-litellm-model-id"] for answer in answers}
    assert served == {"one-place", "more-places"}
