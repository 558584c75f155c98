"""Streams: chunk for chunk, with usage learned, cancelled with the client, never silently cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest

from tests.fakes import (
    CutMidStream,
    ErrorEventMidStream,
    FakeAnthropic,
    FakeOpenAI,
    Fragmented,
    Hold,
)
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers

HEARTBEAT = 0.3


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def anthropic(fakes: Providers) -> FakeAnthropic:
    return fakes(FakeAnthropic)


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, openai: FakeOpenAI, anthropic: FakeAnthropic) -> Gateway:
    direct = {"model": "openai/gpt-4o-mini", "api_base": f"{openai.url}/v1", "api_key": "sk-up"}
    claude = {"model": "anthropic/claude-sonnet-4-5", "api_base": anthropic.url, "api_key": "sk-a"}
    return module_gateway(
        {
            "general_settings": {"stream_heartbeat_seconds": HEARTBEAT},
            "model_list": [
                {"model_name": "direct", "litellm_params": direct},
                {"model_name": "litellm", "litellm_params": {**direct, "lane": "litellm"}},
                {"model_name": "claude", "litellm_params": claude},
            ],
            "router_settings": {"num_retries": 0},
        }
    )


def ask(model: str, text: str = "one two three", **fields) -> dict:
    messages = [{"role": "user", "content": text}]
    return {"model": model, "messages": messages, "stream": True, "max_tokens": 50, **fields}


def payloads(text: str) -> list:
    data = [line[5:].strip() for line in text.split("\n") if line.startswith("data:")]
    return [json.loads(item) for item in data if item != "[DONE]"]


def stream(server: Gateway, body: dict, path: str = "/v1/chat/completions") -> Iterator[str]:
    with httpx.stream("POST", server.url + path, json=body, timeout=60) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield from answer.iter_text()


LANES = pytest.mark.parametrize("model", ["direct", "litellm"])


@LANES
@pytest.mark.criterion("R1.2")
def test_each_chunk_is_forwarded_when_it_arrives(server, openai, model):
    hold = Hold(after_chunks=2)
    openai.fault(hold)
    chunks = stream(server, ask(model))
    first = next(chunks)
    assert '"choices"' in first
    hold.release()
    rest = "".join(chunks)
    assert "three" in rest
    assert rest.rstrip().endswith("data: [DONE]")


@LANES
def test_usage_is_asked_for_and_hidden_from_a_client_that_did_not_ask(server, openai, model):
    text = "".join(stream(server, ask(model)))
    assert openai.last.json["stream_options"] == {"include_usage": True}
    events = payloads(text)
    assert all(event["choices"] for event in events)
    assert all(not event.get("usage") for event in events)


@LANES
def test_usage_is_given_to_a_client_that_asks(server, openai, model):
    body = ask(model, stream_options={"include_usage": True})
    events = payloads("".join(stream(server, body)))
    assert events[-1]["usage"]["total_tokens"] > 0


@LANES
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_events_stay_whole_however_the_bytes_arrive(server, openai, model, size):
    openai.fault(Fragmented(size))
    text = "".join(stream(server, ask(model, "ünï – 🙂 \u2028 end")))
    said = "".join(event["choices"][0]["delta"].get("content") or "" for event in payloads(text))
    assert said == "echo: ünï – 🙂 \u2028 end"


@LANES
@pytest.mark.parametrize("fault", [CutMidStream(after_chunks=3), ErrorEventMidStream(3)])
def test_a_provider_that_dies_ends_the_stream_with_an_error_event(server, openai, model, fault):
    openai.fault(fault)
    events = payloads("".join(stream(server, ask(model))))
    assert events[0]["choices"]
    assert events[-1]["error"]["message"]


@pytest.mark.parametrize("fault", [CutMidStream(after_chunks=4), ErrorEventMidStream(4)])
def test_the_error_event_has_the_shape_of_the_api(server, anthropic, fault):
    anthropic.fault(fault)
    text = "".join(stream(server, ask("claude"), "/v1/messages"))
    assert "event: error" in text
    assert payloads(text)[-1]["type"] == "error"
    assert payloads(text)[-1]["error"]["type"]


@LANES
@pytest.mark.parametrize("silent_after", [0, 2])
async def test_a_client_that_leaves_cancels_the_providers_stream(
    server, openai, model, silent_after
):
    openai.fault(Hold(after_chunks=silent_after))
    async with httpx.AsyncClient(timeout=60) as client:
        url = f"{server.url}/v1/chat/completions"
        async with client.stream("POST", url, json=ask(model)) as answer:
            async for _ in answer.aiter_text():
                break
    assert (await openai.last.over()).disconnected
    assert "Traceback" not in server.log()


@LANES
async def test_a_client_that_leaves_before_the_answer_cancels_it(server, openai, model):
    openai.fault(Hold(after_chunks=0))
    body = ask(model) | {"stream": False}
    async with httpx.AsyncClient(timeout=60) as client:
        asking = asyncio.create_task(client.post(f"{server.url}/v1/chat/completions", json=body))
        recorded = await openai.arrived()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert (await recorded.over()).disconnected


@LANES
@pytest.mark.parametrize("silent_after", [0, 2])
def test_an_idle_stream_carries_comments(server, openai, model, silent_after):
    hold = Hold(after_chunks=silent_after)
    openai.fault(hold)
    seen = ""
    for text in stream(server, ask(model)):
        seen += text
        if seen.count(": keep-alive\n\n") == 2:
            hold.release()
    assert seen.count(": keep-alive\n\n") >= 2
    said = "".join(event["choices"][0]["delta"].get("content") or "" for event in payloads(seen))
    assert said == "echo: one two three"


async def test_many_streams_at_once_keep_their_own_words(server):
    async def one(client: httpx.AsyncClient, number: int) -> str:
        body = ask("direct", f"number {number} " * 5)
        answer = await client.post(f"{server.url}/v1/chat/completions", json=body)
        events = payloads(answer.text)
        return "".join(event["choices"][0]["delta"].get("content") or "" for event in events)

    async with httpx.AsyncClient(timeout=60) as client:
        said = await asyncio.gather(*(one(client, number) for number in range(100)))
    assert said == [f"echo: {f'number {number} ' * 5}" for number in range(100)]
