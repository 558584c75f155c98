"""OpenAI's SDK, validating strictly, accepts what the fake's models answer."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.fakes import FakeCompatible, FakeOpenAI, Tokens, ToolCall

HELLO: Any = [{"role": "user", "content": "hello there"}]


def tool(name: str) -> Any:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


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


def test_a_chat_echoes_the_prompt_and_counts_words(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert answer.choices[0].message.content == "echo: hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 3)
    assert fake.last.json == {"model": "gpt-4o", "messages": HELLO}
    assert fake.last.key == "sk-a"


def test_a_raw_answer_carries_openais_headers(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["openai-processing-ms"].isdigit()
    assert answer.headers["x-ratelimit-remaining-requests"] == "9999"
    assert answer.headers["content-type"] == "application/json"


def test_usage_is_streamed_only_when_it_is_asked_for(
    fake: FakeOpenAI, client: openai.OpenAI
) -> None:
    silent = list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
    assert all(len(chunk.choices) == 1 for chunk in silent)
    assert not any("usage" in chunk.model_fields_set for chunk in silent)
    told = list(
        client.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert all("usage" in chunk.model_fields_set for chunk in told)
    assert [chunk.usage for chunk in told[:-1]] == [None] * len(silent)
    assert told[-1].choices == []
    assert told[-1].usage is not None
    assert told[-1].usage.total_tokens == 5
    said = "".join(chunk.choices[0].delta.content or "" for chunk in told[:-1])
    assert said == "echo: hello there"


def test_a_stream_ends_with_done_on_the_wire(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=HELLO, stream=True
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.http_response.read().endswith(b"\n\ndata: [DONE]\n\n")


def test_tools_are_called_in_parallel_and_answered(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    tools = [tool("weather"), tool("time")]
    answer = client.chat.completions.create(model="gpt-4o", messages=HELLO, tools=tools)
    calls = answer.choices[0].message.tool_calls or []
    assert answer.choices[0].finish_reason == "tool_calls"
    assert [call.to_dict()["function"]["name"] for call in calls] == ["weather", "time"]
    messages = [
        *HELLO,
        answer.choices[0].message.to_dict(),
        {"role": "tool", "tool_call_id": calls[0].id, "content": "18 degrees"},
    ]
    final = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)
    assert final.choices[0].message.content == "echo: 18 degrees"


def test_one_tool_is_called_when_only_one_may_be(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    tools = [tool("weather"), tool("time")]
    chat = client.chat.completions
    single = chat.create(model="m", messages=HELLO, tools=tools, parallel_tool_calls=False)
    named = chat.create(
        model="m",
        messages=HELLO,
        tools=tools,
        tool_choice={"type": "function", "function": {"name": "time"}},
    )
    none = chat.create(model="m", messages=HELLO, tools=tools, tool_choice="none")
    called = [
        [call.to_dict()["function"]["name"] for call in one.choices[0].message.tool_calls or []]
        for one in (single, named, none)
    ]
    assert called == [["weather"], ["time"], []]


def test_streamed_tool_calls_add_up_to_the_whole_ones(
    fake: FakeOpenAI, client: openai.OpenAI
) -> None:
    fake.answer(tool_calls=[ToolCall("a", {"x": 1, "y": "zwei"}), ToolCall("b", {})])
    with client.chat.completions.stream(model="gpt-4o", messages=HELLO) as events:
        message = events.get_final_completion().choices[0].message
    calls = [call.function for call in message.tool_calls or []]
    assert [(call.name, call.arguments) for call in calls] == [
        ("a", '{"x":1,"y":"zwei"}'),
        ("b", "{}"),
    ]


def test_logprobs_and_several_choices(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o", messages=HELLO, n=2, logprobs=True, top_logprobs=3
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    logprobs = answer.choices[1].logprobs
    assert logprobs is not None
    assert [token.token for token in logprobs.content or []] == ["echo:", " hello", " there"]
    assert all(len(token.top_logprobs) == 3 for token in logprobs.content or [])
    chunks = client.chat.completions.create(
        model="gpt-4o", messages=HELLO, n=2, logprobs=True, stream=True
    )
    assert {chunk.choices[0].index for chunk in chunks} == {0, 1}


class Weather(BaseModel):
    city: str
    degrees: int
    hours: list[float]
    wind: str | None


def test_a_json_schema_is_satisfied(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model="gpt-4o", messages=HELLO, response_format=Weather)
    parsed = answer.choices[0].message.parsed
    assert parsed is not None
    assert parsed.city == "echo: hello there"


def test_limits_stops_and_refusals_end_an_answer(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    chat = client.chat.completions
    cut = chat.create(model="m", messages=HELLO, max_completion_tokens=2).choices[0]
    assert (cut.message.content, cut.finish_reason) == ("echo: hello", "length")
    stopped = chat.create(model="m", messages=HELLO, stop=" there").choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("echo: hello", "stop")
    fake.answer(refusal="No.")
    assert chat.create(model="m", messages=HELLO).choices[0].message.refusal == "No."


def test_usage_can_be_scripted(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    fake.answer("fine", usage=Tokens(input=100, output=50, cached=40, reasoning=30))
    usage = client.chat.completions.create(model="o3", messages=HELLO).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (100, 50)
    assert usage.prompt_tokens_details.cached_tokens == 40
    assert usage.completion_tokens_details.reasoning_tokens == 30


def test_answers_can_be_scripted_by_request(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    fake.answer("from b", when=lambda request: request.json["model"] == "b", always=True)
    said = [
        client.chat.completions.create(model=model, messages=HELLO).choices[0].message.content
        for model in "abb"
    ]
    assert said == ["echo: hello there", "from b", "from b"]


def test_completions_whole_and_streamed(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    whole = client.completions.create(model="gpt-3.5-turbo-instruct", prompt=["a b", "c"], n=2)
    assert [choice.text for choice in whole.choices] == ["echo: a b"] * 2 + ["echo: c"] * 2
    assert whole.usage is not None
    assert whole.usage.prompt_tokens == 3
    # The SDK's type denies the null finish_reason that OpenAI streams.
    lenient = openai.OpenAI(api_key="sk-a", base_url=fake.base_url)
    chunks = list(
        lenient.completions.create(
            model="m", prompt="a b", stream=True, stream_options={"include_usage": True}
        )
    )
    said = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert said == "echo: a b"
    assert chunks[-1].usage is not None


def test_embeddings_are_equal_as_floats_and_in_base64(
    fake: FakeOpenAI, client: openai.OpenAI
) -> None:
    given = ["hello there", "b"]
    plain = client.embeddings.create(model="e", input=given, encoding_format="float")
    asked = {"model": "e", "input": given, "encoding_format": "base64"}
    packed: Any = client.post("/embeddings", body=asked, cast_to=object)
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert list(struct.unpack("<8f", raw)) == plain.data[0].embedding
    assert plain.data[0].embedding != plain.data[1].embedding
    assert plain.usage.prompt_tokens == 3
    sized = client.embeddings.create(model="e", input="x", dimensions=32, encoding_format="float")
    assert len(sized.data[0].embedding) == 32


def test_moderations_flag_what_is_named(fake: FakeOpenAI, client: openai.OpenAI) -> None:
    answer = client.moderations.create(input=["kind words", "hate and violence"])
    assert [verdict.flagged for verdict in answer.results] == [False, True]
    assert answer.results[1].categories.violence


def test_a_compatible_provider_has_its_own_path_and_reasoning() -> None:
    with FakeCompatible(prefix="/openai/v1") as fake:
        client = openai.OpenAI(api_key="gsk", base_url=fake.base_url, max_retries=0)
        fake.answer("42", reasoning="deep thought")
        whole = client.chat.completions.create(model="r1", messages=HELLO)
        assert whole.choices[0].message.to_dict()["reasoning_content"] == "deep thought"
        fake.answer("42", reasoning="deep thought")
        deltas = [
            chunk.choices[0].delta.to_dict()
            for chunk in client.chat.completions.create(model="r1", messages=HELLO, stream=True)
        ]
        assert "".join(str(d.get("reasoning_content", "")) for d in deltas) == "deep thought"
        assert fake.last.path == "/openai/v1/chat/completions"
