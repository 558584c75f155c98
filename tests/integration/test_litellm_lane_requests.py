"""Requests to a gateway whose deployments all take the litellm lane."""

from __future__ import annotations

import httpx
import pytest
from openai import OpenAI

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
    before = len(openai.requests)
    answer = httpx.post(f"{server.url}{path}", params={"model": "gpt"}, json={}, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["param"] == param
    assert len(openai.requests) == before


def test_a_run_streams_its_events_to_openai_s_client(server):
    client = OpenAI(base_url=f"{server.url}/v1", api_key="any")
    assistant = client.beta.assistants.create(model="gpt")
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "one two"}])
    with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        assert "".join(stream.text_deltas) == "echo: one two"
        assert stream.get_final_run().status == "completed"


def test_a_container_s_files_are_downloaded_as_they_are(server):
    client = OpenAI(base_url=f"{server.url}/v1", api_key="any")
    container = client.containers.create(name="work")
    made = client.containers.files.create(container.id, file=("a.bin", b"\x00\x01"))
    got = client.containers.files.content.retrieve(made.id, container_id=container.id)
    assert got.read() == b"\x00\x01"
    assert got.response.headers["content-type"] == "application/octet-stream"
    assert got.response.headers["x-trunkline-lane"] == "litellm"
