"""Anthropic's Python SDK, to Anthropic and to everybody else."""

from __future__ import annotations

import anthropic
import pytest

from tests.fakes import ToolCall

from .conftest import KEY

HI = [{"role": "user", "content": "Hello there"}]
TOOL = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
MODELS = pytest.mark.parametrize("model", ["claude", "gpt", "gemini"])


@pytest.fixture(scope="module")
def client(server):
    with anthropic.Anthropic(base_url=server.url, api_key=KEY, max_retries=0) as client:
        yield client


@MODELS
@pytest.mark.criterion("R1.1", "R1.2")
def test_messages(client, model):
    message = client.messages.create(model=model, max_tokens=100, messages=HI)
    assert message.content[0].text == "echo: Hello there"
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


@MODELS
def test_messages_streamed(client, model):
    with client.messages.stream(model=model, max_tokens=100, messages=HI) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert said == "echo: Hello there"
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 0


@pytest.mark.parametrize("fake", ["anthropic_fake", "openai_fake"])
def test_tools_streamed(request, client, fake):
    request.getfixturevalue(fake).answer(tool_calls=[ToolCall("weather", {"city": "Bergen"}, "c1")])
    model = "claude" if fake == "anthropic_fake" else "gpt"
    with client.messages.stream(model=model, max_tokens=100, messages=HI, tools=[TOOL]) as stream:
        final = stream.get_final_message()
    used = [block for block in final.content if block.type == "tool_use"]
    assert used[0].name == "weather"
    assert used[0].input == {"city": "Bergen"}
    assert final.stop_reason == "tool_use"


def test_count_tokens(client):
    assert client.messages.count_tokens(model="claude", messages=HI).input_tokens > 0


def test_beta_headers_reach_anthropic(client, anthropic_fake):
    client.beta.messages.create(
        model="claude", max_tokens=5, messages=HI, betas=["context-1m-2025-08-07"]
    )
    assert "context-1m-2025-08-07" in anthropic_fake.last.headers["anthropic-beta"]


def test_errors_are_the_sdks_own(client, server):
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="nobody", max_tokens=5, messages=HI)
    with pytest.raises(anthropic.BadRequestError) as wrong:
        client.messages.create(
            model="claude", max_tokens=5, messages=HI, extra_body={"max_tokens": "many"}
        )
    assert "max_tokens" in str(wrong.value)
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(base_url=server.url, api_key="wrong").messages.create(
            model="claude", max_tokens=5, messages=HI
        )
