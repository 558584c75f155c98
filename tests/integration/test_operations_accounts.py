"""With several accounts, what was made in one is asked for there, whatever the client names."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.fakes import FakeAzure, FakeOpenAI

pytestmark = pytest.mark.criterion("R1.2")

TAGGED = re.compile(r".+_tl_[0-9a-f]{8}")
LINE = json.dumps(
    {
        "custom_id": "1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]},
    }
).encode()


def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


@pytest.fixture(scope="module")
def one(fakes):
    return fakes(FakeOpenAI, keys=["sk-one"])


@pytest.fixture(scope="module")
def two(fakes):
    return fakes(FakeOpenAI, keys=["sk-two"])


@pytest.fixture(scope="module")
def azure(fakes):
    return fakes(FakeAzure, keys=["az-key"])


@pytest.fixture(scope="module")
def server(module_gateway, one, two, azure):
    return module_gateway(
        {
            "model_list": [
                entry("cloud", "azure/gpt-4o", api_base=azure.url, api_key="az-key"),
                entry("first", "openai/gpt-4o", api_base=one.base_url, api_key="sk-one"),
                entry("second", "openai/gpt-4o", api_base=two.base_url, api_key="sk-two"),
                entry("both", "openai/gpt-4o", api_base=one.base_url, api_key="sk-one"),
                entry("both", "openai/gpt-4o", api_base=two.base_url, api_key="sk-two"),
            ]
        }
    )


@pytest.fixture(scope="module")
def client(server):
    with OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
        yield client


def upload(client: OpenAI, **hints: Any) -> str:
    return client.files.create(file=("a.jsonl", LINE), purpose="user_data", **hints).id


def test_without_a_hint_the_default_account_is_the_first_of_openai(client, one, two, azure):
    made = upload(client)
    assert len(one.requests) == 1
    assert two.requests == azure.requests == []
    assert TAGGED.fullmatch(made)


@pytest.mark.parametrize(
    "hints",
    [
        {"extra_body": {"model": "second"}},
        {"extra_body": {"target_model_names": "second"}},
        {"extra_query": {"model": "second"}},
        {"extra_query": {"target_model_names": "second"}},
        {"extra_headers": {"x-litellm-model": "second"}},
    ],
)
def test_a_model_leads_to_its_account(client, one, two, hints):
    upload(client, **hints)
    assert len(two.requests) == 1
    assert one.requests == []
    assert two.last.query == []
    assert "target_model_names" not in two.last.form


@pytest.mark.parametrize(
    "hints",
    [
        {"extra_body": {"custom_llm_provider": "azure"}},
        {"extra_query": {"custom_llm_provider": "azure"}},
        {"extra_headers": {"custom-llm-provider": "azure"}},
    ],
)
def test_a_provider_leads_to_its_account(client, azure, hints):
    upload(client, **hints)
    assert azure.last.path == "/openai/files"
    assert [name for name, _ in azure.last.query] == ["api-version"]
    assert "custom_llm_provider" not in azure.last.form


def test_a_provider_in_the_path_leads_to_its_account(server, azure):
    answer = httpx.get(f"{server.url}/azure/v1/files")
    assert answer.status_code == 200
    assert azure.last.path == "/openai/files"


def test_an_id_leads_back_to_the_account_that_made_it(client, one, two, azure):
    ids = {
        fake: upload(client, extra_headers={"x-litellm-model": model})
        for fake, model in ((one, "first"), (two, "second"), (azure, "cloud"))
    }
    assert len(set(ids.values())) == 3
    for fake, made in ids.items():
        assert client.files.retrieve(made).id == made
        own = made.partition("_tl_")[0]
        assert fake.last.path.endswith(f"/files/{own}")
        assert client.files.content(made).read() == LINE
        assert client.files.delete(made).id == made
        assert fake.last.method == "DELETE"


def test_pages_are_walked_through_within_an_account(client, two):
    made = [upload(client, extra_headers={"x-litellm-model": "second"}) for _ in range(3)]
    stores = [client.vector_stores.create(file_ids=[made[0]]).id for _ in range(3)]
    assert {one.json["file_ids"][0] for one in two.requests[-3:]} == {made[0].partition("_tl_")[0]}
    page = client.vector_stores.list(limit=2, extra_headers={"x-litellm-model": "second"})
    assert [one.id for one in page] == stores[::-1]


def test_objects_that_are_named_in_a_body_bind_the_call(client, two):
    made = upload(client, extra_headers={"x-litellm-model": "second"})
    batch = client.batches.create(
        input_file_id=made, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert two.last.json["input_file_id"] == made.partition("_tl_")[0]
    assert batch.input_file_id == made
    assert TAGGED.fullmatch(batch.id)
    assert client.batches.retrieve(batch.id).id == batch.id


def test_a_group_in_several_accounts_is_asked_where_the_objects_are(client, one, two):
    made = upload(client, extra_headers={"x-litellm-model": "second"})
    one.requests.clear()
    two.requests.clear()
    for _ in range(6):
        client.chat.completions.create(
            model="both",
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": f"What is {made}?"},
                        {"type": "file", "file": {"file_id": made}},
                    ],
                }
            ],
        )
    assert one.requests == []
    content = two.last.json["messages"][0]["content"]
    assert content[1]["file"]["file_id"] == made.partition("_tl_")[0]
    assert content[0]["text"] == f"What is {made}?"


@pytest.mark.parametrize("streaming", [False, True])
def test_a_conversation_stays_with_the_account_that_keeps_it(client, one, two, streaming):
    made = client.responses.create(
        model="second", input="Hi", extra_body={"metadata": {"id": "mine"}}
    )
    one.requests.clear()
    if streaming:
        with client.responses.create(
            model="both", input="And?", previous_response_id=made.id, stream=True
        ) as events:
            completed = list(events)[-1]
        follow = completed.response
    else:
        follow = client.responses.create(model="both", input="And?", previous_response_id=made.id)
    assert one.requests == []
    assert two.last.json["previous_response_id"] == made.id.partition("_tl_")[0]
    assert TAGGED.fullmatch(follow.id)
    assert follow.previous_response_id == made.id
    assert client.responses.retrieve(follow.id).id == follow.id
    assert client.responses.retrieve(made.id).metadata == {"id": "mine"}


def test_objects_of_two_accounts_do_not_mix(client, one, two):
    ids = [upload(client, extra_headers={"x-litellm-model": m}) for m in ("first", "second")]
    one.requests.clear()
    two.requests.clear()
    with pytest.raises(openai.BadRequestError, match="more than one provider's account"):
        client.vector_stores.create(file_ids=ids)
    with pytest.raises(openai.BadRequestError, match="not in the account"):
        client.responses.create(
            model="first",
            input=[{"role": "user", "content": [{"type": "input_file", "file_id": ids[1]}]}],
        )
    assert one.requests == two.requests == []


def test_an_id_that_is_not_from_here_goes_to_the_default_account(client, one):
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve("file-of-long-ago")
    assert one.last.path == "/v1/files/file-of-long-ago"


def test_an_id_of_an_account_that_is_gone_is_still_asked_for(client, one):
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve("file-abc_tl_00000000")
    assert one.last.path == "/v1/files/file-abc"


def test_a_batch_file_goes_where_its_models_are(client, one, two):
    text = LINE.replace(b"gpt-4o", b"second")
    made = client.files.create(file=("in.jsonl", text), purpose="batch")
    assert one.requests == []
    [sent] = two.last.files
    assert json.loads(sent.body)["body"]["model"] == "gpt-4o"
    assert client.files.retrieve(made.id).id == made.id


def test_a_model_that_is_asked_for_twice_over_is_refused(client):
    with pytest.raises(openai.BadRequestError, match="one model"):
        upload(client, extra_body={"target_model_names": "first,second"})
