"""What reaches a provider that LiteLLM asks through OpenAI's SDK, call after call."""

from __future__ import annotations

import httpx
import pytest

from tests.fakes import FakeAzure, FakeOpenAI, Status
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def azure(fakes: Providers) -> FakeAzure:
    return fakes(FakeAzure)


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, openai: FakeOpenAI, azure: FakeAzure) -> Gateway:
    def entry(name: str, **params) -> dict:
        return {"model_name": name, "litellm_params": {"lane": "litellm", **params}}

    base = {"model": "openai/gpt-4o-mini", "api_base": openai.base_url}
    return module_gateway(
        {
            "model_list": [
                entry("one", **base, api_key="sk-one"),
                entry("two", **base, api_key="sk-two", extra_headers={"x-team": "two"}),
                entry("azure", model="azure/gpt-4o-mini", api_base=azure.url, api_key="az-key"),
            ],
            "router_settings": {"num_retries": 1, "retry_after": 0, "disable_cooldowns": True},
        }
    )


def ask(server: Gateway, group: str, text: str, **fields) -> httpx.Response:
    body = {"model": group, "messages": [{"role": "user", "content": text}], **fields}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("group", ["one", "azure"])
def test_one_call_after_the_other_differs_in_its_body_alone(server, openai, azure, group):
    provider = azure if group == "azure" else openai
    ask(server, group, "The first")
    ask(server, group, "The second, which is longer: “naïve” 🚂")
    ask(server, group, "The third", stream=True)
    first, second, third = provider.requests
    assert (first.method, first.raw_path) == (second.method, second.raw_path)
    assert first.raw_path == third.raw_path
    varying = {"content-length", "idempotency-key", "date"}

    def steady(request) -> dict[str, str]:
        return {name: value for name, value in request.headers.items() if name not in varying}

    assert steady(first) == steady(second)
    assert second.json["messages"][0]["content"].endswith("“naïve” 🚂")
    assert third.json["stream"] is True
    keys = [request.headers.get("idempotency-key") for request in provider.requests]
    assert len({key for key in keys if key}) in {0, 3}


def test_each_deployment_is_asked_with_what_is_its_own(server, openai):
    for _ in range(2):
        for group in ("one", "two"):
            ask(server, group, "Hi")
    assert [request.key for request in openai.requests] == ["sk-one", "sk-two"] * 2
    assert [request.headers.get("x-team") for request in openai.requests] == [None, "two"] * 2


def test_no_cookie_of_one_answer_goes_out_with_the_next_call(server, openai):
    openai.fault(Status(503, headers={"set-cookie": "session=of-somebody"}))
    ask(server, "one", "Hi")
    assert len(openai.requests) == 2
    assert all("cookie" not in request.headers for request in openai.requests)


def test_a_provider_that_has_moved_is_followed(server, openai):
    moved = Status(307, headers={"location": f"{openai.base_url}/chat/completions"})
    openai.fault(moved, moved)
    assert "Hi" in ask(server, "one", "Hi").text
