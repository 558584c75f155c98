"""Providers' own APIs under a prefix: what goes on, what comes back, and what never does."""

from __future__ import annotations

import asyncio
import json
import socket

import httpx
import pytest

from tests.fakes import CutMidStream, Delay, Hold, Status
from tests.support.gateway import Gateways
from tests.support.passthrough import (
    AUTH,
    CHAT,
    KEY,
    PROVIDER_KEY,
    configuration,
    deployment,
    start_providers,
)
from tests.support.providers import Providers


@pytest.fixture(scope="module")
def providers(fakes: Providers):
    return start_providers(fakes)


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, providers):
    config, environment = configuration(providers)
    return module_gateway(config, env=environment)


@pytest.fixture
def echo(providers):
    return providers["echo"]


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_method_path_query_headers_and_body_go_on_as_they_came(server, echo, method):
    body = bytes(range(256)) * 100 if method in {"POST", "PUT", "PATCH"} else b""
    answer = httpx.request(
        method,
        f"{server.url}/vllm/v1/a%2Fb/c%20d?x=%20y&x=2&empty=&plus=a+b",
        headers=AUTH | {"content-type": "application/x-any", "x-own": "kept", "accept": "a/b"},
        content=body,
    )
    assert answer.status_code == 200
    assert echo.last.method == method
    assert echo.last.raw_path == "/v1/a%2Fb/c%20d?x=%20y&x=2&empty=&plus=a+b"
    assert echo.last.body == body
    assert echo.last.headers["content-type"] == "application/x-any"
    assert echo.last.headers["x-own"] == "kept"
    assert echo.last.headers["accept"] == "a/b"
    assert answer.headers["x-provider"] == "echo"
    assert answer.headers["x-ratelimit-remaining-requests"] == "7"
    assert answer.headers["x-litellm-call-id"]


@pytest.mark.criterion("R1.1", "R11.1")
@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"x-api-key": KEY},
        {"api-key": KEY},
        {"x-goog-api-key": KEY},
        {"authorization": f"Bearer {KEY}", "x-copy": KEY, "x-other": f"Token {KEY}"},
    ],
)
def test_our_key_and_what_is_meant_for_one_hop_stay_here(server, echo, headers):
    answer = httpx.get(
        f"{server.url}/typesafe/v1/x?copy={KEY}&kept=1",
        headers=headers
        | {
            "connection": "close, x-hop",
            "x-hop": "1",
            "te": "trailers",
            "cookie": "session=client",
            "x-forwarded-for": "10.0.0.1",
            "x-litellm-tags": "a",
        },
    )
    assert answer.status_code == 200
    seen = echo.last
    assert seen.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert seen.headers["host"] == echo.url.removeprefix("http://")
    assert KEY not in seen.raw_path + json.dumps(seen.headers)
    assert seen.query == [("kept", "1")]
    gone = {"x-hop", "te", "cookie", "x-forwarded-for", "x-litellm-tags"}
    assert gone.isdisjoint(seen.headers)
    assert {"set-cookie", "alt-svc"}.isdisjoint(answer.headers)


@pytest.mark.criterion("R11.1")
@pytest.mark.parametrize("prefix", ["openai", "anthropic", "gemini", "bedrock", "vertex_ai"])
def test_without_a_valid_key_nothing_goes_on_and_the_error_has_the_providers_shape(
    server, providers, prefix
):
    for headers in ({}, {"authorization": "Bearer sk-wrong"}):
        answer = httpx.post(f"{server.url}/{prefix}/v1/anything", headers=headers, json=CHAT)
        assert answer.status_code == 401
        error = answer.json()["error"]
        if prefix == "anthropic":
            assert (answer.json()["type"], error["type"]) == ("error", "authentication_error")
        elif prefix in {"gemini", "vertex_ai"}:
            assert (error["code"], error["status"]) == (401, "UNAUTHENTICATED")
        else:
            assert error["type"] == "authentication_error"
    assert not any(fake.requests for fake in providers.values())


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/v1/models",
        "/../v1/models",
        "/%2e%2e/admin",
        "/v1/..%2f..%2fadmin",
        "/v1/%252e%252e/admin",
        "/v1/a%0d%0ax-evil:1",
        "/v1/a%5c..%5cb",
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(server, echo, path):
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        lines = [f"GET /vllm{path} HTTP/1.1", f"host: {host}", f"authorization: Bearer {KEY}"]
        raw.sendall("\r\n".join([*lines, "connection: close", "", ""]).encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert not echo.requests


@pytest.mark.criterion("R1.1")
def test_redirects_are_the_clients_to_follow(server, echo):
    answer = httpx.get(f"{server.url}/vllm/v1/moved", headers=AUTH)
    assert answer.status_code == 307
    assert answer.headers["location"] == "http://evil.example/"
    assert len(echo.requests) == 1


@pytest.mark.criterion("R1.1")
def test_answers_of_any_kind_come_back_unchanged(server):
    binary = httpx.get(f"{server.url}/vllm/v1/binary", headers=AUTH)
    assert binary.content == bytes(range(256))
    assert binary.headers["content-type"] == "audio/x-y"
    empty = httpx.delete(f"{server.url}/vllm/v1/empty", headers=AUTH)
    assert (empty.status_code, empty.content) == (204, b"")
    events = httpx.get(f"{server.url}/vllm/v1/events", headers=AUTH)
    assert events.text == 'data: {"n":1}\n\nevent: last\ndata: {"n":2}\n\n'


@pytest.mark.criterion("R1.1")
def test_a_multipart_upload_goes_on_byte_for_byte(server, providers):
    files = {"file": ("speech.wav", b"RIFF" + bytes(1_000_000), "audio/wav")}
    answer = httpx.post(
        f"{server.url}/openai_passthrough/v1/audio/transcriptions",
        headers=AUTH,
        data={"model": "whisper-1"},
        files=files,
    )
    assert answer.status_code == 200, answer.text
    seen = providers["openai"].last
    assert seen.form == {"model": "whisper-1"}
    assert seen.files[0].body == files["file"][1]


@pytest.mark.criterion("R1.1")
async def test_an_upload_reaches_the_provider_while_the_client_still_sends(module_gateway):
    first_part_seen = asyncio.Event()
    received: list[bytes] = []

    async def provider(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while b"0\r\n\r\n" not in b"".join(received):
            received.append(await reader.read(1000))
            first_part_seen.set()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    async def parts():
        yield b"first"
        await asyncio.wait_for(first_part_seen.wait(), 20)
        yield b"second"

    listening = await asyncio.start_server(provider, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    model = deployment("local", "hosted_vllm/llama", api_base=base)
    server = await asyncio.to_thread(module_gateway, {"model_list": [model]})
    async with listening, httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(
            f"{server.url}/vllm/upload", content=parts(), headers={"content-type": "a/b"}
        )
    assert answer.text == "ok"
    assert b"first" in received[0]
    assert b"second" not in received[0]


@pytest.mark.criterion("R1.1")
def test_a_body_above_the_limit_is_refused(server, echo):
    big = b"x" * (5 * 1024 * 1024)
    stated = httpx.post(f"{server.url}/vllm/v1/x", headers=AUTH, content=big)
    assert stated.status_code == 413
    unstated = httpx.post(f"{server.url}/vllm/v1/x", headers=AUTH, content=iter([big]))
    assert unstated.status_code == 413
    assert not [each for each in echo.requests if len(each.body) == len(big)]


@pytest.mark.criterion("R1.1", "R11.1")
def test_a_refusal_reaches_a_client_that_has_much_to_send(server):
    """Closing at once would reset the connection under the client's hands."""
    big = b"x" * (64 * 1024 * 1024)
    for headers, status in ((AUTH, 413), ({}, 401)):
        answer = httpx.post(f"{server.url}/vllm/v1/x", headers=headers, content=big, timeout=60)
        assert answer.status_code == status


@pytest.mark.criterion("R1.1")
def test_the_first_event_comes_before_the_provider_has_finished(server, providers):
    hold = Hold(after_chunks=2)
    providers["anthropic"].fault(hold)
    body = {"model": "claude-x", "max_tokens": 9, "stream": True, "messages": CHAT["messages"]}
    url = f"{server.url}/anthropic/v1/messages"
    with httpx.stream("POST", url, headers=AUTH, json=body, timeout=30) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: message_start"
        hold.release()
        assert "event: message_stop" in list(lines)


@pytest.mark.criterion("R1.1")
def test_a_stream_that_breaks_off_ends_with_an_error_in_the_providers_shape(server, providers):
    providers["anthropic"].fault(CutMidStream(after_chunks=3))
    body = {"model": "claude-x", "max_tokens": 9, "stream": True, "messages": CHAT["messages"]}
    answer = httpx.post(f"{server.url}/anthropic/v1/messages", headers=AUTH, json=body)
    name, data = answer.text.strip().split("\n\n")[-1].split("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: "))["type"] == "error"


@pytest.mark.criterion("R1.1")
def test_an_answer_that_breaks_off_outside_a_stream_breaks_off_for_the_client(server, echo):
    echo.fault(CutMidStream())
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{server.url}/vllm/v1/binary", headers=AUTH)


@pytest.mark.criterion("R1.1")
async def test_a_client_that_goes_away_ends_the_providers_request(server, echo):
    echo.fault(Delay(60))
    async with httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.get(f"{server.url}/vllm/v1/slow", headers=AUTH))
        recorded = await echo.arrived()
        asking.cancel()
    await recorded.over()
    assert recorded.disconnected


@pytest.mark.criterion("R1.1")
def test_the_providers_own_errors_come_back_as_they_are(server, echo):
    echo.fault(Status(429, {"their": "words"}, {"retry-after": "7"}))
    answer = httpx.get(f"{server.url}/vllm/v1/x", headers=AUTH)
    assert (answer.status_code, answer.json()) == (429, {"their": "words"})
    assert answer.headers["retry-after"] == "7"


@pytest.mark.criterion("R1.1")
def test_a_provider_that_cannot_be_reached_is_an_error_without_secrets(server):
    answer = httpx.post(f"{server.url}/mistral/v1/chat/completions", headers=AUTH, json=CHAT)
    assert answer.status_code == 503
    assert "could not be reached" in answer.json()["error"]["message"]
    assert PROVIDER_KEY not in answer.text


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize(
    ("prefix", "named"),
    [
        ("deepgram", "DEEPGRAM_API_KEY"),
        ("assemblyai", "ASSEMBLYAI_API_KEY"),
        ("eu.assemblyai", "ASSEMBLYAI_API_KEY"),
        ("openrouter", "OPENROUTER_API_KEY"),
        ("azure_ai", "AZURE_AI_API_KEY"),
        ("azure_speech/speech", "AZURE_SPEECH_API_KEY"),
        ("cursor", "CURSOR_API_KEY"),
        ("fal_ai", "FAL_AI_API_KEY"),
        ("laya", "LAYA_API_BASE"),
        ("bespoke", "BESPOKE_API_BASE"),
        ("comprehendmedical", "AWS_REGION"),
        ("transcribe", "AWS_REGION"),
    ],
)
def test_a_prefix_without_credentials_says_what_to_configure(server, prefix, named):
    answer = httpx.get(f"{server.url}/{prefix}/v1/x", headers=AUTH)
    assert answer.status_code == 503
    assert named in answer.json()["error"]["message"]
