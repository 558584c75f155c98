"""Clients that don't keep to HTTP or JSON: each is told what is wrong, and costs nobody else."""

from __future__ import annotations

import json
import resource
import socket
import sys
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.fakes import FakeOpenAI
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers

KEY = "sk-master-of-odd-clients"
CHAT = "/v1/chat/completions"
FORM = "multipart/form-data; boundary=B"


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


def config(openai: FakeOpenAI) -> dict[str, Any]:
    direct = {"model": "openai/gpt-4o-mini", "api_base": openai.base_url, "api_key": "sk-up"}
    return {
        "model_list": [{"model_name": "direct", "litellm_params": direct}],
        "general_settings": {"master_key": KEY},
    }


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, openai: FakeOpenAI) -> Gateway:
    return module_gateway(config(openai))


def body(**fields: Any) -> bytes:
    asked = {"model": "direct", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return json.dumps(asked).encode()


def head(path: str = CHAT, *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"authorization: Bearer {KEY}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def say(server: Gateway, sent: bytes, *, leave: bool = False) -> tuple[int, dict[str, Any]]:
    """Status and body of what is answered to these bytes, which may be less than was promised.

    leave: tell the gateway that nothing more will come.
    """
    with socket.create_connection((server.host, server.port), 30) as connection:
        connection.sendall(sent)
        if leave:
            connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb")
        status = int(answer.readline().split()[1])
        length = 0
        while (line := answer.readline().lower()) not in (b"\r\n", b""):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return status, json.loads(answer.read(length))


@pytest.mark.parametrize("chunk", [b"ZZ\r\n{}\r\n", b"-1\r\n{}\r\n", b"1" + b"0" * 40 + b"\r\n{}"])
def test_chunks_that_are_none_are_the_clients_fault(server: Gateway, chunk: bytes):
    status, answer = say(server, head(CHAT, "transfer-encoding: chunked") + chunk)
    assert (status, answer["error"]["code"]) == (400, "incomplete_body")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (CHAT, "application/json"),
        ("/v1/audio/transcriptions", FORM),
        ("/openai/v1/files", "application/octet-stream"),
    ],
)
def test_a_body_that_breaks_off_is_the_clients_fault(server: Gateway, path: str, kind: str):
    sent = head(path, f"content-type: {kind}", "content-length: 1000") + b"--B\r\nContent-"
    status, answer = say(server, sent, leave=True)
    assert (status, answer["error"]["code"]) == (400, "incomplete_body")


def test_a_number_beyond_all_numbers_is_not_sent_on(server: Gateway, openai: FakeOpenAI):
    asked = body(temperature=0).replace(b'"temperature": 0', b'"temperature": 1e999')
    sent = head(CHAT, f"content-length: {len(asked)}") + asked
    status, answer = say(server, sent)
    assert status == 400
    assert "too large" in answer["error"]["message"]
    assert openai.requests == []


def test_two_requests_at_once_get_two_answers(server: Gateway):
    asked = body()
    one = head(CHAT, f"content-length: {len(asked)}") + asked
    with socket.create_connection((server.host, server.port), 30) as connection:
        connection.sendall(one * 2)
        seen = b""
        while seen.count(b"echo: Hi") < 2:
            seen += connection.recv(65_536)
    assert seen.count(b"HTTP/1.1 200 OK") == 2


def test_connections_that_say_nothing_leave_the_files_that_calls_need(
    gateway: Gateways, openai: FakeOpenAI
):
    server = gateway(config(openai), files="-n 256")
    asked = body()
    with ExitStack() as opened:
        first, *_ = [
            opened.enter_context(socket.create_connection((server.host, server.port), 30))
            for _ in range(300)
        ]
        first.sendall(head(CHAT, f"content-length: {len(asked)}") + asked)
        assert first.recv(65_536).startswith(b"HTTP/1.1 200 OK")
    answer = httpx.post(
        server.url + CHAT, content=asked, headers={"authorization": f"Bearer {KEY}"}, timeout=30
    )
    assert answer.status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells another process's limits")
def test_as_many_files_are_used_as_the_system_lets_a_process_have(
    gateway: Gateways, openai: FakeOpenAI
):
    server = gateway(config(openai), files="-Sn 256")
    (worker,) = server.workers()
    soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    assert soft == min(hard, 65_536) > 256
