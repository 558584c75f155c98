"""Files, batches, jobs, stores, threads and what else lives with the provider."""

from __future__ import annotations

import http.client
import json
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.fakes import CutMidStream, FakeOpenAI, Status

pytestmark = [
    pytest.mark.criterion("R1.1", "R1.2"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # OpenAI's own, of assistants
]

KEY = "sk-tester"


def deployment(name: str, fake: FakeOpenAI, model: str = "gpt-4o") -> dict[str, Any]:
    return {
        "model_name": name,
        "litellm_params": {
            "model": f"openai/{model}",
            "api_base": fake.base_url,
            "api_key": "sk-provider",
        },
    }


@pytest.fixture(scope="module")
def provider(fakes):
    return fakes(FakeOpenAI, keys=["sk-provider"])


@pytest.fixture(scope="module")
def server(module_gateway, provider):
    return module_gateway(
        {
            "model_list": [
                deployment("smart", provider),
                deployment("small", provider, "gpt-4o-mini"),
            ],
            "general_settings": {"master_key": KEY},
        }
    )


@pytest.fixture(scope="module")
def client(server):
    with OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def test_a_file_lives_from_its_upload_to_its_deletion(client, provider):
    made = client.files.create(
        file=("a b.txt", b"hello\x00\xff", "text/plain"), purpose="user_data"
    )
    assert provider.last.headers["authorization"] == "Bearer sk-provider"
    [sent] = provider.last.files
    assert (sent.name, sent.filename, sent.content_type) == ("file", "a b.txt", "text/plain")
    assert sent.body == b"hello\x00\xff"
    assert client.files.retrieve(made.id).id == made.id
    assert client.files.content(made.id).read() == b"hello\x00\xff"
    assert [one.id for one in client.files.list(purpose="user_data")] == [made.id]
    assert ("purpose", "user_data") in provider.last.query
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


def test_one_account_has_the_providers_own_ids(client, provider):
    made = client.files.create(file=b"x", purpose="user_data")
    assert made.id in provider.objects["/files"]


def test_a_batch_asks_the_provider_for_its_own_models(client, provider):
    lines = [
        {"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": body}
        for n, body in enumerate(
            (
                {"model": "smart", "messages": [{"role": "user", "content": "é"}]},
                {"model": "small", "messages": [{"role": "user", "content": "b"}]},
                {"model": "gpt-unknown", "messages": []},
            )
        )
    ]
    text = "\n".join(json.dumps(line) for line in lines) + "\n"
    made = client.files.create(file=("in.jsonl", text.encode()), purpose="batch")
    [sent] = provider.last.files
    models = [json.loads(line)["body"]["model"] for line in sent.body.splitlines()]
    assert models == ["gpt-4o", "gpt-4o-mini", "gpt-unknown"]
    assert sent.body.splitlines()[2].decode() == json.dumps(lines[2])
    batch = client.batches.create(
        input_file_id=made.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch = client.batches.retrieve(batch.id)
    assert batch.status == "completed"
    assert batch.output_file_id
    assert client.files.content(batch.output_file_id).text.count("custom_id") == 3
    assert [one.id for one in client.batches.list(limit=5)] == [batch.id]
    assert ("limit", "5") in provider.last.query


def test_a_batch_in_progress_can_be_cancelled(client, provider):
    made = client.files.create(file=("in.jsonl", b'{"body": {}}'), purpose="batch")
    batch = client.batches.create(
        input_file_id=made.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert client.batches.cancel(batch.id).status in {"cancelling", "cancelled"}
    assert provider.last.body == b""


def test_a_fine_tuning_job_names_the_providers_model(client, provider):
    data = client.files.create(file=("train.jsonl", b"{}\n"), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=data.id, model="gpt-4o-mini-2024-07-18")
    assert provider.last.json["model"] == "gpt-4o-mini-2024-07-18"
    assert client.fine_tuning.jobs.retrieve(job.id).id == job.id
    assert list(client.fine_tuning.jobs.list_events(job.id)) is not None
    assert list(client.fine_tuning.jobs.checkpoints.list(job.id)) is not None
    assert [one.id for one in client.fine_tuning.jobs.list()] == [job.id]


def test_a_fine_tuning_job_may_name_a_model_group(client, provider):
    data = client.files.create(file=("train.jsonl", b"{}\n"), purpose="fine-tune")
    client.fine_tuning.jobs.create(training_file=data.id, model="small")
    assert provider.last.json["model"] == "gpt-4o-mini"


def test_vector_stores_hold_files_and_are_searched(client, provider):
    data = client.files.create(file=("facts.txt", b"the sky is blue"), purpose="assistants")
    store = client.vector_stores.create(name="facts")
    client.vector_stores.files.create(vector_store_id=store.id, file_id=data.id)
    assert [one.id for one in client.vector_stores.files.list(store.id)] == [data.id]
    assert list(client.vector_stores.search(store.id, query="sky")) is not None
    client.vector_stores.update(store.id, name="more facts")
    assert provider.last.method == "POST"
    assert client.vector_stores.retrieve(store.id).name == "more facts"
    assert client.vector_stores.files.delete(data.id, vector_store_id=store.id).deleted
    assert client.vector_stores.delete(store.id).deleted


def test_assistants_run_on_threads(client, provider):
    assistant = client.beta.assistants.create(model="smart", name="helper")
    assert provider.last.json["model"] == "gpt-4o"
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "Hi"}])
    client.beta.threads.messages.create(thread.id, role="user", content="How are you?")
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=assistant.id, model="small", poll_interval_ms=10
    )
    assert run.status == "completed"
    created = [
        one for one in provider.requests if one.method == "POST" and one.path.endswith("runs")
    ]
    assert created[-1].json["model"] == "gpt-4o-mini"
    said = client.beta.threads.messages.list(thread.id, order="asc")
    assert [one.role for one in said] == ["user", "user", "assistant"]
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=thread.id)
    assert steps.data
    assert client.beta.threads.delete(thread.id).deleted
    assert client.beta.assistants.delete(assistant.id).deleted


def test_a_run_streams_its_events(client, provider):
    assistant = client.beta.assistants.create(model="smart")
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "one two"}])
    with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        text = "".join(stream.text_deltas)
        stream.until_done()
    assert "one two" in text


def test_containers_hold_files(client, provider):
    container = client.containers.create(name="work")
    made = client.containers.files.create(container.id, file=("a.bin", b"\x00\x01"))
    assert (
        client.containers.files.content.retrieve(made.id, container_id=container.id).read()
        == b"\x00\x01"
    )
    assert [one.id for one in client.containers.files.list(container.id)] == [made.id]
    client.containers.files.delete(made.id, container_id=container.id)
    client.containers.delete(container.id)
    assert provider.last.method == "DELETE"


def test_an_upload_comes_in_parts(client):
    upload = client.uploads.create(
        bytes=6, filename="big.txt", mime_type="text/plain", purpose="user_data"
    )
    parts = [client.uploads.parts.create(upload.id, data=data).id for data in (b"abc", b"def")]
    whole = client.uploads.complete(upload.id, part_ids=parts)
    assert whole.file
    assert client.files.content(whole.file.id).read() == b"abcdef"


def test_a_response_is_read_again_and_deleted(client, provider):
    made = client.responses.create(model="smart", input="Hi")
    assert client.responses.retrieve(made.id).output_text == made.output_text
    assert list(client.responses.input_items.list(made.id))
    follow = client.responses.create(model="smart", input="And?", previous_response_id=made.id)
    assert provider.last.json["previous_response_id"] == made.id
    client.responses.delete(follow.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(follow.id)


def test_what_one_lane_made_is_asked_for_in_the_other(client, provider):
    made = client.responses.create(
        model="smart", input="Hi", extra_body={"extra_body": {"through": "LiteLLM"}}
    )
    assert provider.last.json["through"] == "LiteLLM"
    raw = client.responses.with_raw_response.retrieve(made.id)
    assert raw.headers["x-trunkline-lane"] == "direct"
    assert raw.parse().id == made.id
    assert provider.last.path == f"/v1/responses/{made.id}"


@pytest.mark.parametrize("path", ["..", "%2e%2e", "a%2Fb", "a%5Cb", "%00", "%0a", ".", ""])
def test_an_id_can_not_lead_elsewhere_at_the_provider(server, provider, path):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    headers = {"authorization": f"Bearer {KEY}"}
    connection.request("GET", f"/v1/files/{path}/content", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 400
    assert json.loads(answer.read())["error"]["param"] == "file_id"
    connection.close()
    assert provider.requests == []


def test_an_id_with_characters_of_a_url_stays_an_id(client, provider):
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve("file-1?x=y#z")
    assert provider.last.path == "/v1/files/file-1?x=y#z"
    assert provider.last.query == []


def test_credentials_in_the_query_stay_here(server, provider):
    httpx.get(
        f"{server.url}/v1/files?key={KEY}&api-version=2024-10-21&limit=3",
        headers={"authorization": f"Bearer {KEY}"},
    )
    assert provider.last.query == [("limit", "3")]


def test_a_model_that_nobody_knows_is_refused(client, provider):
    with pytest.raises(openai.NotFoundError) as failure:
        client.beta.assistants.create(model="nobody")
    assert failure.value.code == "model_not_found"
    assert provider.requests == []


def test_what_can_not_be_served_names_the_operation(module_gateway):
    server = module_gateway({"model_list": [{"model_name": "m", "litellm_params": {
        "model": "groq/llama", "api_key": "k", "api_base": "http://127.0.0.1:9"}}]})  # fmt: skip
    answer = httpx.get(f"{server.url}/v1/threads/thread_1")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "operation_not_available"


def test_an_operation_on_objects_does_not_fall_back_to_another_model(client, provider):
    provider.fault(Status(500), always=True)
    with pytest.raises(openai.InternalServerError):
        client.files.list()
    assert {one.path for one in provider.requests} == {"/v1/files"}


def test_a_download_that_breaks_off_breaks_off_for_the_client(client, provider, server):
    made = client.files.create(file=("a.bin", b"x" * 100_000), purpose="user_data")
    provider.fault(CutMidStream(after_chunks=1), always=True)
    url = f"{server.url}/v1/files/{made.id}/content"
    with httpx.stream("GET", url, headers={"authorization": f"Bearer {KEY}"}) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
    assert 0 < answer.num_bytes_downloaded < 100_000
