"""Calls through LiteLLM reach every kind of provider and come back in the client's own wire."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from tests.fakes import FakeBedrock, FakeOpenAI, Tokens, ToolCall
from tests.support.lanes import KEY, Got, ask, call, deployment
from tests.support.litellm_targets import CLAUDE, KINDS, target
from tests.support.providers import Providers
from trunkline.call import Upload
from trunkline.errors import ProviderError
from trunkline.providers.litellm_lane import LitellmLane

pytestmark = [pytest.mark.criterion("R1.2", "R1.4"), pytest.mark.timeout(180)]

PROVIDERS = sorted(KINDS)
USER = [{"role": "user", "content": "hi there friend"}]
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}
CONTENTS = [{"role": "user", "parts": [{"text": "hi there friend"}]}]

RESPONSE_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
MESSAGE_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


@pytest.fixture(scope="module")
def lane() -> LitellmLane:
    return LitellmLane()


def text_of(got: Got) -> str:
    chunks = [ChatCompletionChunk.model_validate(event) for event in got.events]
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_chat(lane: LitellmLane, fakes: Providers, provider: str) -> None:
    fake, deployed = target(fakes, provider)
    got = await ask(lane, call("chat", {"messages": USER, "temperature": 0.5}), deployed)
    answer = ChatCompletion.model_validate(got.json)
    assert answer.choices[0].message.content == "echo: hi there friend"
    assert answer.choices[0].finish_reason == "stop"
    assert got.tokens == (3, 4)
    assert got.content_type == "application/json"
    assert b"0.5" in fake.last.body


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_streamed_chat(lane: LitellmLane, fakes: Providers, provider: str) -> None:
    _, deployed = target(fakes, provider)
    got = await ask(lane, call("chat", {"messages": USER}, stream=True), deployed)
    assert got.content_type == "text/event-stream"
    assert text_of(got) == "echo: hi there friend"
    assert len(got.events) > 3
    assert got.chunks[-1] == b"data: [DONE]\n\n"
    assert all("usage" not in event for event in got.events)
    assert None not in got.tokens
    if provider != "cohere":  # whose figures LiteLLM leaves unread, and estimates
        assert got.tokens == (3, 4)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_usage_is_streamed_to_who_asks_for_it(
    lane: LitellmLane, fakes: Providers, provider: str
) -> None:
    _, deployed = target(fakes, provider)
    body = {"messages": USER, "stream_options": {"include_usage": True}}
    got = await ask(lane, call("chat", body, stream=True), deployed)
    last = got.events[-1]
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == got.call.usage.input_tokens
    assert sum("usage" in event for event in got.events) == 1


@pytest.mark.parametrize(
    ("provider", "stream"),
    # Calls in Cohere's streams are lost on LiteLLM.
    [(p, s) for p in PROVIDERS for s in (False, True) if (p, s) != ("cohere", True)],
)
async def test_tools_are_called(
    lane: LitellmLane, fakes: Providers, provider: str, stream: bool
) -> None:
    fake, deployed = target(fakes, provider)
    fake.answer(tool_calls=[ToolCall("add", {"a": 1, "b": 2})])
    got = await ask(lane, call("chat", {"messages": USER, "tools": [ADD]}, stream=stream), deployed)
    assert b"add" in fake.last.body
    if stream:
        deltas = [e["choices"][0]["delta"] for e in got.events if e["choices"]]
        functions = [t["function"] for d in deltas for t in d.get("tool_calls") or ()]
        name = "".join(f.get("name") or "" for f in functions)
        arguments = "".join(f.get("arguments") or "" for f in functions)
        reason = got.events[-1]["choices"][0].get("finish_reason")
    else:
        choice = got.json["choices"][0]
        function = choice["message"]["tool_calls"][0]["function"]
        name, arguments, reason = function["name"], function["arguments"], choice["finish_reason"]
    assert name == "add"
    assert json.loads(arguments) == {"a": 1, "b": 2}
    if provider != "cohere":  # whose reason LiteLLM leaves unread
        assert reason == "tool_calls"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
async def test_anthropic_s_messages_from_every_provider(
    lane: LitellmLane, fakes: Providers, provider: str, stream: bool
) -> None:
    _, deployed = target(fakes, provider)
    asked = call("messages", {"messages": USER, "max_tokens": 50}, stream=stream)
    got = await ask(lane, asked, deployed)
    if stream:
        told = [event for event in got.events if event["type"] != "ping"]
        events = [MESSAGE_EVENT.validate_python(event) for event in told]
        deltas = [e.delta for e in events if e.type == "content_block_delta"]
        text = "".join(getattr(delta, "text", "") for delta in deltas)
        assert [events[0].type, events[-1].type] == ["message_start", "message_stop"]
        assert got.content.startswith(b"event: message_start\n")
        assert b"[DONE]" not in got.content
    else:
        text = "".join(getattr(b, "text", "") for b in Message.model_validate(got.json).content)
    assert text == "echo: hi there friend"
    if not (stream and provider == "cohere"):
        assert got.tokens == (3, 4)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
async def test_google_s_generate_content_from_every_provider(
    lane: LitellmLane, fakes: Providers, provider: str, stream: bool
) -> None:
    fake, deployed = target(fakes, provider)
    body = {"contents": CONTENTS, "generationConfig": {"temperature": 0.5}}
    operation = "stream_generate_content" if stream else "generate_content"
    got = await ask(lane, call(operation, body, stream=stream), deployed)
    answers = got.events if stream else [got.json]
    parsed = [GenerateContentResponse.model_validate(answer) for answer in answers]
    assert "".join(answer.text or "" for answer in parsed) == "echo: hi there friend"
    assert parsed[-1].candidates
    assert parsed[-1].candidates[0].finish_reason == "STOP"
    assert b"[DONE]" not in got.content
    assert b"0.5" in fake.last.body
    if not (stream and provider == "cohere"):
        assert got.tokens == (3, 4)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
async def test_responses_from_every_provider(
    lane: LitellmLane, fakes: Providers, provider: str, stream: bool
) -> None:
    _, deployed = target(fakes, provider)
    got = await ask(lane, call("responses", {"input": "hi there friend"}, stream=stream), deployed)
    if stream:
        types = [event["type"] for event in got.events]
        assert types[0] == "response.created"
        assert types[-1] == "response.completed"
        assert got.content.startswith(b"event: response.created\n")
        text = "".join(e["delta"] for e in got.events if e["type"] == "response.output_text.delta")
    else:
        parts = [part for item in got.json["output"] for part in item.get("content", ())]
        text = "".join(part["text"] for part in parts)
    assert text == "echo: hi there friend"
    if not (stream and provider == "cohere"):
        assert got.tokens == (3, 4)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "bedrock", "gemini", "vertex"])
async def test_a_completion_is_asked_as_a_chat_where_there_is_none(
    lane: LitellmLane, fakes: Providers, provider: str
) -> None:
    _, deployed = target(fakes, provider)
    got = await ask(lane, call("completions", {"prompt": "hi there"}), deployed)
    assert got.json["choices"][0]["text"] == "echo: hi there"
    got = await ask(lane, call("completions", {"prompt": "hi there"}, stream=True), deployed)
    assert "".join(e["choices"][0].get("text") or "" for e in got.events) == "echo: hi there"
    assert got.tokens == (2, 3)


@pytest.mark.parametrize("provider", ["openai", "azure", "gemini", "vertex", "cohere"])
async def test_embeddings(lane: LitellmLane, fakes: Providers, provider: str) -> None:
    fake, deployed = target(fakes, provider)
    if provider == "cohere":
        where = fake.url + "/v2/embed"
        deployed = deployment("cohere/embed-english-v3.0", api_base=where, api_key=KEY)
    got = await ask(lane, call("embeddings", {"input": ["one", "two words"]}), deployed)
    answer = CreateEmbeddingResponse.model_validate(got.json)
    assert [len(item.embedding) for item in answer.data] == [8, 8]
    assert got.call.usage.input_tokens == 3


async def test_rerank(lane: LitellmLane, fakes: Providers) -> None:
    fake, _ = target(fakes, "cohere")
    deployed = deployment("cohere/rerank-v3.5", api_base=fake.url, api_key=KEY)
    body = {"query": "red fox", "documents": ["a blue whale", "the red fox"], "top_n": 1}
    got = await ask(lane, call("rerank", body), deployed)
    assert [result["index"] for result in got.json["results"]] == [1]
    assert fake.last.json["top_n"] == 1


# What the providers are sent


@pytest.mark.parametrize("provider", ["openai", "anthropic", "azure"])
async def test_fields_that_nobody_knows_reach_the_provider(
    lane: LitellmLane, fakes: Providers, provider: str
) -> None:
    fake, deployed = target(fakes, provider)
    body = {"messages": USER, "brand_new_field": {"x": 1}, "extra_body": {"another": 2}}
    await ask(lane, call("chat", body), deployed)
    assert fake.last.json["brand_new_field"] == {"x": 1}
    if provider != "anthropic":
        assert fake.last.json["another"] == 2


async def test_a_deployment_s_parameters_are_defaults_that_the_client_overrides(
    lane: LitellmLane, fakes: Providers
) -> None:
    fake, deployed = target(
        fakes, "openai", temperature=0.25, top_p=0.75, extra_headers={"x-team": "blue"},
        rpm=10, tpm=10, weight=3, order=1, input_cost_per_token=1e-6, tags=["a"], max_retries=7,
    )  # fmt: skip
    await ask(lane, call("chat", {"messages": USER, "top_p": 0.5}), deployed)
    sent = fake.last.json
    assert (sent["temperature"], sent["top_p"]) == (0.25, 0.5)
    assert fake.last.headers["x-team"] == "blue"
    assert sent.keys() == {"messages", "model", "temperature", "top_p"}
    assert sent["model"] == "gpt-4o"
    assert fake.last.key == KEY


@pytest.mark.parametrize("base_model", ["azure/gpt-5", "azure/o3"])
@pytest.mark.parametrize("operation", ["chat", "messages"])
async def test_a_deployment_s_base_model_decides_which_parameters_it_takes(
    lane: LitellmLane, fakes: Providers, operation: str, base_model: str
) -> None:
    fake, opaque = target(fakes, "azure", model="azure/team-blue")
    for deployed, field in (
        (opaque, "max_tokens"),
        (replace(opaque, info={"id": "d1", "base_model": base_model}), "max_completion_tokens"),
    ):
        await ask(lane, call(operation, {"messages": USER, "max_tokens": 9}), deployed)
        assert fake.last.json == {"model": "team-blue", "messages": USER, field: 9}


async def test_a_deployment_s_base_model_decides_which_parameters_images_take(
    lane: LitellmLane, fakes: Providers
) -> None:
    fake, opaque = target(fakes, "azure", model="azure/team-blue")
    known = replace(opaque, info={"base_model": "azure/dall-e-3"})
    asked = call("images.generate", {"prompt": "a cat", "response_format": "b64_json"})
    with pytest.raises(ProviderError, match="response_format"):
        await ask(lane, asked, opaque)
    await ask(lane, asked, known)
    assert fake.last.json["response_format"] == "b64_json"


async def test_what_is_for_the_gateway_is_not_sent_on(lane: LitellmLane, fakes: Providers) -> None:
    fake, deployed = target(fakes, "openai")
    ours = {"num_retries": 3, "timeout": 9, "fallbacks": [], "tags": [], "litellm_metadata": {}}
    await ask(lane, call("chat", {"model": "group", "messages": USER, **ours}), deployed)
    assert fake.last.json.keys() == {"messages", "model"}


@pytest.mark.parametrize("provider", ["openai", "azure"])
async def test_metadata_of_stored_chats_reaches_the_provider(
    lane: LitellmLane, fakes: Providers, provider: str
) -> None:
    fake, deployed = target(fakes, provider)
    body = {"messages": USER, "store": True, "metadata": {"topic": "x"}}
    await ask(lane, call("chat", body), deployed)
    assert fake.last.json["metadata"] == {"topic": "x"}


@pytest.mark.criterion("R11.1")
@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "vertex"])
async def test_a_picture_s_address_is_no_way_into_the_gateway_s_network(
    lane: LitellmLane, fakes: Providers, provider: str
) -> None:
    _, deployed = target(fakes, provider)
    inside = fakes(FakeOpenAI)
    picture = {"type": "image_url", "image_url": {"url": f"{inside.url}/v1/models"}}
    content = [{"type": "text", "text": "what is this?"}, picture]
    with contextlib.suppress(ProviderError):
        await ask(
            lane, call("chat", {"messages": [{"role": "user", "content": content}]}), deployed
        )
    assert inside.requests == []


async def test_anthropic_s_headers_go_along(lane: LitellmLane, fakes: Providers) -> None:
    fake, deployed = target(fakes, "anthropic")
    beta = {"anthropic-beta": "context-1m-2025-08-07", "authorization": "Bearer client"}
    asked = call("messages", {"messages": USER, "max_tokens": 9}, headers=beta)
    await ask(lane, asked, deployed)
    assert "context-1m-2025-08-07" in fake.last.headers["anthropic-beta"]
    assert fake.last.key == KEY


async def test_signatures_of_thoughts_are_taken_out_of_tool_calls(
    lane: LitellmLane, fakes: Providers
) -> None:
    fake, deployed = target(fakes, "openai")
    signed = "call_1__thought__c2lnbmVk"
    function = {"name": "add", "arguments": "{}"}
    messages = [
        *USER,
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": signed, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": signed, "content": "3"},
    ]  # fmt: skip
    await ask(lane, call("chat", {"messages": messages}), deployed)
    assert b"__thought__" not in fake.last.body
    assert b"call_1" in fake.last.body


# Usage


@pytest.mark.parametrize("stream", [False, True])
async def test_an_explicit_zero_is_no_reason_to_estimate(
    lane: LitellmLane, fakes: Providers, stream: bool
) -> None:
    fake, deployed = target(fakes, "openai")
    fake.answer("some words", usage=Tokens(input=0, output=0))
    body = {"messages": USER, "stream_options": {"include_usage": True}}
    got = await ask(lane, call("chat", body, stream=stream), deployed)
    assert got.tokens == (0, 0)
    shown = got.events[-1]["usage"] if stream else got.json["usage"]
    assert (shown["prompt_tokens"], shown["completion_tokens"], shown["total_tokens"]) == (0, 0, 0)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "bedrock"])
@pytest.mark.parametrize("stream", [False, True])
async def test_cached_and_reasoning_tokens_are_learned(
    lane: LitellmLane, fakes: Providers, provider: str, stream: bool
) -> None:
    fake, deployed = target(fakes, provider)
    fake.answer("words", usage=Tokens(input=100, output=40, cached=60, reasoning=30))
    got = await ask(lane, call("chat", {"messages": USER}, stream=stream), deployed)
    assert got.tokens == (100, 40)
    assert got.call.usage.cached_tokens == 60
    if provider in {"openai", "gemini"}:
        assert got.call.usage.reasoning_tokens == 30


# AWS


@pytest.mark.criterion("R10.1", "R10.2")
@pytest.mark.parametrize("stream", [False, True])
async def test_bedrock_is_signed_with_the_deployment_s_keys(
    lane: LitellmLane, fakes: Providers, stream: bool
) -> None:
    fake, deployed = target(fakes, "bedrock")
    got = await ask(lane, call("chat", {"messages": USER}, stream=stream), deployed)
    assert fake.last.headers["authorization"].startswith("AWS4-HMAC-SHA256")
    assert fake.last.path.endswith("/converse-stream" if stream else "/converse")
    assert got.tokens == (3, 4)


@pytest.mark.criterion("R10.1", "R10.2")
async def test_bedrock_takes_its_keys_from_the_environment_as_from_a_role(
    lane: LitellmLane, fakes: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fakes(FakeBedrock, access_key="AKIAFROMENVIRONMENT1", secret_key="from-environment")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMENVIRONMENT1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-environment")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    deployed = deployment(CLAUDE, aws_bedrock_runtime_endpoint=fake.url)
    got = await ask(lane, call("chat", {"messages": USER}), deployed)
    assert got.json["choices"][0]["message"]["content"] == "echo: hi there friend"
    assert fake.last.headers["x-amz-security-token"] == "session-token"
    assert "/eu-west-1/bedrock/" in fake.last.headers["authorization"]


@pytest.mark.criterion("R10.1")
async def test_bedrock_invoke_models(lane: LitellmLane, fakes: Providers) -> None:
    fake, deployed = target(fakes, "bedrock")
    params = {name: value for name, value in deployed.params.items() if name != "model"}
    invoked = deployment(CLAUDE.replace("bedrock/", "bedrock/invoke/"), **params)
    got = await ask(lane, call("chat", {"messages": USER}), invoked)
    assert fake.last.path.endswith("/invoke")
    assert got.json["choices"][0]["message"]["content"] == "echo: hi there friend"
    got = await ask(lane, call("chat", {"messages": USER}, stream=True), invoked)
    assert fake.last.path.endswith("/invoke-with-response-stream")
    assert text_of(got) == "echo: hi there friend"


# Media and files


def upload(field: str, name: str, content: bytes, kind: str) -> Upload:
    return Upload(field, name, kind, io.BytesIO(content))


async def test_speech_comes_as_it_is(lane: LitellmLane, fakes: Providers) -> None:
    _, deployed = target(fakes, "openai")
    got = await ask(lane, call("speech", {"input": "hello", "voice": "alloy"}), deployed)
    assert got.content_type == "audio/mpeg"
    assert got.content.endswith(b"hello")


@pytest.mark.parametrize("format", ["json", "text", "srt", "vtt"])
async def test_transcriptions_in_every_format(
    lane: LitellmLane, fakes: Providers, format: str
) -> None:
    fake, deployed = target(fakes, "openai", model="openai/whisper-1")
    audio = upload("file", "talk.mp3", b"ID3audio", "audio/mpeg")
    body = {"response_format": format, "temperature": "0"}
    got = await ask(lane, call("transcriptions", body, uploads=(audio,)), deployed)
    assert fake.last.files[0].body == b"ID3audio"
    assert fake.last.files[0].filename == "talk.mp3"
    if format == "json":
        assert got.json["text"]
    else:
        assert got.content_type.startswith("text/plain")
        assert not got.content.startswith(b"{")
    await ask(lane, call("transcriptions", body, uploads=(audio,)), deployed)
    assert fake.last.files[0].body == b"ID3audio"


@pytest.mark.parametrize(
    ("version", "environment", "asked"),
    [
        ("2024-10-21", "2024-12-01-preview", "2024-10-21"),
        ("2024-06-01", "", "2024-06-01"),
        ("", "2024-12-01-preview", "2024-12-01-preview"),
        ("", "", "2025-02-01-preview"),
    ],
)
async def test_azure_s_audio_is_asked_for_under_the_deployment_s_version(
    lane: LitellmLane,
    fakes: Providers,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    environment: str,
    asked: str,
) -> None:
    monkeypatch.setenv("AZURE_API_VERSION", environment)
    if not environment:
        monkeypatch.delenv("AZURE_API_VERSION")
    fake, deployed = target(fakes, "azure", model="azure/ours", api_version=version or None)
    audio = upload("file", "talk.mp3", b"ID3audio", "audio/mpeg")
    got = await ask(lane, call("transcriptions", uploads=(audio,)), deployed)
    assert got.json["text"]
    assert fake.last.parameter("api-version") == asked
    await ask(lane, call("speech", {"input": "hello", "voice": "alloy"}), deployed)
    assert fake.last.parameter("api-version") == asked
    assert fake.last.path.startswith("/openai/deployments/ours/")


async def test_azure_s_audio_is_asked_for_in_its_undated_version(
    lane: LitellmLane, fakes: Providers
) -> None:
    fake, deployed = target(fakes, "azure", model="azure/ours", api_version="v1")
    audio = upload("file", "talk.mp3", b"ID3audio", "audio/mpeg")
    for asked in (
        call("transcriptions", uploads=(audio,)),
        call("speech", {"input": "hello", "voice": "alloy"}),
    ):
        await ask(lane, asked, deployed)
        assert fake.last.path.startswith("/openai/v1/audio/")
        assert (fake.last.parameter("api-version"), fake.last.key) == ("", KEY)


async def test_images_are_made_and_edited(lane: LitellmLane, fakes: Providers) -> None:
    fake, deployed = target(fakes, "openai")
    got = await ask(lane, call("images.generate", {"prompt": "a cat", "n": 1}), deployed)
    assert got.json["data"][0]["b64_json"]
    images = (upload("image", "a.png", b"PNG1", "image/png"),
              upload("image", "b.png", b"PNG2", "image/png"))  # fmt: skip
    got = await ask(
        lane, call("images.edit", {"prompt": "add", "n": "1"}, uploads=images), deployed
    )
    assert got.json["data"]
    assert [part.body for part in fake.last.files] == [b"PNG1", b"PNG2"]


async def test_files_live_with_the_provider(lane: LitellmLane, fakes: Providers) -> None:
    _, deployed = target(fakes, "openai")
    line = json.dumps({"custom_id": "1", "body": {"model": "m", "messages": USER}}).encode()
    lines = upload("file", "in.jsonl", line, "application/jsonl")
    asked = call("files.create", {"purpose": "batch"}, uploads=(lines,), group="")
    created = (await ask(lane, asked, deployed)).json
    assert created["filename"] == "in.jsonl"
    path = {"file_id": created["id"]}
    got = await ask(lane, call("files.get", path=path, group=""), deployed)
    assert got.json["id"] == created["id"]
    got = await ask(lane, call("files.content", path=path, group=""), deployed)
    assert got.content == line
    got = await ask(lane, call("files.list", query={"purpose": "batch"}, group=""), deployed)
    assert [one["id"] for one in got.json["data"]] == [created["id"]]
    batch = {"input_file_id": created["id"], "endpoint": "/v1/chat/completions",
             "completion_window": "24h"}  # fmt: skip
    made = (await ask(lane, call("batches.create", batch, group=""), deployed)).json
    asked = call("batches.get", path={"batch_id": made["id"]}, group="")
    assert (await ask(lane, asked, deployed)).json["id"] == made["id"]
    listed = await ask(lane, call("batches.list", query={"limit": "5"}, group=""), deployed)
    assert [one["id"] for one in listed.json["data"]] == [made["id"]]
    got = await ask(lane, call("files.delete", path=path, group=""), deployed)
    assert got.json["deleted"] is True


@pytest.mark.parametrize(
    ("operation", "counted"),
    [
        ("messages.count_tokens", {"input_tokens": 3}),
        ("token_counter", {"total_tokens": 3}),
        ("count_tokens", {"totalTokens": 3}),
    ],
)
async def test_tokens_are_counted_in_every_wire(
    lane: LitellmLane, fakes: Providers, operation: str, counted: dict[str, int]
) -> None:
    _, deployed = target(fakes, "anthropic")
    got = await ask(lane, call(operation, {"messages": USER, "contents": CONTENTS}), deployed)
    assert counted.items() <= got.json.items()


@pytest.mark.criterion("R1.1")
async def test_rate_limits_and_request_ids_are_handed_on(
    lane: LitellmLane, fakes: Providers
) -> None:
    _, deployed = target(fakes, "openai")
    for stream in (False, True):
        got = await ask(lane, call("chat", {"messages": USER}, stream=stream), deployed)
        headers = dict(got.answer.headers)
        assert headers["x-ratelimit-limit-requests"] == "10000"
        assert headers["x-request-id"]
        assert not any(name.startswith("llm_provider") for name in headers)


async def test_a_model_without_a_provider_s_name_is_resolved_by_litellm(
    lane: LitellmLane, fakes: Providers
) -> None:
    fake = fakes(FakeOpenAI)
    bare = deployment("gpt-4o", api_base=fake.base_url, api_key=KEY)
    object.__setattr__(bare, "provider", "")
    got = await ask(lane, call("chat", {"messages": USER}), bare)
    assert got.json["choices"][0]["message"]["content"] == "echo: hi there friend"
