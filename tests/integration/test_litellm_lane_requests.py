"""Requests that lack what LiteLLM's functions need: the client's fault, and told as such."""

from __future__ import annotations

import httpx
import pytest

from tests.fakes import FakeOpenAI
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, openai: FakeOpenAI) -> Gateway:
    params = {"model": "openai/gpt-4o-mini", "api_base": openai.base_url, "api_key": "sk-up"}
    model = {"model_name": "gpt", "litellm_params": {**params, "lane": "litellm"}}
    return module_gateway({"model_list": [model]})


@pytest.mark.parametrize(
    ("path", "param"),
    [("/v1/containers", "name"), ("/v1/threads/thread_1/messages", "role")],
)
def test_a_field_that_is_missing_is_named_and_not_asked_for_twice(server, openai, path, param):
    answer = httpx.post(f"{server.url}{path}", params={"model": "gpt"}, json={}, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["param"] == param
    assert openai.requests == []
