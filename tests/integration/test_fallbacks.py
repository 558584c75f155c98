"""Who stands in for a model that fails, and with which fields of the request it is asked."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fakes import FakeAnthropic, FakeOpenAI, Hang, Status
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers

SECRET = "sk-upstream-5ecret-c4nary"
ELSEWHERE = "http://elsewhere.invalid"
HI = [{"role": "user", "content": "Hi"}]
SHORTER = [{"role": "user", "content": "In short: Hi"}]


@pytest.fixture(scope="module")
def failing(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def standby(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def claude(fakes: Providers) -> FakeAnthropic:
    return fakes(FakeAnthropic)


@pytest.fixture(autouse=True)
def _the_first_fails(failing: FakeOpenAI, fakes: Providers) -> None:
    fakes.reset()
    failing.fault(Status(500), always=True)


@pytest.fixture(scope="module")
def server(
    module_gateway: Gateways, failing: FakeOpenAI, standby: FakeOpenAI, claude: FakeAnthropic
) -> Gateway:
    def entry(group: str, fake: FakeOpenAI | FakeAnthropic, **params: Any) -> dict[str, Any]:
        provider = "anthropic" if fake is claude else "openai"
        base = fake.url if fake is claude else f"{fake.url}/v1"
        own = {"model": f"{provider}/{group}", "api_base": base, "api_key": SECRET}
        return {"model_name": group, "litellm_params": own | params, "model_info": {"id": group}}

    cool = {"model": "cool", "temperature": 0, "max_tokens": 7}
    return module_gateway(
        {
            "model_list": [
                *(
                    entry(group, failing)
                    for group in ("gpt short chain siblings hurried elsewhere plain broken".split())
                ),
                entry("cool", standby),
                entry("itself", standby),
                entry("next", standby),
                entry("converted", standby, lane="litellm"),
                entry("claude", claude),
            ],
            "router_settings": {
                "num_retries": 0,
                "disable_cooldowns": True,
                "fallbacks": [
                    {"gpt": [cool]},
                    {"short": [{"model": "converted", "messages": SHORTER}]},
                    {"itself": [{"model": "itself", "max_tokens": 5}]},
                    {"chain": [{"model": "broken", "temperature": 0, "max_tokens": 7}]},
                    {"broken": [{"model": "next", "max_tokens": 9}]},
                    {"siblings": [{"model": "plain", "temperature": 0}, "next"]},
                    {"hurried": [{"model": "next", "timeout": 0.5, "num_retries": 1}]},
                    {"elsewhere": [cool | {"api_base": ELSEWHERE, "api_key": "sk-other"}]},
                ],
                "default_fallbacks": [],
            },
        }
    )


def ask(server: Gateway, group: str, **fields: Any) -> httpx.Response:
    body = {"model": group, "messages": HI, **fields}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)


@pytest.mark.criterion("R14.3")
@pytest.mark.parametrize("stream", [False, True])
def test_a_fallbacks_own_fields_take_the_place_of_the_requests(server, standby, stream):
    answer = ask(server, "gpt", temperature=1, seed=3, stream=stream)
    assert answer.status_code == 200
    assert answer.headers["x-litellm-attempted-fallbacks"] == "1"
    assert answer.headers["content-type"].startswith("text/event-stream") == stream
    sent = standby.last.json
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("cool", 0, 7)
    assert (sent["messages"], sent["seed"]) == (HI, 3)


@pytest.mark.criterion("R14.3")
def test_a_fallbacks_own_messages_reach_a_provider_through_litellm_too(server, standby):
    answer = ask(server, "short")
    assert answer.headers["x-trunkline-lane"] == "litellm"
    assert standby.last.json["messages"] == SHORTER
    assert "In short: Hi" in answer.json()["choices"][0]["message"]["content"]


@pytest.mark.criterion("R14.3")
def test_a_model_can_stand_in_for_itself_with_other_fields(server, standby):
    standby.fault(Status(400), always=True, when=lambda request: "max_tokens" not in request.json)
    assert ask(server, "itself").status_code == 200
    assert [request.json.get("max_tokens") for request in standby.requests] == [None, 5]


@pytest.mark.criterion("R14.3")
def test_who_stands_in_for_a_fallback_is_asked_with_its_fields_too(server, failing, standby):
    assert ask(server, "chain").status_code == 200
    assert failing.last.json["max_tokens"] == 7
    sent = standby.last.json
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("next", 0, 9)


@pytest.mark.criterion("R14.3")
def test_the_next_fallback_is_asked_without_them(server, failing, standby):
    assert ask(server, "siblings", temperature=1).status_code == 200
    assert [request.json["temperature"] for request in failing.requests] == [1, 0]
    assert standby.last.json["temperature"] == 1


@pytest.mark.criterion("R14.4")
def test_a_fallback_may_have_a_time_limit_and_retries_of_its_own(server, standby):
    standby.fault(Hang(), always=True)
    answer = ask(server, "hurried")
    assert answer.status_code == 408
    assert "0.5" in answer.json()["error"]["message"]
    assert len(standby.requests) == 2
    assert not {"timeout", "num_retries"} & standby.last.json.keys()


@pytest.mark.criterion("R11.1")
def test_a_fallback_changes_neither_address_nor_key_of_its_model(server, standby):
    assert ask(server, "elsewhere").status_code == 200
    assert standby.last.headers["authorization"] == f"Bearer {SECRET}"
    assert not {"api_base", "api_key"} & standby.last.json.keys()
    for name in ("api_base", "api_key"):
        told = f"fallbacks[7].elsewhere[0].{name}: a fallback can't set this; it has no effect"
        assert told in server.log()
    assert "sk-other" not in server.log()


@pytest.mark.criterion("R14.3")
@pytest.mark.parametrize(
    ("fallbacks", "expected"),
    [
        (["next"], ("next", 1)),
        (["unheard-of", "next"], ("next", 1)),
        ([{"model": "next", "temperature": 0}], ("next", 0)),
        ([{"model": "plain", "temperature": 0}, "next"], ("next", 1)),
        ([{"plain": ["next"]}], ("next", 1)),
        ([{"plain": [{"model": "next", "temperature": 0}]}], ("next", 0)),
        ([{"*": ["next"]}], ("next", 1)),
    ],
)
def test_a_request_may_name_fallbacks_and_their_fields(server, standby, fallbacks, expected):
    answer = ask(server, "plain", temperature=1, fallbacks=fallbacks)
    assert answer.status_code == 200
    sent = standby.last.json
    assert (sent["model"], sent["temperature"]) == expected
    assert "fallbacks" not in sent


@pytest.mark.criterion("R14.3")
def test_fallbacks_for_another_model_leave_a_request_without_any(server, standby):
    assert ask(server, "gpt", fallbacks=[{"other": ["next"]}]).status_code == 500
    assert not standby.requests


def test_messages_are_in_the_shape_of_the_api_that_was_called(server, claude):
    claude.fault(Status(500), when=lambda request: request.json["max_tokens"] == 5)
    body = {
        "model": "claude",
        "max_tokens": 5,
        "messages": HI,
        "fallbacks": [{"model": "claude", "max_tokens": 9}],
    }
    answer = httpx.post(f"{server.url}/v1/messages", json=body, timeout=60)
    assert answer.status_code == 200
    assert claude.last.json["max_tokens"] == 9


@pytest.mark.criterion("R11.1")
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"api_base": ELSEWHERE}, "api_base"),
        ({"base_url": ELSEWHERE}, "base_url"),
        ({"api_key": "sk-mine"}, "api_key"),
        ({"custom_llm_provider": "openai"}, "custom_llm_provider"),
        ({"extra_headers": {"x-a": "b"}}, "extra_headers"),
        ({"extra_body": {"api_base": ELSEWHERE}}, "extra_body.api_base"),
        ({"callbacks": ["x"]}, "callbacks"),
        ({"langfuse_host": ELSEWHERE}, "langfuse_host"),
        ({"mock_response": "x"}, "mock_response"),
        ({"input_cost_per_token": 0}, "input_cost_per_token"),
        ({"metadata": {"tags": ["paid"]}}, "metadata"),
        ({"stream": True}, "stream"),
        ({"num_retries": 1000}, "num_retries"),
    ],
)
@pytest.mark.parametrize("by_group", [False, True])
def test_what_configuration_decides_no_fallback_of_a_request_sets(
    server, failing, standby, fields, param, by_group
):
    stand_in = {"model": "next", **fields}
    fallbacks: list[Any] = [{"plain": [stand_in]}] if by_group else [stand_in]
    answer = ask(server, "plain", fallbacks=fallbacks)
    place = "fallbacks[0].plain[0]" if by_group else "fallbacks[0]"
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == f"{place}.{param}"
    assert not failing.requests
    assert not standby.requests


@pytest.mark.parametrize(
    ("fallbacks", "param"),
    [
        ("next", "fallbacks"),
        ({"plain": ["next"]}, "fallbacks"),
        ([3], "fallbacks[0]"),
        ([""], "fallbacks[0]"),
        ([{"model": None}], "fallbacks[0]"),
        ([{"plain": "next"}], "fallbacks[0].plain"),
        ([{"plain": [3]}], "fallbacks[0].plain[0]"),
        (["next", {"model": "next", "timeout": "soon"}], "fallbacks[1]"),
        ([{"model": "next", "messages": "Hi"}], "fallbacks[0]"),
        ([{"model": "next", "messages": None}], "fallbacks[0]"),
    ],
)
def test_fallbacks_that_are_none_are_refused_by_name(server, failing, fallbacks, param):
    answer = ask(server, "plain", fallbacks=fallbacks)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert not failing.requests


def test_fields_of_a_wrong_type_are_refused_before_anybody_is_asked(server, failing):
    body = {"model": "plain", "input": "Hi", "fallbacks": [{"model": "next", "input": 3}]}
    answer = httpx.post(f"{server.url}/v1/embeddings", json=body, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "fallbacks"
    assert "'input'" in answer.json()["error"]["message"]
    assert not failing.requests
