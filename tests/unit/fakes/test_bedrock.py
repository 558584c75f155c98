"""boto3 accepts the fake of Bedrock: its signatures, its binary streams, its exceptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from tests.fakes import (
    ContextWindowExceeded,
    ErrorEventMidStream,
    FakeBedrock,
    Fragmented,
    ModelNotFound,
    Status,
    Tokens,
)

MODEL = "anthropic.claude-3-5-sonnet-20240620-v1:0"
HELLO: Any = [{"role": "user", "content": [{"text": "hello there"}]}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: Any = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]}
INVOKED = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hello there"}],
}


@pytest.fixture
def fake() -> Iterator[FakeBedrock]:
    with FakeBedrock() as fake:
        yield fake


def runtime(fake: FakeBedrock, **given: str) -> Any:
    keys = {"aws_access_key_id": fake.access_key, "aws_secret_access_key": fake.secret_key}
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=fake.url,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
        **{**keys, **given},
    )


def test_converse_echoes_and_counts(fake: FakeBedrock) -> None:
    fake.answer(usage=Tokens(input=100, cached=40, cache_creation=10))
    answer = runtime(fake).converse(modelId=MODEL, messages=HELLO, system=[{"text": "be kind"}])
    assert answer["output"]["message"]["content"] == [{"text": "echo: hello there"}]
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"] == {
        "inputTokens": 50,
        "outputTokens": 3,
        "totalTokens": 103,
        "cacheReadInputTokens": 40,
        "cacheWriteInputTokens": 10,
    }
    assert fake.last.raw_path == f"/model/{MODEL.replace(':', '%3A')}/converse"


def test_converse_streams_binary_events(fake: FakeBedrock) -> None:
    fake.fault(Fragmented(11))
    answer = runtime(fake).converse_stream(
        modelId=MODEL,
        messages=HELLO,
        toolConfig=TOOLS,
        additionalModelRequestFields={"thinking": {"type": "enabled", "budget_tokens": 1024}},
    )
    events = list(answer["stream"])
    kinds = [next(iter(event)) for event in events]
    assert kinds[0] == "messageStart"
    assert kinds[-2:] == ["messageStop", "metadata"]
    deltas = [one["contentBlockDelta"]["delta"] for one in events if "contentBlockDelta" in one]
    arguments = "".join(one["toolUse"]["input"] for one in deltas if "toolUse" in one)
    assert json.loads(arguments) == {"city": "echo: hello there"}
    assert any("signature" in one.get("reasoningContent", {}) for one in deltas)
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"


def test_a_tool_result_is_answered_in_text(fake: FakeBedrock) -> None:
    client = runtime(fake)
    first = client.converse(modelId=MODEL, messages=HELLO, toolConfig=TOOLS)
    said = first["output"]["message"]
    called = said["content"][0]["toolUse"]["toolUseId"]
    result = {"toolResult": {"toolUseId": called, "content": [{"json": {"degrees": 18}}]}}
    second = client.converse(
        modelId=MODEL,
        messages=[*HELLO, said, {"role": "user", "content": [result]}],
        toolConfig=TOOLS,
    )
    assert second["output"]["message"]["content"] == [{"text": 'echo: {"degrees":18}'}]


def test_a_stream_ends_with_an_exception(fake: FakeBedrock) -> None:
    fake.fault(ErrorEventMidStream(2))
    answer = runtime(fake).converse_stream(modelId=MODEL, messages=HELLO)
    with pytest.raises(EventStreamError, match="internalServerException"):
        list(answer["stream"])


def test_models_are_invoked_whole_and_streamed(fake: FakeBedrock) -> None:
    client = runtime(fake)
    whole = client.invoke_model(modelId=MODEL, body=json.dumps(INVOKED))
    assert json.loads(whole["body"].read())["content"][0]["text"] == "echo: hello there"
    headers = whole["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-bedrock-output-token-count"] == "3"
    answer = client.invoke_model_with_response_stream(modelId=MODEL, body=json.dumps(INVOKED))
    events = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    assert events[0]["type"] == "message_start"
    assert events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 3


def test_embeddings_are_invoked(fake: FakeBedrock) -> None:
    client = runtime(fake)
    titan = client.invoke_model(modelId="amazon.titan-embed", body=json.dumps({"inputText": "a b"}))
    assert json.loads(titan["body"].read())["inputTextTokenCount"] == 2
    cohere = json.dumps({"texts": ["a", "b"], "input_type": "search_query"})
    answer = client.invoke_model(modelId="cohere.embed", body=cohere)
    assert len(json.loads(answer["body"].read())["embeddings"]) == 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Status(429), "ThrottlingException"),
        (Status(503), "ServiceUnavailableException"),
        (Status(403), "AccessDeniedException"),
        (ContextWindowExceeded(), "ValidationException"),
        (ModelNotFound(), "ValidationException"),
    ],
    ids=repr,
)
def test_bedrock_fails_in_its_own_words(fake: FakeBedrock, fault: Any, code: str) -> None:
    fake.fault(fault)
    with pytest.raises(ClientError) as caught:
        runtime(fake).converse(modelId=MODEL, messages=HELLO)
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
        ({"aws_access_key_id": "AKIASTRANGER"}, "UnrecognizedClientException"),
    ],
)
def test_a_signature_must_be_genuine(fake: FakeBedrock, given: dict[str, str], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        runtime(fake, **given).converse(modelId=MODEL, messages=HELLO)
    assert caught.value.response["Error"]["Code"] == code


def test_a_signature_covers_the_body(fake: FakeBedrock) -> None:
    runtime(fake).converse(modelId=MODEL, messages=HELLO)
    seen = fake.last
    replayed = {name: value for name, value in seen.headers.items() if name != "content-length"}
    url = fake.url + seen.raw_path
    assert httpx.post(url, content=seen.body, headers=replayed).status_code == 200
    tampered = httpx.post(url, content=seen.body.replace(b"hello", b"hullo"), headers=replayed)
    assert tampered.status_code == 403
    assert tampered.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert httpx.post(url, content=seen.body).status_code == 403


def test_a_session_token_is_signed_and_an_api_key_is_borne(fake: FakeBedrock) -> None:
    runtime(fake, aws_session_token="session").converse(modelId=MODEL, messages=HELLO)
    assert fake.last.headers["x-amz-security-token"] == "session"
    fake.keys = {"bedrock-key"}
    url = f"{fake.url}/model/{MODEL}/converse"
    bearer = {"Authorization": "Bearer bedrock-key"}
    assert httpx.post(url, json={"messages": HELLO}, headers=bearer).status_code == 200
