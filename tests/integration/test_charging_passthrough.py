"""What is passed on leaves a row, with what its answer tells, and budgets hold for it."""

from __future__ import annotations

import asyncio
import gzip
import json
from importlib import import_module
from types import ModuleType
from typing import Any

import aiohttp
import httpx
import pytest

from tests.fakes import (
    CutMidStream,
    Delay,
    FakeAnthropic,
    FakeGemini,
    FakeOpenAI,
    FakeProvider,
    Hold,
    Status,
)
from tests.fakes.reply import Exchange, Reply, ok
from tests.fakes.script import Tokens
from tests.fakes.server import Route
from tests.support.accounts import Fleet
from tests.support.gateway import Gateways
from tests.support.management import MASTER
from tests.support.providers import Providers

USAGE = Tokens(input=1000, output=100, cached=300, reasoning=20)
ALL = ["/openai/*", "/openai_passthrough/*", "/anthropic/*", "/gemini/*", "/vllm/*", "/priced"]
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi there"}]}
MESSAGES = {**CHAT, "model": "claude-sonnet-4-5", "max_tokens": 200}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hi there"}]}]}
GEMINI = "gemini-2.5-flash"


class Anything(FakeProvider):
    """A provider of anything."""

    name = "anything"

    def routes(self) -> list[Route]:
        packed = gzip.compress(json.dumps({"usage": {"prompt_tokens": 7}}).encode())
        large = json.dumps({"data": "x" * 3_000_000, "usage": {"prompt_tokens": 9}}).encode()
        return [
            ("*", "/v1/packed", lambda x: Reply(body=packed, headers={"content-encoding": "gzip"})),
            ("*", "/v1/large", lambda x: Reply(body=large)),
            ("*", "/v1/binary", lambda x: Reply(body=bytes(range(256)), content_type="audio/x-y")),
            ("GET", "/v1/socket", self._socket),
            ("*", "/{rest:.+}", lambda x: ok({"ok": True})),
        ]

    async def _socket(self, x: Exchange) -> Any:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(x.request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    def error(self, status: int, message: str = "") -> Reply:
        return Reply(status, b"{}")


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def anthropic(fakes: Providers) -> FakeAnthropic:
    return fakes(FakeAnthropic)


@pytest.fixture(scope="module")
def gemini(fakes: Providers) -> FakeGemini:
    return fakes(FakeGemini)


@pytest.fixture(scope="module")
def anything(fakes: Providers) -> Anything:
    return fakes(Anything)


@pytest.fixture(scope="module")
def fleet(
    module_gateway: Gateways,
    openai: FakeOpenAI,
    anthropic: FakeAnthropic,
    gemini: FakeGemini,
    anything: Anything,
) -> Fleet:
    own = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-5}
    params = {"model": "openai/gpt-own", "api_base": openai.base_url, "api_key": "sk-up"}
    endpoints = [
        {"path": "/priced", "target": f"{anything.url}/v1/any", "cost_per_request": 0.25},
        {"path": "/open", "target": f"{anything.url}/v1/any", "auth": False},
    ]
    config = {
        "general_settings": {"master_key": MASTER, "pass_through_endpoints": endpoints},
        "model_list": [{"model_name": "own", "litellm_params": params, "model_info": own}],
    }
    environment = {
        "ANTHROPIC_API_KEY": "k",
        "ANTHROPIC_API_BASE": anthropic.url,
        "GEMINI_API_KEY": "k",
        "GEMINI_API_BASE": gemini.url,
        "VLLM_API_BASE": f"{anything.url}/v1",
    }
    return Fleet([module_gateway(config, env=environment)])


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    return import_module("tests.support.price_oracle")


def key_of(fleet: Fleet, **limits: Any) -> dict[str, str]:
    """The headers of a new key."""
    return {"authorization": f"Bearer {fleet.admin.key(allowed_routes=ALL, **limits)}"}


def post(fleet: Fleet, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{fleet.gateways[0].url}{path}", json=body, headers=headers, timeout=30)


def row_of(fleet: Fleet, answer: httpx.Response) -> dict[str, Any]:
    (row,) = row_with(fleet, answer.headers["x-trunkline-call-id"])
    return row


def row_with(fleet: Fleet, call_id: str) -> list[dict[str, Any]]:
    return fleet.until(
        lambda: [row for row in fleet.rows() if row["request_id"] == call_id], lambda rows: rows
    )


WIRES = {
    "openai": ("/openai_passthrough/chat/completions", CHAT, "openai", "gpt-4o"),
    "responses": (
        "/openai_passthrough/responses",
        {"model": "gpt-4o", "input": "Hi there"},
        "openai",
        "gpt-4o",
    ),
    "anthropic": ("/anthropic/v1/messages", MESSAGES, "anthropic", "claude-sonnet-4-5"),
    "gemini": (f"/gemini/v1beta/models/{GEMINI}:generateContent", CONTENTS, "gemini", GEMINI),
}


def streamed(wire: str) -> tuple[str, dict[str, Any]]:
    path, body, *_ = WIRES[wire]
    if wire == "gemini":
        return path.replace(":generateContent", ":streamGenerateContent?alt=sse"), body
    asked = {"stream_options": {"include_usage": True}} if wire == "openai" else {}
    return path, {**body, "stream": True, **asked}


def expected(oracle: ModuleType, wire: str) -> int:
    """Nano-dollars by LiteLLM."""
    _, _, provider, model = WIRES[wire]
    told = {
        "prompt_tokens": USAGE.input,
        "completion_tokens": USAGE.output,
        "prompt_tokens_details": {"cached_tokens": USAGE.cached},
    }
    cost = oracle.chat(model, {"litellm_provider": provider}, told)
    return round(cost * 1e9)


def providers(request: pytest.FixtureRequest) -> list[FakeProvider]:
    return [request.getfixturevalue(name) for name in ("openai", "anthropic", "gemini")]


@pytest.mark.criterion("R12.1", "R12.2")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_what_an_answer_tells_is_charged(
    request: pytest.FixtureRequest, fleet: Fleet, oracle: ModuleType, wire: str, stream: bool
) -> None:
    for provider in providers(request):
        provider.answer(usage=USAGE)
    path, body = streamed(wire) if stream else WIRES[wire][:2]
    answer = post(fleet, path, body, key_of(fleet))
    assert answer.status_code == 200
    row = row_of(fleet, answer)
    provider, model = WIRES[wire][2:]
    assert (row["call_type"], row["custom_llm_provider"]) == ("pass_through", provider)
    assert (row["model_group"], row["model"]) == (model, f"{provider}/{model}")
    assert (row["prompt_tokens"], row["completion_tokens"]) == (USAGE.input, USAGE.output)
    assert row["cached_tokens"] == USAGE.cached
    assert (row["status"], row["spend"]) == ("success", expected(oracle, wire))
    assert row["ended_at"] > row["started_at"]


@pytest.mark.criterion("R11.5", "R12.3")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_budgets_count_what_is_passed_on_and_stop_it(
    request: pytest.FixtureRequest, fleet: Fleet, oracle: ModuleType, wire: str, stream: bool
) -> None:
    for provider in providers(request):
        provider.answer(usage=USAGE, always=True)
    path, body = streamed(wire) if stream else WIRES[wire][:2]
    headers = key_of(fleet, max_budget=2 * expected(oracle, wire) / 1e9)
    answers = [post(fleet, path, body, headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 400]
    assert "udget has been exceeded" in answers[-1].text


@pytest.mark.criterion("R12.2")
def test_a_model_group_is_charged_at_its_own_price(fleet: Fleet, openai: FakeOpenAI) -> None:
    openai.answer(usage=USAGE)
    answer = post(
        fleet, "/openai_passthrough/chat/completions", {**CHAT, "model": "own"}, key_of(fleet)
    )
    assert openai.last.json["model"] == "gpt-own"
    row = row_of(fleet, answer)
    assert row["spend"] == 1000 * 1000 + 100 * 10_000
    assert (row["model_group"], row["model"]) == ("own", "openai/gpt-own")


@pytest.mark.criterion("R12.2")
def test_a_stream_that_tells_no_usage_is_charged_by_what_it_said(
    fleet: Fleet, openai: FakeOpenAI
) -> None:
    openai.answer("words " * 100)
    body = {**CHAT, "stream": True}
    row = row_of(fleet, post(fleet, "/openai_passthrough/chat/completions", body, key_of(fleet)))
    assert row["completion_tokens"] == pytest.approx(150, rel=0.2)
    assert row["spend"] > 0


@pytest.mark.criterion("R12.2")
@pytest.mark.parametrize("group", ["gpt-4o", "own"])
@pytest.mark.parametrize("status", [400, 429, 500])
def test_an_error_leaves_a_row_that_costs_nothing(
    fleet: Fleet, openai: FakeOpenAI, status: int, group: str
) -> None:
    openai.fault(Status(status))
    body = {**CHAT, "model": group}
    answer = post(fleet, "/openai_passthrough/chat/completions", body, key_of(fleet))
    assert answer.status_code == status
    row = row_of(fleet, answer)
    assert (row["status"], row["model_group"]) == ("failure", group)
    assert row["error"]
    assert row["spend"] is None


@pytest.mark.criterion("R12.2")
def test_a_provider_that_breaks_off_leaves_a_row(fleet: Fleet, openai: FakeOpenAI) -> None:
    openai.fault(CutMidStream(3))
    answer = post(
        fleet, "/openai_passthrough/chat/completions", {**CHAT, "stream": True}, key_of(fleet)
    )
    row = row_of(fleet, answer)
    assert (row["status"], row["error"]) == ("failure", "connection")
    assert row["completion_tokens"] is None or row["completion_tokens"] < 20


@pytest.mark.criterion("R12.2")
@pytest.mark.parametrize("model", ["gpt-4o", "own"])
async def test_a_client_that_leaves_in_mid_stream_pays_for_what_came(
    fleet: Fleet, openai: FakeOpenAI, model: str
) -> None:
    openai.answer("word " * 50)
    openai.fault(Hold(after_chunks=20))
    body = {**CHAT, "model": model, "stream": True}
    headers = key_of(fleet)
    async with httpx.AsyncClient(timeout=30) as client:
        url = f"{fleet.gateways[0].url}/openai_passthrough/chat/completions"
        async with client.stream("POST", url, json=body, headers=headers) as answer:
            size = 0
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > 2000:
                    break
            call_id = answer.headers["x-trunkline-call-id"]
    (row,) = await asyncio.to_thread(row_with, fleet, call_id)
    assert (row["status"], row["error"]) == ("cancelled", "client_gone")
    assert 0 < row["completion_tokens"] < 60
    assert row["spend"] > 0


@pytest.mark.criterion("R12.2")
async def test_a_client_that_leaves_before_the_answer_leaves_a_row(
    fleet: Fleet, openai: FakeOpenAI
) -> None:
    openai.fault(Delay(20))
    key = fleet.admin.key(allowed_routes=ALL, key_alias="left-early")
    async with httpx.AsyncClient(timeout=0.5) as client:
        url = f"{fleet.gateways[0].url}/openai_passthrough/chat/completions"
        with pytest.raises(httpx.ReadTimeout):
            await client.post(url, json=CHAT, headers={"authorization": f"Bearer {key}"})

    def look() -> list[dict[str, Any]]:
        return [row for row in fleet.rows() if row["key_alias"] == "left-early"]

    (row,) = await asyncio.to_thread(fleet.until, look, bool)
    assert row["status"] == "cancelled"


@pytest.mark.criterion("R12.2", "R1.1")
def test_answers_come_byte_for_byte_whatever_is_read_of_them(
    fleet: Fleet, anything: Anything
) -> None:
    headers = {**key_of(fleet), "accept-encoding": "br, gzip;q=0.5, zstd"}
    with httpx.stream("GET", f"{fleet.gateways[0].url}/vllm/packed", headers=headers) as answer:
        raw = b"".join(answer.iter_raw())
    assert anything.last.headers["accept-encoding"] == "gzip;q=0.5"
    assert json.loads(gzip.decompress(raw)) == {"usage": {"prompt_tokens": 7}}
    assert row_of(fleet, answer)["prompt_tokens"] == 7
    large = httpx.get(f"{fleet.gateways[0].url}/vllm/large", headers=key_of(fleet))
    assert len(large.json()["data"]) == 3_000_000
    assert row_of(fleet, large)["prompt_tokens"] == 9
    binary = httpx.get(f"{fleet.gateways[0].url}/vllm/binary", headers=key_of(fleet))
    assert binary.content == bytes(range(256))
    row = row_of(fleet, binary)
    assert (row["prompt_tokens"], row["spend"], row["status"]) == (None, None, "success")
    assert (row["custom_llm_provider"], row["model_group"], row["model"]) == ("vllm", "", "")


@pytest.mark.criterion("R12.1", "R11.5")
def test_an_endpoint_costs_what_the_configuration_says_for_each_request(
    fleet: Fleet, anything: Anything
) -> None:
    headers = key_of(fleet, max_budget=0.5)
    answer = post(fleet, "/priced", {}, headers)
    row = row_of(fleet, answer)
    assert (row["spend"], row["model_group"]) == (250_000_000, "/priced")
    anything.fault(Status(500))
    assert row_of(fleet, post(fleet, "/priced", {}, headers))["spend"] is None
    assert [post(fleet, "/priced", {}, headers).status_code for _ in range(2)] == [200, 400]
    nobody = post(fleet, "/open", {}, {})
    assert nobody.status_code == 200
    row_of(fleet, post(fleet, "/priced", {}, key_of(fleet)))
    assert nobody.headers["x-trunkline-call-id"] not in str(fleet.rows())


@pytest.mark.criterion("R12.2")
async def test_a_websocket_leaves_a_row(fleet: Fleet) -> None:
    key = fleet.admin.key(allowed_routes=ALL, key_alias="socket")
    spent = fleet.admin.key(allowed_routes=ALL, max_budget=0)
    url = f"{fleet.gateways[0].url}/vllm/socket"
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, headers={"authorization": f"Bearer {key}"}) as socket:
            await socket.send_str("hello")
            assert await socket.receive_str(timeout=20) == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url, headers={"authorization": f"Bearer {spent}"})
    assert refused.value.status == 400

    def look() -> list[dict[str, Any]]:
        return [row for row in fleet.rows() if row["key_alias"] == "socket"]

    (row,) = await asyncio.to_thread(fleet.until, look, bool)
    assert (row["call_type"], row["custom_llm_provider"]) == ("pass_through", "vllm")
    assert (row["status"], row["spend"]) == ("success", None)


@pytest.mark.criterion("R11.2")
def test_a_key_without_leave_still_passes_nothing_on(fleet: Fleet, openai: FakeOpenAI) -> None:
    headers = {"authorization": f"Bearer {fleet.admin.key()}"}
    answer = post(fleet, "/openai_passthrough/chat/completions", CHAT, headers)
    assert answer.status_code == 403
    assert not openai.requests
