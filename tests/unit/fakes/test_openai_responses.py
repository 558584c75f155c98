"""OpenAI's SDK accepts the fake's Responses API and talks to it over Realtime's WebSocket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aiohttp
import openai
import pytest
from pydantic import BaseModel

from tests.fakes import CutMidStream, ErrorEventMidStream, FakeOpenAI, ToolCall

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.fixture(scope="module")
def running() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def fake(running: FakeOpenAI) -> FakeOpenAI:
    running.reset()
    return running


@pytest.fixture
def client(fake: FakeOpenAI) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key="sk-a", base_url=fake.base_url, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
def realtime(fake: FakeOpenAI) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key="sk-a",
        base_url=fake.base_url,
        websocket_base_url=fake.base_url.replace("http", "ws"),
    )


def test_a_response_lives_from_creation_to_deletion(
    fake: FakeOpenAI, client: openai.OpenAI
) -> None:
    made = client.responses.create(model="gpt-4o", input="hello there", instructions="be kind")
    assert made.output_text == "echo: hello there"
    assert made.usage is not None
    assert (made.usage.input_tokens, made.usage.output_tokens) == (4, 3)
    assert client.responses.retrieve(made.id) == made
    items: Any = list(client.responses.input_items.list(made.id))
    assert items[0].content[0].text == "hello there"
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_conversation_goes_on_from_a_response(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    first = client.responses.create(model="m", input="one two")
    second = client.responses.create(model="m", input="three", previous_response_id=first.id)
    assert second.usage is not None
    assert second.usage.input_tokens == 2 + 3 + 1


def test_a_response_streams_its_true_sequence_of_events(
    fake: FakeOpenAI, client: openai.OpenAI
) -> None:
    events = list(client.responses.create(model="m", input="hello there", stream=True))
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_reasoning_and_tool_calls_are_streamed_as_items(
    fake: FakeOpenAI, client: openai.OpenAI
) -> None:
    with client.responses.stream(
        model="o3", input="hello", tools=[WEATHER], reasoning={"effort": "low", "summary": "auto"}
    ) as events:
        kinds = {event.type for event in events}
        final = events.get_final_response()
    assert "response.reasoning_summary_text.delta" in kinds
    assert "response.function_call_arguments.delta" in kinds
    assert [item.type for item in final.output] == ["reasoning", "function_call"]
    assert final.usage is not None
    assert final.usage.output_tokens_details.reasoning_tokens == 2


def test_a_tool_result_is_answered_in_text(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    fake.answer(tool_calls=[ToolCall("weather", {"city": "Ulm"}, id="call_1")])
    asked: Any = [{"role": "user", "content": "hello"}]
    first = client.responses.create(model="m", input=asked, tools=[WEATHER])
    result: Any = {"type": "function_call_output", "call_id": "call_1", "output": "18 degrees"}
    call: Any = first.output[0].to_dict()
    second = client.responses.create(model="m", input=[*asked, call, result], tools=[WEATHER])
    assert second.output_text == "echo: 18 degrees"


class Answer(BaseModel):
    city: str


def test_a_response_satisfies_a_schema(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    parsed = client.responses.parse(model="m", input="hello", text_format=Answer).output_parsed
    assert parsed == Answer(city="echo: hello")


def test_a_background_response_is_queued_and_cancelled(
    fake: FakeOpenAI, client: openai.OpenAI
) -> None:
    queued = client.responses.create(model="m", input="hello", background=True)
    assert queued.status == "queued"
    assert client.responses.retrieve(queued.id).status == "completed"
    assert client.responses.cancel(queued.id).status == "cancelled"
    plain = client.responses.create(model="m", input="hello")
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        client.responses.cancel(plain.id)


def test_input_tokens_are_counted(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    assert client.responses.input_tokens.count(model="m", input="one two three").input_tokens == 3


async def test_realtime_answers_in_text(fake: FakeOpenAI, realtime: openai.AsyncOpenAI) -> None:
    kinds = []
    async with realtime.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "instructions": "be kind"}
        )
        content: Any = [{"type": "input_text", "text": "hello there"}]
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        await connection.response.create()
        text = ""
        async for event in connection:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.done":
                assert event.response.usage is not None
                assert event.response.usage.total_tokens == 5
                break
    assert text == "echo: hello there"
    assert kinds[:2] == ["session.created", "session.updated"]
    seen = await fake.last.over()
    assert [event["type"] for event in seen.received] == [
        "session.update",
        "conversation.item.create",
        "response.create",
    ]
    assert fake.last.parameter("model") == "gpt-realtime"


async def test_realtime_reports_what_it_does_not_know(
    fake: FakeOpenAI, realtime: openai.AsyncOpenAI
) -> None:
    async with realtime.realtime.connect(model="gpt-realtime") as connection:
        await connection.send_raw('{"type": "nonsense"}')
        async for event in connection:
            if event.type == "error":
                assert event.error.code == "invalid_value"
                break


async def test_realtime_can_be_cut_off_and_can_fail(fake: FakeOpenAI) -> None:
    address = f"{fake.base_url}/realtime?model=m"
    headers = {"Authorization": "Bearer sk-a"}
    fake.fault(CutMidStream(1), ErrorEventMidStream(1))
    async with aiohttp.ClientSession(headers=headers) as session:
        for last in ("session.created", "error"):
            kinds = []
            async with session.ws_connect(address) as socket:
                await socket.send_json({"type": "session.update", "session": {}})
                async for message in socket:
                    kinds.append(message.json()["type"])
            assert kinds[-1] == last


async def test_realtime_asks_for_a_key_and_a_model(fake: FakeOpenAI) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{fake.base_url}/realtime?model=m")
        assert refused.value.status == 401
        # Browsers carry the key in a subprotocol.
        protocols = ("realtime", "openai-insecure-api-key.sk-a")
        async with session.ws_connect(f"{fake.base_url}/realtime", protocols=protocols) as socket:
            assert (await socket.receive_json())["error"]["code"] == "missing_model"
            await socket.receive()
            assert socket.close_code == 4000


async def test_a_client_secret_opens_the_websocket() -> None:
    async with FakeOpenAI(keys=["sk-a"]) as fake:
        client = openai.AsyncOpenAI(
            api_key="sk-a", base_url=fake.base_url, _strict_response_validation=True
        )
        secret = await client.realtime.client_secrets.create(
            session={"type": "realtime", "model": "gpt-realtime"}
        )
        headers = {"Authorization": f"Bearer {secret.value}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.ws_connect(f"{fake.base_url}/realtime?model=m") as socket,
        ):
            assert (await socket.receive_json())["type"] == "session.created"
