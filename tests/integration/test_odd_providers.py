"""Providers whose answers aren't what their API promises: the client gets an answer or an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fakes import FakeOpenAI, Status, WrongContentType
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers
from tests.support.raw import RawProvider

CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    ],
}


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    with RawProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, openai: FakeOpenAI, raw: RawProvider) -> Gateway:
    def entry(name: str, **params: Any) -> dict[str, Any]:
        base = {"model": "openai/gpt-4o-mini", "api_key": "sk-upstream-canary"}
        return {"model_name": name, "litellm_params": base | params}

    return module_gateway(
        {
            "model_list": [
                entry("scripted", api_base=openai.base_url),
                entry("raw", api_base=raw.base_url),
                entry("raw-litellm", api_base=raw.base_url, lane="litellm"),
                {
                    "model_name": "other",
                    "litellm_params": {"model": "openai/x", "mock_response": "from another"},
                },
            ],
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        }
    )


def ask(server: Gateway, model: str, **fields: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **fields}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)


def http(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    stated = [b"content-type: application/json", b"content-length: %d" % len(body), *headers]
    return b"HTTP/1.1 " + status + b"\r\n" + b"\r\n".join(stated) + b"\r\n\r\n" + body


def chunk(text: str | None, finish: str | None = None, **fields: Any) -> bytes:
    delta = {"content": text} if text else {}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**event, "choices": choices, **fields}).encode()


def events(text: str) -> list[Any]:
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def said(text: str) -> str:
    deltas = [choice["delta"] for event in events(text) for choice in event.get("choices", ())]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.parametrize("model", ["raw", "raw-litellm"])
@pytest.mark.parametrize("value", [b"a\x01b", b"\xff\xe9", "é".encode(), b"9" * 5000], ids=repr)
@pytest.mark.parametrize("status", [b"200 OK", b"429 Too Many Requests"])
def test_whatever_stands_in_a_header_the_answer_arrives(
    server: Gateway, raw: RawProvider, model: str, value: bytes, status: bytes
):
    body = CHAT if status == b"200 OK" else {"error": {"message": "slow", "type": "x"}}
    raw.answer = http(json.dumps(body).encode(), b"retry-after: " + value, status=status)
    answer = ask(server, model)
    if model == "raw":
        assert answer.status_code == int(status[:3])
    assert answer.headers["content-type"] == "application/json"
    assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"message": "boom", "type": "server_error", "code": 500}}, 500),
        ({"error": {"message": "slow down", "type": "rate_limit", "code": 429}}, 429),
        ({"error": "boom"}, 500),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_with_status_200_is_an_error(
    server: Gateway, raw: RawProvider, body: dict[str, Any], status: int, stream: bool
):
    raw.answer = http(json.dumps(body).encode())
    answer = ask(server, "raw", stream=stream)
    assert answer.status_code == status
    assert answer.json()["error"]["message"] in {"boom", "slow down"}


def test_an_error_with_status_200_lets_another_model_answer(server: Gateway, raw: RawProvider):
    raw.answer = http(b'{"error": {"message": "boom"}}')
    answer = ask(server, "raw", fallbacks=["other"])
    assert answer.json()["choices"][0]["message"]["content"] == "from another"


@pytest.mark.parametrize("body", [b"null", b"[1]", b"1", b'"text"'])
def test_json_that_is_no_object_is_no_answer(server: Gateway, raw: RawProvider, body: bytes):
    raw.answer = http(body)
    answer = ask(server, "raw")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "malformed_answer")


@pytest.mark.parametrize("status", [301, 302, 304, 307])
def test_a_redirect_is_told_as_one(server: Gateway, openai: FakeOpenAI, status: int):
    openai.fault(Status(status, "", {"location": "http://127.0.0.1:9/"}))
    answer = ask(server, "scripted")
    assert answer.status_code == 502
    assert f"redirect ({status})" in answer.json()["error"]["message"]


@pytest.mark.parametrize("status", [b"600 What", b"999 Never"])
def test_a_status_that_is_none_is_not_passed_on(server: Gateway, raw: RawProvider, status: bytes):
    raw.answer = http(b'{"error": {"message": "odd"}}', status=status)
    assert ask(server, "raw").status_code == 500


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\x01SSH-2.0-OpenSSH\r\n\r\n",
        http(b"{}", b"content-length: 99"),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n{}\r\n",
        http(b"{}", b"x-request-id: " + b"a" * 100_000),
    ],
    ids=["another protocol", "two lengths", "bad chunks", "a huge header"],
)
def test_what_is_not_http_is_no_answer(server: Gateway, raw: RawProvider, answer: bytes):
    raw.answer = answer
    refused = ask(server, "raw")
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "malformed_answer")


@pytest.mark.parametrize("kind", ["Text/Event-Stream", "TEXT/EVENT-STREAM;charset=UTF-8"])
def test_the_type_of_a_stream_may_be_written_in_capitals(
    server: Gateway, openai: FakeOpenAI, kind: str
):
    openai.fault(WrongContentType(kind))
    openai.answer("one two")
    assert said(ask(server, "scripted", stream=True).text) == "one two"


ERROR = {"message": "boom", "code": 502}


@pytest.mark.parametrize(
    "event",
    [
        chunk("", "error", error=ERROR),
        b"data: " + json.dumps({"id": "c", "choices": [], "error": ERROR}).encode(),
        b"data: " + json.dumps({"type": "error", "error": ERROR}).encode(),
        b"data: " + json.dumps({"object": "error", **ERROR}).encode(),
        b"data: " + json.dumps({"error": "boom"}).encode(),
        b"event: error\ndata: " + json.dumps(ERROR).encode(),
    ],
    ids=["in a chunk", "after other fields", "with a type", "as an object", "a text", "by name"],
)
def test_an_error_in_a_stream_is_one_in_whatever_shape(
    server: Gateway, openai: FakeOpenAI, event: bytes
):
    openai.answer(events=(chunk("one") + b"\n\n", event + b"\n\n", b"data: [DONE]\n\n"))
    seen = events(ask(server, "scripted", stream=True).text)
    assert [each["choices"][0]["delta"]["content"] for each in seen[:-1]] == ["one"]
    assert seen[-1]["error"]["message"] == "boom"

    openai.answer(events=(event + b"\n\n",))
    first = ask(server, "scripted", stream=True, fallbacks=["other"])
    assert said(first.text) == "from another"


def test_a_chunk_whose_error_is_null_is_a_chunk(server: Gateway, openai: FakeOpenAI):
    event = {"error": None, **json.loads(chunk("one")[6:])}
    frames = [b"data: " + json.dumps(event).encode(), chunk("two", error=None), chunk("", "stop")]
    openai.answer(events=tuple(frame + b"\n\n" for frame in frames))
    assert said(ask(server, "scripted", stream=True).text) == "onetwo"


def test_an_error_that_a_model_writes_about_is_text(server: Gateway, openai: FakeOpenAI):
    words = '{"error": "boom"}\n\nevent: error\ndata: {"error": {"message": "boom"}}\n\n'
    openai.answer(words)
    assert said(ask(server, "scripted", stream=True).text) == words


def test_a_stream_of_mixed_line_ends_loses_nothing_but_the_usage(
    server: Gateway, openai: FakeOpenAI
):
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    told = b"data: " + json.dumps({"id": "c", "choices": [], "usage": usage}).encode()
    ends = [
        chunk("one") + b"\r\n\r\n" + chunk("two") + b"\n\n" + chunk("", "stop") + b"\n\n" + told
    ]
    openai.answer(events=(*(end + b"\r\n\r\n" for end in ends), b"data: [DONE]\n\n"))
    text = ask(server, "scripted", stream=True).text
    assert said(text) == "onetwo"
    assert "usage" not in text


def test_an_event_of_many_megabytes_comes_through_in_small_pieces(
    server: Gateway, openai: FakeOpenAI
):
    size = 8_000_000
    whole = chunk("x" * size) + b"\n\n"
    pieces = [whole[at : at + 4000] for at in range(0, len(whole), 4000)]
    openai.answer(events=(*pieces, chunk("", "stop") + b"\n\n", b"data: [DONE]\n\n"))
    assert len(said(ask(server, "scripted", stream=True).text)) == size
