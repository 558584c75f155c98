"""Anthropic's SDK, validating strictly, accepts the fake of Anthropic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest

from tests.fakes import (
    ContextWindowExceeded,
    ErrorEventMidStream,
    FakeAnthropic,
    ModelNotFound,
    Status,
    Tokens,
    ToolCall,
)

HELLO: Any = [{"role": "user", "content": "hello there"}]
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    with FakeAnthropic(keys=["sk-ant"]) as fake:
        yield fake


@pytest.fixture
def client(fake: FakeAnthropic) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key="sk-ant", base_url=fake.url, max_retries=0, _strict_response_validation=True
    )


def test_a_message_echoes_and_counts(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    image = {"type": "base64", "media_type": "image/png", "data": "aaaa"}
    content: Any = [{"type": "text", "text": "hello there"}, {"type": "image", "source": image}]
    answer = client.messages.create(
        model="claude",
        max_tokens=100,
        system="be kind",
        messages=[{"role": "user", "content": content}],
    )
    assert answer.content[0].to_dict()["text"] == "echo: hello there"
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2 + 2 + 10, 3)
    assert fake.last.key == "sk-ant"


def test_cached_tokens_stand_beside_the_fresh_ones(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    fake.answer("fine", usage=Tokens(input=100, output=5, cached=40, cache_creation=10))
    usage = client.messages.create(model="claude", max_tokens=9, messages=HELLO).usage
    assert usage.input_tokens == 50
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (40, 10)


def test_a_message_is_streamed_in_its_true_sequence(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    answer = client.messages.with_raw_response.create(
        model="claude", max_tokens=100, messages=HELLO, stream=True
    )
    lines = answer.http_response.read().decode().splitlines()
    assert [line[7:] for line in lines if line.startswith("event: ")] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "3999"
    assert answer.headers["request-id"].startswith("req_")


def test_thinking_and_tools_are_streamed_in_blocks(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    with client.messages.stream(
        model="claude",
        max_tokens=2000,
        messages=HELLO,
        tools=[WEATHER],
        thinking={"type": "enabled", "budget_tokens": 1024},
    ) as events:
        message = events.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "tool_use"]
    assert message.content[0].to_dict()["signature"]
    assert message.content[1].to_dict()["input"] == {"city": "echo: hello there"}
    assert message.stop_reason == "tool_use"


def test_a_tool_result_is_answered_in_text(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    fake.answer(tool_calls=[ToolCall("weather", {"city": "Ulm"}, id="toolu_1")])
    first = client.messages.create(model="c", max_tokens=99, messages=HELLO, tools=[WEATHER])
    result: Any = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 degrees"}
    said: Any = [
        *HELLO,
        {"role": "assistant", "content": [block.to_dict() for block in first.content]},
        {"role": "user", "content": [result]},
    ]
    second = client.messages.create(model="c", max_tokens=99, messages=said, tools=[WEATHER])
    assert second.content[0].to_dict()["text"] == "echo: 18 degrees"


def test_limits_and_stop_sequences_end_a_message(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    cut = client.messages.create(model="c", max_tokens=2, messages=HELLO)
    assert cut.stop_reason == "max_tokens"
    stopped = client.messages.create(
        model="c", max_tokens=99, messages=HELLO, stop_sequences=["there"]
    )
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "there")


def test_tokens_are_counted_and_models_listed(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    assert client.messages.count_tokens(model="claude", messages=HELLO).input_tokens == 2
    fake.models = ["only-this"]
    assert [model.id for model in client.models.list()] == ["only-this"]
    assert client.models.retrieve("only-this").display_name == "Only This"
    with pytest.raises(anthropic.NotFoundError, match="model: claude"):
        client.messages.create(model="claude", max_tokens=9, messages=HELLO)


def test_a_batch_of_messages_ends_with_results(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    params: Any = {"model": "claude", "max_tokens": 9, "messages": HELLO}
    batch = client.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
    assert client.messages.batches.retrieve(batch.id).processing_status == "ended"
    results = [one.to_dict() for one in client.messages.batches.results(batch.id)]
    assert [one["custom_id"] for one in results] == ["a"]
    assert [one.id for one in client.messages.batches.list()] == [batch.id]
    client.messages.batches.delete(batch.id)
    assert list(client.messages.batches.list()) == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Status(400), "invalid_request_error"),
        (Status(413), "request_too_large"),
        (Status(429), "rate_limit_error"),
        (Status(500), "api_error"),
        (Status(503), "api_error"),
        (Status(529), "overloaded_error"),
        (ContextWindowExceeded(), "invalid_request_error"),
        (ModelNotFound(), "not_found_error"),
    ],
    ids=repr,
)
def test_anthropic_fails_in_its_own_words(
    fake: FakeAnthropic, client: anthropic.Anthropic, fault: Any, kind: str
) -> None:
    fake.fault(fault)
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model="claude", max_tokens=9, messages=HELLO)
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == kind
    assert body["request_id"] == caught.value.request_id


def test_a_stream_can_fail_in_the_middle(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    fake.fault(ErrorEventMidStream(3))
    events = client.messages.create(model="c", max_tokens=9, messages=HELLO, stream=True)
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        list(events)


def test_the_key_and_the_version_must_be_there(fake: FakeAnthropic) -> None:
    url = f"{fake.url}/v1/messages"
    body = {"model": "c", "max_tokens": 9, "messages": HELLO}
    version = {"anthropic-version": "2023-06-01"}
    assert httpx.post(url, json=body, headers=version).status_code == 401
    assert httpx.post(url, json=body, headers=version | {"x-api-key": "no"}).status_code == 401
    unversioned = httpx.post(url, json=body, headers={"x-api-key": "sk-ant"})
    assert "anthropic-version" in unversioned.json()["error"]["message"]
    missing = httpx.post(url, json={}, headers=version | {"x-api-key": "sk-ant"})
    assert missing.json()["error"]["message"] == "model: Field required"
