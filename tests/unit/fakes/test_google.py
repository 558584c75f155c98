"""google-genai's SDK and google-auth accept the fakes of Gemini and Vertex."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from google import genai
from google.auth.transport.requests import Request
from google.genai import errors, types
from google.oauth2 import service_account

from tests.fakes import (
    ContentPolicyViolation,
    ContextWindowExceeded,
    ErrorEventMidStream,
    FakeGemini,
    FakeVertex,
    ModelNotFound,
    Status,
    Tokens,
)

MODEL = "gemini-2.5-flash"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
ASKED = {"contents": [{"parts": [{"text": "hello there"}]}]}


@pytest.fixture
def fake() -> Iterator[FakeGemini]:
    with FakeGemini(keys=["key-a"]) as fake:
        yield fake


@pytest.fixture
def client(fake: FakeGemini) -> genai.Client:
    return genai.Client(api_key="key-a", http_options=types.HttpOptions(base_url=fake.url))


def test_content_echoes_and_counts(fake: FakeGemini, client: genai.Client) -> None:
    answer = client.models.generate_content(model=MODEL, contents="hello there")
    assert answer.text == "echo: hello there"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count == 5
    assert fake.last.path.endswith(f"/models/{MODEL}:generateContent")
    assert fake.last.headers["x-goog-api-key"] == "key-a"


def test_thoughts_are_streamed_and_counted_apart(fake: FakeGemini, client: genai.Client) -> None:
    fake.answer("fine", reasoning="deep thought", usage=Tokens(input=9, output=7, reasoning=4))
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(include_thoughts=True)
    )
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="x", config=config))
    parts = [part for chunk in chunks for part in chunk.parts or []]
    assert [part.text for part in parts if part.thought] == ["deep", " thought"]
    usage = chunks[-1].usage_metadata
    assert usage is not None
    assert (usage.thoughts_token_count, usage.candidates_token_count) == (4, 3)


def test_functions_are_called_and_answered(fake: FakeGemini, client: genai.Client) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    declared = types.FunctionDeclaration(name="weather", parameters_json_schema=schema)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    first = client.models.generate_content(model=MODEL, contents="hello", config=config)
    assert first.function_calls is not None
    assert first.function_calls[0].args == {"city": "echo: hello"}
    result = types.Part.from_function_response(name="weather", response={"degrees": 18})
    contents: Any = ["hello", first.candidates and first.candidates[0].content, result]
    second = client.models.generate_content(model=MODEL, contents=contents, config=config)
    assert second.text == 'echo: {"degrees":18}'


def test_a_schema_is_satisfied(fake: FakeGemini, client: genai.Client) -> None:
    schema = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=schema
    )
    answer = client.models.generate_content(model=MODEL, contents="hello", config=config)
    assert answer.text == '{"city":"echo: hello"}'


def test_tokens_embeddings_and_models(fake: FakeGemini, client: genai.Client) -> None:
    assert client.models.count_tokens(model=MODEL, contents="one two").total_tokens == 2
    found = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"])
    assert found.embeddings is not None
    assert [len(one.values or []) for one in found.embeddings] == [8, 8]
    assert f"models/{MODEL}" in [model.name for model in client.models.list()]


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        (Status(429), 429, "RESOURCE_EXHAUSTED"),
        (Status(503), 503, "UNAVAILABLE"),
        (ContextWindowExceeded(), 400, "INVALID_ARGUMENT"),
        (ModelNotFound(), 404, "NOT_FOUND"),
    ],
    ids=repr,
)
def test_google_fails_in_its_own_words(
    fake: FakeGemini, client: genai.Client, fault: Any, code: int, status: str
) -> None:
    fake.fault(fault)
    with pytest.raises(errors.APIError) as caught:
        client.models.generate_content(model=MODEL, contents="hello")
    assert (caught.value.code, caught.value.status) == (code, status)


def test_a_blocked_prompt_is_answered_without_candidates(
    fake: FakeGemini, client: genai.Client
) -> None:
    fake.fault(ContentPolicyViolation())
    answer = client.models.generate_content(model=MODEL, contents="hello")
    assert answer.candidates is None
    assert answer.prompt_feedback is not None
    assert answer.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT


def test_a_stream_can_fail_in_the_middle(fake: FakeGemini, client: genai.Client) -> None:
    fake.fault(ErrorEventMidStream(1))
    chunks = client.models.generate_content_stream(model=MODEL, contents="hello")
    assert next(chunks).text == "echo:"
    with pytest.raises(errors.ServerError, match="overloaded"):
        next(chunks)


def test_without_alt_sse_a_stream_is_an_array(fake: FakeGemini) -> None:
    url = f"{fake.url}/v1beta/models/{MODEL}:streamGenerateContent"
    whole = httpx.post(f"{url}?key=key-a", json=ASKED).json()
    assert len(whole) == 3
    assert whole[-1]["candidates"][0]["finishReason"] == "STOP"
    fake.fault(ErrorEventMidStream(1))
    assert "error" in httpx.post(f"{url}?key=key-a", json=ASKED).json()[-1]
    assert "error" in httpx.post(f"{url}?key=wrong", json=ASKED).json()[0]
    events = httpx.post(f"{url}?alt=sse&key=key-a", json=ASKED).text
    assert events.count("data: ") == events.count("\r\n\r\n") == 3


def test_a_service_account_gets_its_tokens_on_loopback() -> None:
    with FakeVertex(keys=[]) as fake:
        credentials: Any = service_account.Credentials.from_service_account_info(
            fake.service_account(), scopes=[SCOPE]
        )
        client = genai.Client(
            vertexai=True,
            project="p",
            location="us-central1",
            credentials=credentials,
            http_options=types.HttpOptions(base_url=fake.url, api_version="v1"),
        )
        assert client.models.generate_content(model=MODEL, contents="hello").text == "echo: hello"
        place = "/v1/projects/p/locations/us-central1/publishers/google/models/"
        assert fake.last.path == f"{place}{MODEL}:generateContent"
        streamed = client.models.generate_content_stream(model=MODEL, contents="hello")
        assert "".join(chunk.text or "" for chunk in streamed) == "echo: hello"
        assert len([one for one in fake.requests if one.path == "/token"]) == 1
        url = fake.url + fake.last.raw_path
        refused = httpx.post(url, json=ASKED, headers={"Authorization": "Bearer ya29.no"})
        assert refused.status_code == 401


def test_a_forged_assertion_gets_no_token() -> None:
    with FakeVertex(keys=[]) as fake:
        grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        form = {"grant_type": grant, "assertion": "e30.e30.AAAA"}
        refused = httpx.post(fake.token_uri, data=form)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_anthropics_models_answer_on_vertex() -> None:
    with FakeVertex(keys=[]) as fake:
        credentials: Any = service_account.Credentials.from_service_account_info(
            fake.service_account(), scopes=[SCOPE]
        )
        credentials.refresh(Request())
        client = anthropic.AnthropicVertex(
            project_id="p",
            region="us-east5",
            base_url=f"{fake.url}/v1",
            access_token=credentials.token,
        )
        hello: Any = [{"role": "user", "content": "hello"}]
        answer = client.messages.create(model="claude-x", max_tokens=9, messages=hello)
        assert answer.content[0].to_dict()["text"] == "echo: hello"
        with client.messages.stream(model="claude-x", max_tokens=9, messages=hello) as events:
            assert events.get_final_text() == "echo: hello"
        assert fake.last.path.endswith("publishers/anthropic/models/claude-x:streamRawPredict")
