"""Retries, fallbacks, timeouts and what the client learns of them."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.fakes import (
    ContentPolicyViolation,
    ContextWindowExceeded,
    CutBeforeHeaders,
    CutMidStream,
    EmptyBody,
    ErrorEventMidStream,
    FakeOpenAI,
    Hang,
    HtmlErrorPage,
    InvalidApiKey,
    MalformedJson,
    Status,
)
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers

SECRET = "sk-upstream-5ecret-c4nary"


@pytest.fixture(scope="module")
def first(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def second(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


def model(name: str, fake: FakeOpenAI, **params) -> dict:
    base = {"model": "openai/gpt-4o-mini", "api_base": f"{fake.url}/v1", "api_key": SECRET}
    return {
        "model_name": name,
        "litellm_params": base | params,
        "model_info": {"id": f"{name}-{fake.port}-{len(params)}"},
    }


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, first: FakeOpenAI, second: FakeOpenAI) -> Gateway:
    return module_gateway(
        {
            "model_list": [
                model("alone", first),
                model("pair", first),
                model("pair", second),
                model("small", first),
                model("large", second),
                model("strict", first),
                model("lenient", second),
                model("unlucky", first),
                model("lucky", second),
                model("hurried", first, timeout=0.5),
                model("hurried-stream", first, timeout=30, stream_timeout=0.5),
                model("last-resort", second),
            ],
            "router_settings": {
                "num_retries": 2,
                "retry_after": 0,
                "disable_cooldowns": True,
                "fallbacks": [{"unlucky": ["lucky"]}],
                "context_window_fallbacks": [{"small": ["large"]}],
                "content_policy_fallbacks": [{"strict": ["lenient"]}],
            },
        }
    )


def ask(server: Gateway, group: str, **fields) -> httpx.Response:
    body = {"model": group, "messages": [{"role": "user", "content": "Hi"}], **fields}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)


FLEETING = [
    Status(500),
    Status(503),
    HtmlErrorPage(502),
    CutBeforeHeaders(),
    CutMidStream(after_chunks=1),
    MalformedJson(),
    EmptyBody(),
]


@pytest.mark.criterion("R14.1")
@pytest.mark.parametrize("fault", FLEETING, ids=lambda fault: type(fault).__name__)
def test_a_fleeting_failure_is_retried(server, first, fault):
    first.fault(fault)
    answer = ask(server, "alone")
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "echo: Hi"
    assert answer.headers["x-litellm-attempted-retries"] == "1"
    assert answer.headers["x-trunkline-retries"] == "1"
    assert len(first.requests) == 2


@pytest.mark.criterion("R14.1")
def test_a_stream_that_fails_before_its_first_event_is_retried(server, first):
    first.fault(CutMidStream(after_chunks=0), ErrorEventMidStream(0))
    answer = ask(server, "alone", stream=True)
    assert answer.status_code == 200
    assert "error" not in answer.text
    assert answer.text.rstrip().endswith("[DONE]")
    assert len(first.requests) == 3


def test_a_stream_that_has_sent_a_byte_is_not_retried(server, first):
    first.fault(CutMidStream(after_chunks=2))
    answer = ask(server, "alone", stream=True)
    assert '"error"' in answer.text
    assert len(first.requests) == 1


@pytest.mark.criterion("R14.1")
def test_retries_are_counted_out(server, first):
    first.fault(Status(500), always=True)
    assert ask(server, "alone").status_code == 500
    assert len(first.requests) == 3


@pytest.mark.criterion("R14.1")
@pytest.mark.parametrize("fields", [{"num_retries": 0}, {"num_retries": 4}])
def test_the_request_may_say_how_often(server, first, fields):
    first.fault(Status(500), always=True)
    ask(server, "alone", **fields)
    assert len(first.requests) == fields["num_retries"] + 1
    assert "num_retries" not in first.last.json


@pytest.mark.criterion("R14.1")
def test_a_retry_goes_to_another_deployment(server, first, second):
    first.fault(Status(500), always=True)
    for _ in range(5):
        assert ask(server, "pair").status_code == 200
    assert len(second.requests) == 5


@pytest.mark.criterion("R14.1")
def test_without_retries_a_group_that_fails_over_asks_each_deployment_once(gateway, first, second):
    server = gateway(
        {
            "model_list": [
                model("group", first, weight=9),
                model("group", first, weight=9, rpm=900),
                model("group", second, weight=1),
                model("last-resort", second),
            ],
            "router_settings": {
                "num_retries": 0,
                "enable_weighted_failover": True,
                "disable_cooldowns": True,
                "fallbacks": [{"group": ["last-resort"]}],
            },
        }
    )
    first.fault(Status(500), always=True)
    for _ in range(10):
        answer = ask(server, "group")
        assert answer.headers["x-litellm-model-group"] == "group"
    second.fault(Status(500), *[None] * 9)
    first.requests.clear()
    assert ask(server, "group").headers["x-litellm-model-group"] == "last-resort"
    assert len(first.requests) == 2


@pytest.mark.criterion("R14.2")
def test_a_retry_waits_for_as_long_as_the_provider_asks(gateway, first):
    server = gateway({"model_list": [model("alone", first)], "router_settings": {"num_retries": 1}})
    first.fault(Status(429, headers={"retry-after": "2"}))
    started = time.monotonic()
    assert ask(server, "alone").status_code == 200
    assert time.monotonic() - started >= 2


@pytest.mark.criterion("R14.2")
def test_a_retry_waits_for_retry_after(gateway, first, second):
    server = gateway(
        {
            "model_list": [model("pair", first), model("pair", second)],
            "router_settings": {"num_retries": 1, "retry_after": 1},
        }
    )
    first.fault(Status(500))
    second.fault(Status(500))
    started = time.monotonic()
    assert ask(server, "pair").status_code == 500
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize(
    ("fault", "status"), [(Status(400), 400), (Status(404), 404), (InvalidApiKey(), 401)]
)
def test_what_would_fail_again_is_not_retried(server, first, fault, status):
    first.fault(fault, always=True)
    assert ask(server, "alone").status_code == status
    assert len(first.requests) == 1


@pytest.mark.criterion("R14.3")
def test_a_prompt_that_is_too_long_goes_to_the_larger_model(server, first, second):
    first.fault(ContextWindowExceeded(), always=True)
    answer = ask(server, "small")
    assert answer.status_code == 200
    assert answer.headers["x-litellm-attempted-fallbacks"] == "1"
    assert answer.headers["x-litellm-model-group"] == "large"
    assert (len(first.requests), len(second.requests)) == (1, 1)


@pytest.mark.criterion("R14.3")
def test_a_refusal_by_policy_goes_to_its_own_fallback(server, first, second):
    first.fault(ContentPolicyViolation(), always=True)
    answer = ask(server, "strict")
    assert answer.status_code == 200
    assert answer.headers["x-litellm-model-group"] == "lenient"


def test_any_other_failure_takes_the_general_fallback(server, first, second):
    first.fault(Status(500), always=True)
    answer = ask(server, "unlucky")
    assert answer.status_code == 200
    assert answer.headers["x-trunkline-fallbacks"] == "1"
    assert (len(first.requests), len(second.requests)) == (3, 1)


def test_the_request_may_name_its_fallbacks(server, first, second):
    first.fault(Status(500), always=True)
    answer = ask(server, "alone", fallbacks=["last-resort"], num_retries=0)
    assert answer.status_code == 200
    assert answer.headers["x-litellm-model-group"] == "last-resort"
    assert ask(server, "unlucky", disable_fallbacks=True, num_retries=0).status_code == 500


@pytest.mark.criterion("R14.4")
@pytest.mark.parametrize(
    ("group", "fields"),
    [
        ("hurried", {}),
        ("hurried-stream", {"stream": True}),
        ("alone", {"timeout": 0.5}),
        ("alone", {"timeout": 0.5, "stream": True}),
        ("alone", {"request_timeout": 0.5}),
        ("alone", {"timeout": 0.5, "request_timeout": 30, "stream_timeout": 30}),
        ("alone", {"stream_timeout": 0.5, "timeout": 30, "stream": True}),
    ],
)
def test_a_provider_that_hangs_is_timed_out(server, first, group, fields):
    first.fault(Hang(), always=True)
    answer = ask(server, group, num_retries=0, **fields)
    assert answer.status_code == 408
    assert "0.5" in answer.json()["error"]["message"]
    assert first.last.wait().disconnected
    assert not {"timeout", "request_timeout", "stream_timeout"} & first.last.json.keys()


@pytest.mark.criterion("R14.4")
def test_request_timeout_holds_for_every_model(gateway, first):
    server = gateway(
        {
            "model_list": [model("alone", first)],
            "litellm_settings": {"request_timeout": 0.5, "num_retries": 0},
        }
    )
    first.fault(Hang(), always=True)
    assert ask(server, "alone").status_code == 408


@pytest.mark.criterion("R14.5")
def test_when_all_fail_the_answer_says_what_was_tried(server, first, second):
    first.fault(Status(500, {"error": {"message": f"key {SECRET} is cursed"}}), always=True)
    second.fault(Status(429), always=True)
    answer = ask(server, "unlucky")
    assert answer.status_code == 429
    error = answer.json()["error"]
    assert [attempt["status"] for attempt in error["attempts"]] == [500] * 3 + [429] * 3
    assert error["attempts"][0]["deployment"].startswith("unlucky")
    assert error["attempts"][0]["error"] == "internal_server"
    assert "Tried 6 times" in error["message"]
    assert answer.headers["x-litellm-attempted-fallbacks"] == "1"
    assert SECRET not in answer.text
    assert SECRET not in server.log()


@pytest.mark.criterion("R14.5")
def test_the_error_is_in_the_shape_of_the_api_that_was_called(server, first):
    first.fault(Status(500), always=True)
    body = {"model": "alone", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    answer = httpx.post(f"{server.url}/v1/messages", json=body, timeout=60)
    assert answer.status_code == 500
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "api_error"
    assert len(answer.json()["error"]["attempts"]) == 3


def test_a_provider_that_is_down_is_503(gateway):
    nobody = {"model": "openai/x", "api_base": "http://127.0.0.1:9/v1", "api_key": SECRET}
    server = gateway(
        {
            "model_list": [{"model_name": "down", "litellm_params": nobody}],
            "router_settings": {"num_retries": 0},
        }
    )
    answer = ask(server, "down")
    assert answer.status_code == 503
    assert answer.json()["error"]["attempts"][0]["error"] == "connection"


def test_a_provider_that_asks_for_rest_gets_it(gateway, first, second):
    """A deployment over its rate limit is left alone for its cooldown; the other one serves."""
    server = gateway(
        {
            "model_list": [model("pair", first), model("pair", second)],
            "router_settings": {"num_retries": 2, "cooldown_time": 60, "retry_after": 0},
        }
    )
    first.fault(Status(429, headers={"retry-after": "60"}), always=True)
    for _ in range(40):
        assert ask(server, "pair").status_code == 200
    assert len(first.requests) == 1
    assert len(second.requests) == 40
