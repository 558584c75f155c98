"""A deployment with `mock_response` answers by itself, as the API of its wire would."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types import Completion, CreateEmbeddingResponse, ImagesResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from trunkline.call import Answer, Call, Deployment, Operation, Timeouts, Wire
from trunkline.errors import ErrorKind, ProviderError
from trunkline.providers.mock_lane import MockLane, is_mock

pytestmark = pytest.mark.criterion("R1.5")

CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
USER = [{"role": "user", "content": "How are you today?"}]

OPERATIONS = {
    name: Operation(name, wire, "POST", (), function=function, usage=usage)
    for name, wire, function, usage in (
        ("chat", Wire.OPENAI, "acompletion", "openai"),
        ("completions", Wire.OPENAI, "atext_completion", "openai"),
        ("embeddings", Wire.OPENAI, "aembedding", "openai"),
        ("images", Wire.OPENAI, "aimage_generation", "openai"),
        ("responses", Wire.OPENAI, "aresponses", "responses"),
        ("messages", Wire.ANTHROPIC, "anthropic_messages", "anthropic"),
        ("generate_content", Wire.GOOGLE, "agenerate_content", "google"),
        ("stream_generate_content", Wire.GOOGLE, "agenerate_content_stream", "google"),
        ("rerank", Wire.OPENAI, "arerank", "none"),
    )
}  # fmt: skip

REQUESTS: dict[str, dict[str, Any]] = {
    "chat": {"messages": USER},
    "completions": {"prompt": "Once upon a time"},
    "embeddings": {"input": "Once upon a time"},
    "images": {"prompt": "a cat"},
    "responses": {"input": "Once upon a time"},
    "messages": {"messages": USER, "max_tokens": 9},
    "generate_content": {"contents": [{"parts": [{"text": "Once upon a time"}]}]},
    "stream_generate_content": {"contents": [{"parts": [{"text": "Once upon a time"}]}]},
}

EVENTS: dict[str, TypeAdapter[Any]] = {
    "chat": TypeAdapter(ChatCompletionChunk),
    "completions": TypeAdapter(dict[str, Any]),
    "responses": TypeAdapter(ResponseStreamEvent),
    "messages": TypeAdapter(RawMessageStreamEvent),
    "stream_generate_content": TypeAdapter(GenerateContentResponse),
}


def call_of(operation: str, body: dict[str, Any] | None = None, *, stream: bool = False) -> Call:
    merged = REQUESTS.get(operation, {}) | (body or {})
    started = time.monotonic()
    return Call("c", OPERATIONS[operation], "greeter", merged, started, stream=stream)


async def send(call: Call, within: float = 30.0, **params: Any) -> Answer:
    deployment = Deployment(
        "d", "greeter", "openai/x", "openai", "x", {"model": "openai/x", **params}, {}
    )
    return await MockLane().send(call, deployment, Timeouts(within, within))


async def ask(operation: str, body: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    answer = await send(call_of(operation, body), **params)
    decoded: dict[str, Any] = json.loads(answer.body)
    return decoded


async def stream(call: Call, **params: Any) -> list[Any]:
    answer = await send(call, **params)
    assert answer.chunks is not None
    assert dict(answer.headers)["content-type"] == "text/event-stream"
    text = b"".join([chunk async for chunk in answer.chunks]).decode()
    return [line[6:] for line in text.splitlines() if line.startswith("data: ")]


def events(operation: str, payloads: list[Any]) -> list[Any]:
    return [EVENTS[operation].validate_json(data) for data in payloads if data != "[DONE]"]


async def test_a_chat_is_answered_with_the_text_and_plausible_usage() -> None:
    call = call_of("chat", {"n": 2})
    answer = ChatCompletion.model_validate_json((await send(call, mock_response="Hi there!")).body)
    assert [choice.message.content for choice in answer.choices] == ["Hi there!", "Hi there!"]
    assert answer.model == "greeter"
    assert answer.usage is not None
    assert (call.usage.input_tokens, call.usage.output_tokens) == (5, 6)
    assert answer.usage.prompt_tokens == 5


async def test_a_streamed_chat_adds_up_to_the_text() -> None:
    chunks = events(
        "chat", await stream(call_of("chat", stream=True), mock_response="Hi  you there")
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hi  you there"
    assert [c.choices[0].finish_reason for c in chunks][-1] == "stop"
    assert len(chunks) > 3


async def test_usage_is_streamed_to_those_who_ask() -> None:
    body = {"stream_options": {"include_usage": True}}
    call = call_of("chat", body, stream=True)
    payloads = await stream(call, mock_response="Hi")
    assert payloads[-1] == "[DONE]"
    assert events("chat", payloads)[-1].usage.completion_tokens == 1
    call = call_of("chat", stream=True)
    assert all(
        chunk.usage is None for chunk in events("chat", await stream(call, mock_response="Hi"))
    )
    assert call.usage.output_tokens == 1


async def test_tool_calls_are_made_on_every_wire() -> None:
    tools = {"mock_response": "", "mock_tool_calls": [CALL]}
    chat = ChatCompletion.model_validate(await ask("chat", **tools))
    assert chat.choices[0].finish_reason == "tool_calls"
    assert chat.choices[0].message.model_dump()["tool_calls"][0]["function"]["name"] == "add"
    message = Message.model_validate(await ask("messages", **tools))
    assert message.content[0].model_dump()["input"] == {"a": 1}
    response = Response.model_validate(await ask("responses", **tools))
    assert response.output[0].model_dump()["arguments"] == '{"a": 1}'
    content = GenerateContentResponse.model_validate(await ask("generate_content", **tools))
    assert content.function_calls is not None
    assert content.function_calls[0].args == {"a": 1}
    for operation in EVENTS.keys() - {"completions"}:
        payloads = await stream(call_of(operation, stream=True), **tools)
        assert events(operation, payloads)
        assert "add" in "".join(payloads)


async def test_completions() -> None:
    answer = Completion.model_validate(await ask("completions", mock_response="there was"))
    assert answer.choices[0].text == "there was"
    chunks = events(
        "completions", await stream(call_of("completions", stream=True), mock_response="a b")
    )
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "a b"


async def test_embeddings_have_length_one_and_depend_on_the_text() -> None:
    texts = {"input": ["one", "two", "one"], "dimensions": 64}
    answer = CreateEmbeddingResponse.model_validate(
        await ask("embeddings", texts, mock_response="x")
    )
    first, second, third = (item.embedding for item in answer.data)
    assert first == third != second
    assert len(first) == 64
    assert sum(value * value for value in first) == pytest.approx(1)
    fixed = await ask("embeddings", mock_response=[0.5, 0.25])
    assert fixed["data"][0]["embedding"] == [0.5, 0.25]
    tokens = await ask(
        "embeddings", {"input": [1, 2, 3], "encoding_format": "base64"}, mock_response="x"
    )
    assert tokens["usage"]["prompt_tokens"] == 3
    assert isinstance(tokens["data"][0]["embedding"], str)


async def test_responses() -> None:
    response = Response.model_validate(await ask("responses", mock_response="there was one"))
    assert response.output_text == "there was one"
    call = call_of("responses", stream=True)
    seen = events("responses", await stream(call, mock_response="there was one"))
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[0].type == "response.created"
    assert seen[-1].response.output_text == "there was one"
    deltas = [event.delta for event in seen if event.type == "response.output_text.delta"]
    assert deltas == ["there", " was", " one"]
    assert call.usage.output_tokens == 4


async def test_messages() -> None:
    message = Message.model_validate(await ask("messages", mock_response="Fine, thanks"))
    assert message.content[0].model_dump()["text"] == "Fine, thanks"
    assert message.stop_reason == "end_turn"
    call = call_of("messages", stream=True)
    seen = events("messages", await stream(call, mock_response="Fine, thanks"))
    assert [seen[0].type, seen[-1].type] == ["message_start", "message_stop"]
    texts = [event.delta.text for event in seen if event.type == "content_block_delta"]
    assert texts == ["Fine,", " thanks"]
    assert call.usage.output_tokens == 3


async def test_generate_content() -> None:
    content = GenerateContentResponse.model_validate(
        await ask("generate_content", mock_response="So so")
    )
    assert content.text == "So so"
    call = call_of("stream_generate_content", stream=True)
    seen = events("stream_generate_content", await stream(call, mock_response="So so"))
    assert [event.text for event in seen] == ["So", " so"]
    assert [event.usage_metadata is None for event in seen] == [True, False]
    assert call.usage.output_tokens == 2


async def test_images_are_the_response_as_their_address() -> None:
    answer = ImagesResponse.model_validate(
        await ask("images", mock_response="http://localhost/cat.png")
    )
    assert answer.data is not None
    assert answer.data[0].url == "http://localhost/cat.png"


async def test_a_mapping_is_the_whole_answer() -> None:
    given = {
        "id": "mine",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}}],
    }
    answer = await ask("chat", mock_response=given)
    assert answer["id"] == "mine"
    assert answer["object"] == "chat.completion"
    payloads = await stream(call_of("chat", stream=True), mock_response=given)
    assert events("chat", payloads)[1].choices[0].delta.content == "ok"


@pytest.mark.criterion("R14.5")
@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("litellm.RateLimitError", ErrorKind.RATE_LIMIT, 429),
        ("litellm.InternalServerError", ErrorKind.INTERNAL, 500),
        ("litellm.ContextWindowExceededError", ErrorKind.CONTEXT_WINDOW, 400),
        ("litellm.ContentPolicyViolationError", ErrorKind.CONTENT_POLICY, 400),
        ("Exception: content_filter_policy", ErrorKind.CONTENT_POLICY, 400),
        ("litellm.AuthenticationError", ErrorKind.AUTHENTICATION, 401),
        ("litellm.Timeout", ErrorKind.TIMEOUT, 408),
        ("litellm.ServiceUnavailableError", ErrorKind.UNAVAILABLE, 503),
    ],
)
async def test_the_name_of_an_error_raises_it(name: str, kind: ErrorKind, status: int) -> None:
    for streamed in (False, True):
        with pytest.raises(ProviderError) as raised:
            await send(call_of("chat", stream=streamed), mock_response=name)
        assert (raised.value.kind, raised.value.status) == (kind, status)


async def test_a_stream_can_break_off() -> None:
    name = "Exception: mock_streaming_error"
    answer = await send(call_of("chat", stream=True), mock_response=name)
    assert answer.chunks is not None
    assert b"assistant" in await anext(answer.chunks)
    with pytest.raises(ProviderError) as raised:
        await anext(answer.chunks)
    assert raised.value.status == 529
    with pytest.raises(ProviderError):
        await send(call_of("chat"), mock_response=name)


@pytest.mark.criterion("R14.4")
async def test_a_mock_timeout_never_answers() -> None:
    with pytest.raises(ProviderError) as raised:
        await send(call_of("chat"), 0.01, mock_response="x", mock_timeout=True)
    assert raised.value.kind is ErrorKind.TIMEOUT
    with pytest.raises(ProviderError) as raised:
        await send(call_of("chat"), 0.01, mock_response="x", mock_delay=60)
    assert raised.value.kind is ErrorKind.TIMEOUT
    assert (await send(call_of("chat"), mock_response="x", mock_delay=0.01)).status == 200


async def test_other_operations_are_refused_by_name() -> None:
    with pytest.raises(ProviderError, match="rerank"):
        await send(call_of("rerank"), mock_response="x")


@pytest.mark.parametrize(
    "body",
    [
        {"messages": None, "n": "many"},
        {"messages": [3, {"content": {"deep": [None]}}], "n": 10**9, "stream_options": 4},
        {"messages": json.loads("[" * 900 + "]" * 900)},
        {"input": [], "dimensions": -4},
        {"input": [None, ["a"]], "dimensions": "wide", "contents": 4, "prompt": {}},
    ],
)
async def test_no_body_makes_it_fail(body: dict[str, Any]) -> None:
    for operation in REQUESTS:
        assert (await send(call_of(operation, body), mock_response="x")).status == 200
    for operation in EVENTS:
        await stream(call_of(operation, body, stream=True), mock_response="x")


@pytest.mark.parametrize(
    ("params", "mocked"),
    [
        ({"mock_response": "x"}, True),
        ({"mock_tool_calls": [CALL]}, True),
        ({"mock_timeout": True}, True),
        ({"mock_response": None}, False),
        ({"mock_delay": 3}, False),
        ({}, False),
    ],
)
def test_which_deployments_are_mocks(params: dict[str, Any], mocked: bool) -> None:
    assert is_mock(Deployment("d", "g", "openai/x", "openai", "x", params, {})) is mocked
