"""OpenAI's SDK for Azure accepts the fake of Azure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.fakes import ContentPolicyViolation, FakeAzure, ModelNotFound, Status

HELLO: Any = [{"role": "user", "content": "hello there"}]


@pytest.fixture
def fake() -> Iterator[FakeAzure]:
    with FakeAzure(keys=["key-a"]) as fake:
        yield fake


@pytest.fixture
def client(fake: FakeAzure) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        api_key="key-a", azure_endpoint=fake.url, api_version="2024-10-21", max_retries=0
    )


def test_a_deployment_answers_with_verdicts_of_the_content_filter(
    fake: FakeAzure, client: openai.AzureOpenAI
) -> None:
    answer = client.chat.completions.create(model="my-gpt", messages=HELLO).to_dict()
    choice: Any = answer["choices"]
    assert choice[0]["message"]["content"] == "echo: hello there"
    assert choice[0]["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    assert "prompt_filter_results" in answer
    assert fake.last.path == "/openai/deployments/my-gpt/chat/completions"
    assert fake.last.query == [("api-version", "2024-10-21")]
    assert fake.last.headers["api-key"] == "key-a"


def test_a_stream_begins_with_verdicts_on_the_prompt(
    fake: FakeAzure, client: openai.AzureOpenAI
) -> None:
    chunks = list(client.chat.completions.create(model="my-gpt", messages=HELLO, stream=True))
    assert chunks[0].choices == []
    assert "prompt_filter_results" in chunks[0].to_dict()
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[1:])
    assert said == "echo: hello there"


def test_the_version_of_the_api_must_be_named(fake: FakeAzure) -> None:
    body = {"messages": HELLO}
    old = f"{fake.url}/openai/deployments/my-gpt/chat/completions"
    new = f"{fake.url}/openai/v1/chat/completions"
    headers = {"api-key": "key-a"}
    assert httpx.post(old, json=body, headers=headers).status_code == 404
    assert httpx.post(new, json=body | {"model": "my-gpt"}, headers=headers).status_code == 200


def test_other_operations_go_to_their_deployment(
    fake: FakeAzure, client: openai.AzureOpenAI
) -> None:
    assert client.embeddings.create(model="embed", input="x").data
    heard = client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"abc"))
    assert heard.text == "echo: a.mp3 3 bytes"
    assert fake.last.path == "/openai/deployments/whisper-1/audio/transcriptions"
    stored = client.files.create(file=("a.txt", b"abc"), purpose="assistants")
    assert client.files.content(stored.id).read() == b"abc"
    assert fake.last.path == f"/openai/files/{stored.id}/content"


def test_azure_fails_in_its_own_words(fake: FakeAzure, client: openai.AzureOpenAI) -> None:
    def failing(fault: Any) -> Any:
        fake.fault(fault)
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(model="my-gpt", messages=HELLO)
        return caught.value

    filtered = failing(ContentPolicyViolation())
    assert (filtered.status_code, filtered.code) == (400, "content_filter")
    assert filtered.body["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert failing(ModelNotFound()).code == "DeploymentNotFound"
    limited = failing(Status(429))
    assert limited.code == "429"
    assert limited.response.headers["retry-after"] == "6"
    stranger = client.with_options(api_key="other")
    with pytest.raises(openai.AuthenticationError, match="Access denied"):
        stranger.chat.completions.create(model="my-gpt", messages=HELLO)
