"""What tests ask of any fake: faults, scripts, what arrived, and how the exchange ended."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from tests.fakes import (
    PROVIDERS,
    CloseUnannounced,
    Compressed,
    ContentPolicyViolation,
    ContextWindowExceeded,
    CutAfterHeaders,
    CutBeforeHeaders,
    CutMidStream,
    Delay,
    EmptyBody,
    ErrorEventMidStream,
    FakeOpenAI,
    Fault,
    Fragmented,
    Hang,
    Hold,
    HtmlErrorPage,
    HugeAnswer,
    InvalidApiKey,
    MalformedJson,
    ModelNotFound,
    RateLimitHeaders,
    SlowDrip,
    Status,
    WrongContentType,
)

KEY = {"Authorization": "Bearer sk-a"}


def asked(*, stream: bool = False, model: str = "gpt-4o") -> dict[str, Any]:
    messages = [{"role": "user", "content": "hello there"}]
    return {"model": model, "messages": messages, "stream": stream}


def ask(fake: FakeOpenAI, *, stream: bool = False, model: str = "gpt-4o") -> httpx.Response:
    url = f"{fake.base_url}/chat/completions"
    return httpx.post(url, json=asked(stream=stream, model=model), headers=KEY, timeout=60)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Status(429), 429, "rate_limit_exceeded"),
        (Status(500), 500, None),
        (InvalidApiKey(), 401, "invalid_api_key"),
        (ModelNotFound(), 404, "model_not_found"),
        (ContextWindowExceeded(), 400, "context_length_exceeded"),
        (ContentPolicyViolation(), 400, "content_policy_violation"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_refuses_in_its_own_shape(
    fault: Fault, status: int, code: str | None, stream: bool
) -> None:
    with FakeOpenAI() as fake:
        fake.fault(fault)
        answer = ask(fake, stream=stream)
        assert answer.status_code == status
        assert answer.json()["error"]["code"] == code
        assert ask(fake).status_code == 200


def test_a_status_carries_any_body_and_headers() -> None:
    with FakeOpenAI() as fake:
        fake.fault(
            Status(418, {"tea": True}, {"retry-after": "7"}),
            Status(503, "busy"),
            HtmlErrorPage(),
        )
        teapot, busy, page = ask(fake), ask(fake), ask(fake)
        assert (teapot.json(), teapot.headers["retry-after"]) == ({"tea": True}, "7")
        assert (busy.status_code, busy.text) == (503, "busy")
        assert page.status_code == 502
        assert page.headers["content-type"].startswith("text/html")


def test_broken_bodies_are_broken() -> None:
    with FakeOpenAI() as fake:
        fake.fault(MalformedJson(), EmptyBody(), WrongContentType("text/plain"))
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            ask(fake).json()
        assert ask(fake).content == b""
        assert ask(fake).headers["content-type"] == "text/plain"
        fake.fault(MalformedJson(), EmptyBody())
        assert b'{"id": "broken\n\n' in ask(fake, stream=True).content
        assert ask(fake, stream=True).content == b""


def test_a_huge_answer_is_as_large_as_asked() -> None:
    with FakeOpenAI() as fake:
        fake.fault(HugeAnswer(300_000), HugeAnswer(300_000))
        assert len(ask(fake).json()["choices"][0]["message"]["content"]) >= 300_000
        assert len(ask(fake, stream=True).content) >= 300_000


def test_rate_limits_are_told_in_headers() -> None:
    with FakeOpenAI() as fake:
        fake.fault(RateLimitHeaders(remaining_requests=3, remaining_tokens=40, reset=0.25))
        headers = ask(fake).headers
        assert headers["x-ratelimit-remaining-requests"] == "3"
        assert headers["x-ratelimit-remaining-tokens"] == "40"
        assert headers["x-ratelimit-reset-requests"] == "250ms"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (CutBeforeHeaders(), httpx.ReadError),
        (CutAfterHeaders(), (httpx.ReadError, httpx.RemoteProtocolError)),
        (CutMidStream(1), httpx.RemoteProtocolError),
    ],
    ids=repr,
)
def test_connections_are_cut(fault: Fault, error: Any, stream: bool) -> None:
    with FakeOpenAI() as fake:
        fake.fault(fault)
        with pytest.raises(error):
            ask(fake, stream=stream)
        assert not fake.last.wait().disconnected
        assert ask(fake, stream=stream).status_code == 200


def test_a_cut_stream_has_sent_what_it_should() -> None:
    with FakeOpenAI() as fake:
        fake.fault(CutMidStream(2))
        with httpx.stream(
            "POST", f"{fake.base_url}/chat/completions", json=asked(stream=True), headers=KEY
        ) as answer:
            lines = answer.iter_lines()
            came = [next(lines) for _ in range(3)]
            assert [line[:6] for line in came] == ["data: ", "", "data: "]
            with pytest.raises(httpx.RemoteProtocolError):
                list(lines)
        assert fake.last.wait().chunks_sent == 2


def test_a_stream_can_end_with_the_providers_error() -> None:
    with FakeOpenAI() as fake:
        fake.fault(ErrorEventMidStream(1), ErrorEventMidStream(1))
        last = ask(fake, stream=True).text.strip().rpartition("data: ")[2]
        assert '"type":"server_error"' in last
        assert ask(fake).status_code == 500


def test_a_stream_can_be_cut_into_pieces_of_any_size() -> None:
    with FakeOpenAI() as fake:
        fake.fault(Fragmented(7))
        with httpx.stream(
            "POST", f"{fake.base_url}/chat/completions", json=asked(stream=True), headers=KEY
        ) as answer:
            body = answer.read()
        assert body.endswith(b"data: [DONE]\n\n")
        assert fake.last.wait().chunks_sent == -(-len(body) // 7)


def test_delays_and_drips_change_nothing_of_the_answer() -> None:
    with FakeOpenAI() as fake:
        fake.fault(Delay(0.01), SlowDrip(0.0001, size=50), SlowDrip(0.0001))
        assert [ask(fake).status_code, ask(fake).status_code] == [200, 200]
        assert fake.last.wait().chunks_sent > 5
        assert ask(fake, stream=True).text.endswith("data: [DONE]\n\n")


async def test_a_held_stream_goes_on_when_it_is_released() -> None:
    async with FakeOpenAI() as fake, aiohttp.ClientSession(headers=KEY) as session:
        hold = Hold(after_chunks=1)
        fake.fault(hold)
        url = f"{fake.base_url}/chat/completions"
        async with session.post(url, json=asked(stream=True)) as answer:
            first = await answer.content.readuntil(b"\n\n")
            assert first.startswith(b"data: ")
            assert not fake.last.ended
            hold.release()
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        assert not (await fake.last.over()).disconnected


@pytest.mark.parametrize("fault", [Hang(), Hold(after_chunks=1)], ids=["hang", "hold"])
async def test_a_client_that_goes_away_is_seen(fault: Fault) -> None:
    async with FakeOpenAI() as fake, aiohttp.ClientSession(headers=KEY) as session:
        fake.fault(fault)
        url = f"{fake.base_url}/chat/completions"
        call = asyncio.create_task(session.post(url, json=asked(stream=True)))
        await fake.arrived()
        if isinstance(fault, Hold):
            (await call).close()
        else:
            call.cancel()
        assert (await fake.last.over()).disconnected


def test_faults_take_turns() -> None:
    with FakeOpenAI() as fake:
        fake.fault(Status(500), None, (Delay(0), Status(503)))
        assert [ask(fake).status_code for _ in range(4)] == [500, 200, 503, 200]
        fake.fault(Status(500), None, always=True)
        assert [ask(fake).status_code for _ in range(4)] == [500, 200, 500, 200]
        fake.reset()
        assert fake.requests == []
        assert ask(fake).status_code == 200


def test_faults_can_be_limited_to_some_requests() -> None:
    with FakeOpenAI() as fake:
        fake.fault(Status(500), always=True, when=lambda request: request.json["model"] == "bad")
        statuses = [ask(fake, model=model).status_code for model in ("good", "bad", "bad", "good")]
        assert statuses == [200, 500, 500, 200]


def test_a_request_is_recorded_as_it_arrived() -> None:
    with FakeOpenAI() as fake:
        httpx.post(
            f"{fake.url}/v1/a%20path?x=1&x=2&y=%20",
            content=b"\x00\xff",
            headers={**KEY, "X-Custom": "yes"},
        )
        seen = fake.last.wait()
        assert (seen.method, seen.path, seen.status) == ("POST", "/v1/a path", 404)
        assert seen.raw_path == "/v1/a%20path?x=1&x=2&y=%20"
        assert seen.query == [("x", "1"), ("x", "2"), ("y", " ")]
        assert seen.headers["x-custom"] == "yes"
        assert seen.body == b"\x00\xff"
        assert seen.key == "sk-a"


def test_a_form_is_recorded_with_its_parts() -> None:
    with FakeOpenAI() as fake:
        httpx.post(
            f"{fake.base_url}/files",
            headers=KEY,
            data={"purpose": "batch", "tag": ["a", "b"]},
            files={"file": ("ä.bin", b"\r\n--x\r\n\x00", "application/x-thing")},
        )
        seen = fake.last.wait()
        assert seen.form == {"purpose": "batch", "tag": ["a", "b"]}
        assert seen.files[0].body == b"\r\n--x\r\n\x00"
        assert seen.files[0].content_type == "application/x-thing"


def test_connections_are_told_apart() -> None:
    with FakeOpenAI() as fake, httpx.Client(headers=KEY) as client:
        for _ in range(2):
            client.post(f"{fake.base_url}/chat/completions", json=asked())
        ask(fake)
        kept, again, other = (request.peer for request in fake.requests)
        assert kept == again != other


def test_an_answer_can_be_compressed() -> None:
    with FakeOpenAI() as fake:
        fake.fault(Compressed())
        answer = ask(fake)
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.json()["object"] == "chat.completion"


def test_a_connection_can_be_closed_without_a_word() -> None:
    with FakeOpenAI() as fake:
        fake.fault(CloseUnannounced())
        connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=60)
        body = json.dumps(asked())
        connection.request("POST", "/v1/chat/completions", body, KEY)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.read()
        assert answer.getheader("connection") is None
        socket: Any = connection.sock
        assert socket.recv(1) == b""


def test_keys_and_models_are_checked() -> None:
    with FakeOpenAI(keys=["sk-b"], models=["gpt-4o"]) as fake:
        assert ask(fake).json()["error"]["code"] == "invalid_api_key"
        fake.keys = {"sk-a"}
        assert ask(fake).status_code == 200
        assert ask(fake, model="other").json()["error"]["code"] == "model_not_found"
        url = f"{fake.base_url}/chat/completions"
        assert httpx.post(url, json=asked()).status_code == 401
        assert httpx.post(url, content=b"{", headers=KEY).status_code == 400


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_fake_answers_what_it_does_not_know(provider: str) -> None:
    with PROVIDERS[provider]() as fake:
        answer = httpx.get(f"{fake.url}/no/such/path?api-version=1", headers=KEY)
        assert 400 <= answer.status_code < 500
        assert answer.json()


def test_a_fake_runs_in_a_process_of_its_own() -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "tests.fakes", "--provider", "openai", "--key", "sk-a"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().rpartition(" ")[2].strip()
        answer = httpx.post(f"{url}/v1/chat/completions", json=asked(), headers=KEY)
        process.terminate()
    assert answer.status_code == 200
    assert process.returncode == 0
