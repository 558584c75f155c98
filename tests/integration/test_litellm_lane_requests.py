"""Requests to a gateway whose deployments all take the litellm lane."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.fakes import FakeGemini, FakeOpenAI
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def gemini(fakes: Providers) -> FakeGemini:
    return fakes(FakeGemini)


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, openai: FakeOpenAI, gemini: FakeGemini) -> Gateway:
    models = {
        name: {"model": model, "api_base": fake.base_url, "api_key": "sk-up", "lane": "litellm"}
        for name, model, fake in (
            ("gpt", "openai/gpt-4o-mini", openai),
            ("gem", "gemini/gemini-2.0-flash", gemini),
        )
    }
    tool = {"search_provider": "tavily", "api_key": "tv", "api_base": openai.url}
    return module_gateway(
        {
            "model_list": [
                {"model_name": name, "litellm_params": params} for name, params in models.items()
            ],
            "search_tools": [{"search_tool_name": "web", "litellm_params": tool}],
        }
    )


def post(server: Gateway, path: str, body: dict[str, Any], **more: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", json=body, timeout=60, **more)


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


USER = {"role": "user", "content": "hi"}
CHAT = "/v1/chat/completions"
GENERATE = "/v1beta/models/{model}:generateContent"


@pytest.mark.parametrize("model", ["gpt", "gem"])
@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        (CHAT, {"messages": [USER, {"role": "user", "content": [5]}]}, "messages[1].content[0]"),
        (CHAT, {"messages": [USER], "tools": 5}, "tools"),
        (CHAT, {"messages": [USER], "response_format": "json"}, "response_format"),
        ("/v1/completions", {"prompt": [[]]}, "prompt[0]"),
        ("/v1/responses", {"input": 5}, "input"),
        ("/v1/responses", {"input": "hi", "tools": 5}, "tools"),
        ("/utils/token_counter", {"messages": ["hi"]}, "messages[0]"),
    ],
)
def test_a_field_of_a_wrong_type_is_named(server, path, body, param, model):
    answer = post(server, path, {"model": model, **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error["param"], error["code"]) == (param, "invalid_type")
    assert error["message"].startswith(f"Invalid type for '{param}': expected a")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/embeddings", {"model": "gpt", "input": "hi", "encoding_format": 5},
         "encoding_format"),
        ("/v1/search", {"search_tool_name": "web", "query": ["a", 5]}, "query[1]"),
        ("/v1/fine_tuning/jobs", {"training_file": "f", "hyperparameters": 5}, "hyperparameters"),
        ("/v1/fine_tuning/jobs", {"training_file": "f", "suffix": 5}, "suffix"),
        ("/v1/fine_tuning/jobs", {"training_file": "f", "seed": "x"}, "seed"),
        ("/v1/batches", {"input_file_id": "f", "endpoint": "/v1/embeddings", "metadata": 5},
         "metadata"),
        ("/v1/audio/transcriptions", {"model": "gpt", "file": "x"}, "file"),
        ("/v1/images/variations", {"model": "gpt", "image": "x"}, "image"),
        ("/v1/files", {"file": "x", "purpose": "batch"}, "file"),
        ("/v1/containers", {"name": 5}, "name"),
    ],
)  # fmt: skip
def test_a_field_of_a_wrong_type_is_named_by_other_operations(server, path, body, param):
    answer = post(server, path, body, params={"model": "gpt"} if "model" not in body else {})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("model", ["gpt", "gem"])
@pytest.mark.parametrize("changed", [{"tools": 5}, {"metadata": 5}, {"tools": ["x"]}])
def test_a_field_of_a_wrong_type_is_named_to_anthropic_s_clients(server, model, changed):
    body = {"model": model, "messages": [USER], "max_tokens": 9, **changed}
    answer = post(server, "/v1/messages", body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert f"'{next(iter(changed))}" in error["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": [{"role": "user", "content": [5]}]},
        {"messages": [USER], "system": [{}]},
        {"messages": [USER], "tools": 5},
        {"messages": [{"role": "user", "content": [{"type": "no such type"}]}]},
    ],
)
def test_tokens_of_odd_messages_are_not_counted(server, wrong):
    answer = post(server, "/v1/messages/count_tokens", {"model": "gem", **wrong})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"contents": ["hi"]}, "contents[0]"),
        ({"contents": [{"role": "user", "parts": 5}]}, "contents[0].parts"),
        ({"contents": [], "systemInstruction": "be brief"}, "systemInstruction"),
        ({"contents": [], "generationConfig": 5}, "generationConfig"),
        ({"contents": [], "tools": [5]}, "tools[0]"),
        ({"contents": [], "toolConfig": 5}, "toolConfig"),
    ],
)
def test_a_field_of_a_wrong_type_is_named_to_google_s_clients(server, body, param):
    answer = post(server, GENERATE.format(model="gpt"), body)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert f"'{param}'" in error["message"]


@pytest.mark.parametrize("part", [{"type": "no such type"}, {"no": "type"}])
def test_a_message_that_can_not_be_translated_is_the_request_s_fault(server, openai, part):
    before = len(openai.requests)
    answer = post(server, CHAT, {"model": "gpt", "messages": [{"role": "user", "content": [part]}]})
    assert answer.status_code == 400
    assert "litellm" not in answer.text.lower()
    assert len(openai.requests) == before


def test_an_answer_that_can_not_be_read_is_never_the_request_s_fault(server, openai):
    openai.answer(body={"object": "chat.completion", "choices": 5}, always=True)
    answer = post(server, CHAT, {"model": "gpt", "messages": [USER], "num_retries": 0})
    openai.reset()
    assert answer.status_code >= 500


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/images/generations", {"prompt": "a cat", "stream": True}, "stream"),
        ("/v1/audio/speech", {"input": "hi", "voice": "alloy", "stream_format": "sse"},
         "stream_format"),
    ],
)  # fmt: skip
def test_what_can_not_be_streamed_is_refused(server, openai, path, body, param):
    before = len(openai.requests)
    answer = post(server, path, {"model": "gpt", **body})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert len(openai.requests) == before


def test_a_transcription_is_never_a_stream_inside_json(server):
    form = {"model": "gpt", "stream": "true"}
    files = {"file": ("talk.mp3", b"ID3audio", "audio/mpeg")}
    answer = httpx.post(f"{server.url}/v1/audio/transcriptions", data=form, files=files, timeout=60)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "stream")


def test_a_conversation_goes_on_only_where_it_is_kept(server):
    for model, status in (("gpt", 200), ("gem", 400)):
        first = post(server, "/v1/responses", {"model": model, "input": "hi"}).json()
        more = {"input": "and then?", "previous_response_id": first["id"]}
        answer = post(server, "/v1/responses", {"model": model, **more})
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["error"]["param"] == "previous_response_id"


def test_what_a_provider_does_not_do_is_told(server):
    image = {"image": ("a.png", b"PNG", "image/png")}
    path = f"{server.url}/v1/images/variations"
    answer = httpx.post(path, data={"model": "gem"}, files=image, timeout=60)
    assert answer.status_code == 400


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
