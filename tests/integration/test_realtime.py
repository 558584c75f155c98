"""Realtime sessions: a client's WebSocket, led through the gateway to a provider's."""

from __future__ import annotations

import asyncio
import contextlib
import json

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from openai import AsyncAzureOpenAI, AsyncOpenAI

from tests.fakes import CutMidStream, ErrorEventMidStream, FakeAzure, FakeOpenAI, Status, Tokens
from tests.support.gateway import Gateways
from tests.support.providers import Providers

KEY = "sk-gateway-master-key"
PROVIDER_KEY = "sk-provider-secret-key"
AUTH = {"authorization": f"Bearer {KEY}"}
HELLO = {
    "type": "conversation.item.create",
    "item": {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "hello there"}],
    },
}


def deployment(group: str, model: str, **params: object) -> dict:
    return {"model_name": group, "litellm_params": {"model": model, **params}}


def tagged(model: str, **params: object) -> dict:
    return deployment("tagged", model, **params) | {"model_info": {"enable_tag_filtering": True}}


@pytest.fixture(scope="module")
def openai(fakes: Providers):
    return fakes(FakeOpenAI, keys=[PROVIDER_KEY])


@pytest.fixture(scope="module")
def azure(fakes: Providers):
    return fakes(FakeAzure, keys=[PROVIDER_KEY])


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, openai, azure):
    here = {"api_base": openai.base_url, "api_key": PROVIDER_KEY}
    there = {"api_base": azure.url, "api_key": PROVIDER_KEY, "api_version": "2024-10-01-preview"}
    dead = {"api_base": "http://127.0.0.1:9/v1", "api_key": PROVIDER_KEY}
    config = {
        "general_settings": {"master_key": KEY},
        "router_settings": {"num_retries": 1, "retry_after": 0},
        "model_list": [
            deployment("voice", "openai/gpt-realtime", **here),
            deployment("voice-azure", "azure/our-realtime", **there),
            deployment("dead", "openai/gpt-realtime", **dead),
            deployment("one-dead", "openai/gpt-realtime", order=1, **dead),
            deployment("one-dead", "openai/gpt-realtime", order=2, **here),
            tagged("openai/gpt-realtime", tags=["paid"], **here),
            tagged("openai/gpt-realtime-mini", tag_regex=["^User-Agent: phone/"], **here),
            tagged("openai/gpt-realtime-nano", tags=["default"], **here),
            deployment("claude", "anthropic/claude-x", api_key=PROVIDER_KEY),
            deployment("mock", "openai/x", mock_response="hi"),
        ],
    }
    return module_gateway(config)


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


def address(server, model: str = "voice", path: str = "/v1/realtime", more: str = "") -> str:
    return f"{server.url}{path}?model={model}{more}"


async def events(socket: aiohttp.ClientWebSocketResponse, last: str) -> list[dict]:
    """What arrives up to an event of a type."""
    seen = []
    async with asyncio.timeout(30):
        while True:
            message = await socket.receive()
            assert message.type is WSMsgType.TEXT, message
            seen.append(json.loads(message.data))
            if seen[-1]["type"] == last:
                return seen


async def closed(socket: aiohttp.ClientWebSocketResponse) -> tuple[int, str]:
    async with asyncio.timeout(30):
        message = await socket.receive()
    assert message.type is WSMsgType.CLOSE, message
    return message.data, message.extra or ""


@pytest.mark.criterion("R1.1", "R1.2")
async def test_openais_sdk_holds_a_session(server, openai):
    client = AsyncOpenAI(base_url=f"{server.url}/v1", api_key=KEY)
    async with client.realtime.connect(model="voice") as talk:
        await talk.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await talk.conversation.item.create(item=HELLO["item"])
        await talk.response.create()
        heard = ""
        async for event in talk:
            if event.type == "response.output_text.delta":
                heard += event.delta
            if event.type == "response.done":
                break
    assert heard == "echo: hello there"
    seen = openai.last
    assert seen.query == [("model", "gpt-realtime")]
    assert seen.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert KEY not in str(seen.headers)


@pytest.mark.criterion("R1.1", "R1.2", "R1.4")
@pytest.mark.parametrize("beta", [False, True])
async def test_azures_sdk_holds_a_session_with_a_deployment_of_azure(server, azure, beta):
    client = AsyncAzureOpenAI(
        azure_endpoint=server.url,
        websocket_base_url=f"ws://{server.host}:{server.port}/openai",
        api_key=KEY,
        api_version="2024-10-01-preview",
    )
    namespace = client.beta.realtime if beta else client.realtime
    async with namespace.connect(model="voice-azure") as talk:
        event = await talk.recv()
    assert event.type == "session.created"
    seen = azure.last
    assert seen.headers["api-key"] == PROVIDER_KEY
    if beta:
        assert seen.path == "/openai/realtime"
        assert seen.query == [("api-version", "2024-10-01-preview"), ("deployment", "our-realtime")]
    else:
        assert seen.path == "/openai/v1/realtime"
        assert seen.query == [("model", "our-realtime")]


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize("path", ["/v1/realtime", "/realtime", "/openai/v1/realtime"])
async def test_every_spelling_of_the_path_leads_to_the_session(server, http, path):
    async with http.ws_connect(address(server, path=path), headers=AUTH) as socket:
        await events(socket, "session.created")


@pytest.mark.criterion("R1.1", "R11.1")
async def test_browsers_send_the_key_as_a_subprotocol(server, http, openai):
    protocols = ("realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1")
    async with http.ws_connect(address(server), protocols=protocols) as socket:
        await events(socket, "session.created")
        assert socket.protocol == "realtime"
    assert openai.last.headers["openai-beta"] == "realtime=v1"
    assert KEY not in str(openai.last.headers)


@pytest.mark.criterion("R1.1", "R11.1")
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"api-key": "wrong"}])
@pytest.mark.parametrize("protocols", [(), ("realtime", "openai-insecure-api-key.wrong")])
async def test_without_a_valid_key_no_session_is_opened(server, http, openai, headers, protocols):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(address(server), headers=headers, protocols=protocols)
    assert refused.value.status == 401
    assert not openai.requests


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize(
    ("query", "status"), [("", 400), ("?model=claude", 400), ("?model=mock", 400)]
)
async def test_a_session_needs_a_model_that_takes_sessions(server, http, query, status):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(f"{server.url}/v1/realtime{query}", headers=AUTH)
    assert refused.value.status == status


@pytest.mark.criterion("R1.1")
async def test_an_unknown_model_is_an_error_event(server, http):
    async with http.ws_connect(address(server, "unheard-of"), headers=AUTH) as socket:
        error = (await events(socket, "error"))[0]["error"]
        assert (error["code"], error["param"]) == ("model_not_found", "model")
        assert (await closed(socket))[0] == 1011


@pytest.mark.criterion("R1.1")
async def test_other_parameters_of_the_query_go_on_and_keys_do_not(server, http, openai):
    url = address(server, more=f"&intent=conversation&key={KEY}&api-version=1")
    async with http.ws_connect(url, headers=AUTH) as socket:
        await events(socket, "session.created")
    assert openai.last.query == [("model", "gpt-realtime"), ("intent", "conversation")]


@pytest.mark.criterion("R1.1")
async def test_a_transcription_session_names_no_model_to_the_provider(server, http, openai):
    async with http.ws_connect(address(server, more="&intent=transcription"), headers=AUTH):
        await openai.arrived()
    assert openai.last.query == [("intent", "transcription")]


@pytest.mark.criterion("R14.1")
async def test_a_deployment_that_cannot_be_reached_is_stood_in_for(server, http, openai):
    async with http.ws_connect(address(server, "one-dead"), headers=AUTH) as socket:
        await events(socket, "session.created")
    assert len(openai.requests) == 1


@pytest.mark.criterion("R14.5")
async def test_a_provider_that_cannot_be_reached_is_an_error_event(server, http):
    async with http.ws_connect(address(server, "dead"), headers=AUTH) as socket:
        event = (await events(socket, "error"))[0]
        assert "could not be reached" in event["error"]["message"]
        assert PROVIDER_KEY not in json.dumps(event)
        code, reason = await closed(socket)
    assert code == 1011
    assert "could not be reached" in reason


@pytest.mark.criterion("R14.5")
async def test_a_provider_that_refuses_is_an_error_event(server, http, openai):
    openai.fault(Status(401), always=True)
    async with http.ws_connect(address(server), headers=AUTH) as socket:
        event = (await events(socket, "error"))[0]
        assert "401" in event["error"]["message"]
        assert (await closed(socket))[0] == 1011


@pytest.mark.criterion("R14.5")
async def test_a_provider_that_dies_is_an_error_event_and_a_close(server, http, openai):
    openai.fault(CutMidStream(after_chunks=2))
    async with http.ws_connect(address(server), headers=AUTH) as socket:
        await events(socket, "session.created")
        await socket.send_json(HELLO)
        seen = await events(socket, "error")
        assert "broke off" in seen[-1]["error"]["message"]
        assert (await closed(socket))[0] == 1011


@pytest.mark.criterion("R1.1")
async def test_the_providers_close_reaches_the_client(server, http, openai):
    openai.fault(ErrorEventMidStream(after_chunks=1))
    async with http.ws_connect(address(server), headers=AUTH) as socket:
        await events(socket, "session.created")
        await socket.send_json(HELLO)
        theirs = (await events(socket, "error"))[0]
        assert theirs["error"]["message"].startswith("The server had an error")
        assert (await closed(socket))[0] == 1011


@pytest.mark.criterion("R1.1")
async def test_a_client_that_leaves_ends_the_providers_session(server, http, openai):
    async with http.ws_connect(address(server), headers=AUTH) as socket:
        await events(socket, "session.created")
    await openai.last.over()

    leaving = await http.ws_connect(address(server), headers=AUTH)
    recorded = await openai.arrived(2)
    assert leaving._response.connection is not None
    leaving._response.connection.transport.abort()
    await recorded.over()


class Party:
    """A WebSocket server of the test's own, at the other end of the gateway."""

    def __init__(self) -> None:
        self.sockets: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()
        self.heard: asyncio.Queue[aiohttp.WSMessage] = asyncio.Queue()
        self.done = asyncio.Event()

    async def __aenter__(self) -> Party:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._serve)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{self.runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.done.set()
        await self.runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0, autoping=True)
        await socket.prepare(request)
        await self.sockets.put(socket)
        async for message in socket:
            await self.heard.put(message)
        await self.heard.put(aiohttp.WSMessage(WSMsgType.CLOSED, socket.close_code, None))
        return socket


@pytest.fixture
async def party():
    async with Party() as one:
        yield one


@pytest.fixture
async def met(party, http, gateway: Gateways):
    """Both ends of one session: the client's socket and the provider's."""
    model = deployment("voice", "openai/any", api_base=party.base, api_key=PROVIDER_KEY)
    server = await asyncio.to_thread(gateway, {"model_list": [model]})
    async with http.ws_connect(address(server), max_msg_size=0) as client:
        yield client, await asyncio.wait_for(party.sockets.get(), 30)


@pytest.mark.criterion("R1.1")
async def test_texts_and_bytes_of_any_size_pass_both_ways_in_order(met, party):
    client, provider = met
    large = "é" * 3_000_000
    for value in ("", "one", large, "two"):
        await client.send_str(value)
        assert (await asyncio.wait_for(party.heard.get(), 30)).data == value
        await provider.send_str(value)
        assert (await client.receive(timeout=30)).data == value
    blob = bytes(range(256)) * 10_000
    await client.send_bytes(blob)
    assert (await asyncio.wait_for(party.heard.get(), 30)).data == blob
    await provider.send_bytes(blob)
    assert (await client.receive(timeout=30)).data == blob


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize("code", [1000, 1001, 1008, 3000, 4001])
async def test_close_codes_pass_from_the_provider_to_the_client(met, code):
    client, provider = met
    await provider.close(code=code, message=b"enough")
    assert await closed(client) == (code, "enough")


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize("code", [1000, 1001, 4001])
async def test_close_codes_pass_from_the_client_to_the_provider(met, party, code):
    client, _ = met
    await client.close(code=code)
    assert (await asyncio.wait_for(party.heard.get(), 30)).data == code


@pytest.mark.criterion("R1.1")
async def test_pings_are_answered_on_both_sides(met):
    client, provider = met
    await client.ping(b"1")
    await provider.ping(b"2")
    await client.send_str("after")
    await provider.send_str("after")
    assert (await client.receive(timeout=30)).data == "after"


@pytest.mark.criterion("R1.1")
async def test_a_message_above_the_limit_ends_the_session(met):
    client, provider = met
    with contextlib.suppress(ConnectionError):
        await provider.send_str("x" * (17 * 1024 * 1024))
    error = json.loads((await client.receive(timeout=30)).data)
    assert error["type"] == "error"
    assert "larger than" in error["error"]["message"]
    assert (await closed(client))[0] == 1011


PIECES = 80
"""Far more megabytes than sockets hold on the way."""


@pytest.mark.criterion("R1.1")
async def test_a_slow_client_holds_the_provider_back(met):
    """Else the gateway would keep in memory what a client does not take."""
    client, provider = met
    piece = "x" * 1_000_000
    sending = asyncio.create_task(_send_many(provider, piece, PIECES))
    done, _ = await asyncio.wait({sending}, timeout=3)
    assert not done
    for _ in range(PIECES):
        assert len((await client.receive(timeout=30)).data) == len(piece)
    await asyncio.wait_for(sending, 30)


@pytest.mark.criterion("R1.1")
async def test_a_client_that_leaves_while_it_is_spoken_to_ends_the_session_quietly(
    party, http, gateway: Gateways
):
    model = deployment("voice", "openai/any", api_base=party.base, api_key=PROVIDER_KEY)
    server = await asyncio.to_thread(gateway, {"model_list": [model]})
    for _ in range(5):
        client = await http.ws_connect(address(server))
        provider = await asyncio.wait_for(party.sockets.get(), 30)
        speaking = asyncio.create_task(_send_many(provider, "x" * 10_000, 100_000))
        await client.receive(timeout=30)
        assert client._response.connection is not None
        client._response.connection.transport.abort()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(speaking, 30)
        heard = await asyncio.wait_for(party.heard.get(), 30)
        assert heard.type is WSMsgType.CLOSED
    assert "Traceback" not in server.log()


async def _send_many(socket: web.WebSocketResponse, text: str, times: int) -> None:
    for _ in range(times):
        await socket.send_str(text)


@pytest.mark.criterion("R1.1")
async def test_usage_of_a_session_is_learned_from_its_responses(server, http, openai):
    openai.answer("fine", usage=Tokens(input=100, output=23))
    async with http.ws_connect(address(server), headers=AUTH) as socket:
        await socket.send_json(HELLO)
        await socket.send_json({"type": "response.create"})
        done = (await events(socket, "response.done"))[-1]
    assert done["response"]["usage"]["total_tokens"] == 123


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({}, "gpt-realtime-nano"),
        ({"x-litellm-tags": "paid"}, "gpt-realtime"),
        ({"user-agent": "phone/3"}, "gpt-realtime-mini"),
    ],
)
async def test_tags_and_clients_choose_the_deployment_of_a_session(
    server, http, openai, headers, asked
):
    url = address(server, "tagged")
    async with http.ws_connect(url, headers=AUTH | headers) as socket:
        await events(socket, "session.created")
    assert openai.last.query == [("model", asked)]


async def test_a_time_limit_that_is_none_is_refused_before_the_session(server, http):
    headers = AUTH | {"x-litellm-timeout": "soon"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(address(server), headers=headers)
    assert refused.value.status == 400
