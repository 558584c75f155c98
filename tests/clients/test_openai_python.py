"""OpenAI's Python SDK, pointed at the gateway by its base URL and key alone."""

from __future__ import annotations

import io
import json

import openai
import pytest
from pydantic import BaseModel

from tests.fakes import ToolCall

from .conftest import KEY

HI = [{"role": "user", "content": "Hello there"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.mark.criterion("R1.1", "R1.2")
@pytest.mark.parametrize("model", ["gpt", "claude", "gemini"])
def test_chat(client, model):
    answer = client.chat.completions.create(model=model, messages=HI)
    assert answer.choices[0].message.content == "echo: Hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > 0


@pytest.mark.parametrize("model", ["gpt", "claude", "gemini"])
def test_chat_streamed(client, model):
    chunks = list(client.chat.completions.create(model=model, messages=HI, stream=True))
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == "echo: Hello there"
    assert len(chunks) > 2
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", ["gpt", "claude", "gemini"])
@pytest.mark.parametrize("streamed", [False, True])
def test_tools(request, client, model, streamed):
    fakes = {"gpt": "openai_fake", "claude": "anthropic_fake", "gemini": "gemini_fake"}
    fake = request.getfixturevalue(fakes[model])
    fake.answer(tool_calls=[ToolCall("weather", {"city": "Tromsø"}, "call_1")])
    with client.chat.completions.stream(model=model, messages=HI, tools=[TOOL]) as stream:
        if streamed:
            message = stream.get_final_completion().choices[0].message
        else:
            stream.close()
            fake.reset()
            fake.answer(tool_calls=[ToolCall("weather", {"city": "Tromsø"}, "call_1")])
            answer = client.chat.completions.create(model=model, messages=HI, tools=[TOOL])
            message = answer.choices[0].message
    call = message.tool_calls[0]
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "Tromsø"}


def test_tool_results_go_back(client, openai_fake):
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    answer = client.chat.completions.create(model="gpt", messages=messages, tools=[TOOL])
    assert answer.choices[0].message.content == "echo: sunny"
    assert openai_fake.last.json["messages"] == messages


class City(BaseModel):
    name: str
    people: int


def test_structured_output_is_parsed(client):
    answer = client.chat.completions.parse(model="gpt", messages=HI, response_format=City)
    assert isinstance(answer.choices[0].message.parsed, City)


@pytest.mark.criterion("R1.1")
def test_embeddings(client):
    answer = client.embeddings.create(model="embedder", input=["one", "two"])
    assert len(answer.data) == 2
    assert all(isinstance(number, float) for number in answer.data[0].embedding)


@pytest.mark.criterion("R1.1")
def test_images(client):
    made = client.images.generate(model="painter", prompt="A lighthouse")
    assert made.data[0].b64_json or made.data[0].url
    picture = ("picture.png", io.BytesIO(b"\x89PNG" + bytes(1000)), "image/png")
    edited = client.images.edit(model="painter", image=picture, prompt="At night")
    assert edited.data[0].b64_json or edited.data[0].url


@pytest.mark.criterion("R1.1")
def test_speech(client, openai_fake):
    spoken = client.audio.speech.create(model="voice", voice="alloy", input="Hello")
    assert len(spoken.content) > 0
    assert openai_fake.last.json["model"] == "gpt-4o-mini-tts"


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize("response_format", ["json", "text"])
def test_transcription(client, openai_fake, response_format):
    sound = ("sound.wav", io.BytesIO(b"RIFF" + bytes(100_000)), "audio/wav")
    heard = client.audio.transcriptions.create(
        model="ear", file=sound, response_format=response_format
    )
    assert heard if response_format == "text" else heard.text
    assert openai_fake.last.form["model"] == "whisper-1"
    assert len(openai_fake.last.files[0].body) == 100_004


@pytest.mark.criterion("R1.1")
def test_moderations(client):
    assert client.moderations.create(model="judge", input="Hello").results


@pytest.mark.criterion("R1.1")
def test_files_and_batches(client):
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions"}
    line["body"] = {"model": "gpt", "messages": HI}
    content = json.dumps(line).encode()
    file = client.files.create(file=("batch.jsonl", content), purpose="batch")
    assert client.files.retrieve(file.id).filename == "batch.jsonl"
    assert file.id in [listed.id for listed in client.files.list()]
    assert client.files.content(file.id).content
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert client.batches.retrieve(batch.id).input_file_id == file.id
    assert batch.id in [listed.id for listed in client.batches.list()]
    assert client.batches.cancel(batch.id).status in {"cancelling", "cancelled"}
    assert client.files.delete(file.id).deleted


def test_responses(client):
    made = client.responses.create(model="gpt", input="Hello there")
    assert made.output_text == "echo: Hello there"
    assert client.responses.retrieve(made.id).id == made.id
    events = [event.type for event in client.responses.create(model="gpt", input="Hi", stream=True)]
    assert events[0] == "response.created"
    assert events[-1] == "response.completed"
    client.responses.delete(made.id)


async def test_realtime(server):
    base = f"{server.url}/v1"
    text = {"type": "input_text", "text": "Hello there"}
    async with (
        openai.AsyncOpenAI(base_url=base, api_key=KEY) as client,
        client.realtime.connect(model="live") as connection,
    ):
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [text]}
        )
        await connection.response.create()
        kinds = []
        async for event in connection:
            kinds.append(event.type)
            if event.type == "response.done":
                break
    assert kinds[0] == "session.created"
    assert any(kind.endswith("text.delta") for kind in kinds)


@pytest.mark.criterion("R1.1")
def test_models(client):
    assert {model.id for model in client.models.list()} >= {"gpt", "claude", "gemini"}
    assert client.models.retrieve("gpt").id == "gpt"


def test_errors_are_the_sdks_own(client, server):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="nobody", messages=HI)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model="gpt", messages="Hello")
    assert wrong.value.param == "messages"
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-wrong").models.list()


def test_the_azure_client(server):
    with openai.AzureOpenAI(
        azure_endpoint=server.url, api_key=KEY, api_version="2024-10-21"
    ) as client:
        answer = client.chat.completions.create(model="gpt", messages=HI)
    assert answer.choices[0].message.content == "echo: Hello there"


def test_raw_headers_tell_what_happened(client):
    raw = client.chat.completions.with_raw_response.create(model="gpt", messages=HI)
    assert raw.headers["x-litellm-model-group"] == "gpt"
    assert raw.headers["x-litellm-attempted-retries"] == "0"
    assert float(raw.headers["x-litellm-response-cost"]) > 0
    assert float(raw.headers["x-litellm-overhead-duration-ms"]) >= 0
    assert "sk-openai" not in str(raw.headers)
