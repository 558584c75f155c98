"""WebSockets below providers' prefixes and at configured endpoints are led through as they are."""

from __future__ import annotations

import json

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from tests.fakes import FakeProvider, FakeVertex, Status
from tests.fakes.reply import Exchange, Reply
from tests.fakes.server import Route
from tests.support.gateway import Gateways
from tests.support.passthrough import AUTH, KEY, PROVIDER_KEY, deployment
from tests.support.providers import Providers


class Socket(FakeProvider):
    """Takes WebSockets anywhere and says what it hears: `close 4000 why` and `die` it does."""

    name = "socket"

    def routes(self) -> list[Route]:
        return [("GET", "/{rest:.*}", self._talk)]

    async def _talk(self, x: Exchange) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("spoken",))
        await socket.prepare(x.request)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.data.startswith("close "):
                _, code, reason = message.data.split(" ", 2)
                await socket.close(code=int(code), message=reason.encode())
            elif message.data == "die":
                assert x.request.transport is not None
                x.request.transport.abort()
            else:
                await socket.send_str(message.data)
        x.recorded.received.append({"closed": socket.close_code})
        return socket

    def error(self, status: int, message: str = "") -> Reply:
        return Reply(status, b"{}")


@pytest.fixture(scope="module")
def provider(fakes: Providers):
    return fakes(Socket)


@pytest.fixture(scope="module")
def vertex(fakes: Providers):
    return fakes(FakeVertex)


def configuration(provider, vertex, **general: object) -> dict:
    google = {
        "vertex_project": "our-project",
        "vertex_location": "us-central1",
        "vertex_credentials": json.dumps(vertex.service_account()),
        "api_base": provider.url,
    }
    here = {"api_base": provider.url, "api_key": PROVIDER_KEY}
    endpoints = [
        {
            "path": "/events",
            "target": f"{provider.url}/v1/events?from=config",
            "headers": {"x-api-key": "their-key"},
            "include_subpath": True,
        },
        {"path": "/posts", "target": f"{provider.url}/posts", "methods": ["POST"]},
    ]
    return {
        "general_settings": {"master_key": KEY, "pass_through_endpoints": endpoints} | general,
        "model_list": [
            deployment("flash-live", "vertex_ai/gemini-live-2.5-flash", **google),
            deployment("gem-live", "gemini/gemini-live-2.5", api_key=PROVIDER_KEY),
            deployment("voice-eu", "azure/our-realtime", **here),
            deployment("nim-asr", "nvidia_nim/asr", **here),
        ],
    }


@pytest.fixture(scope="module")
def environment(provider):
    return {
        "DEEPGRAM_API_KEY": "dg-key",
        "DEEPGRAM_API_BASE": f"{provider.url}/v1",
        "OPENAI_API_KEY": PROVIDER_KEY,
        "OPENAI_API_BASE": f"{provider.url}/v1",
        "GEMINI_API_BASE": provider.url,
        "TINYFISH_API_KEY": PROVIDER_KEY,
        "TINYFISH_AGENT_API_BASE": provider.url,
        "AWS_REGION": "us-east-1",
    }


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, provider, vertex, environment):
    config = configuration(provider, vertex, enable_openai_websocket_passthrough=True)
    return module_gateway(config, env=environment)


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def said(socket: aiohttp.ClientWebSocketResponse, text: str) -> str:
    await socket.send_str(text)
    return await socket.receive_str(timeout=30)


@pytest.mark.criterion("R1.1", "R1.4")
@pytest.mark.parametrize(
    ("path", "upstream", "header", "value"),
    [
        ("/deepgram/v1/listen?model=nova-3&x=%20", "/v1/listen", "authorization", "Token dg-key"),
        ("/deepgram/listen?model=nova-3", "/v1/listen", "authorization", "Token dg-key"),
        ("/openai/v1/responses", "/v1/responses", "authorization", f"Bearer {PROVIDER_KEY}"),
        ("/openai_passthrough/v1/any", "/v1/any", "authorization", f"Bearer {PROVIDER_KEY}"),
        ("/azure/openai/realtime?deployment=voice-eu", "/openai/realtime", "api-key", PROVIDER_KEY),
        ("/nvidia_nim/nim-asr/v1/asr", "/v1/asr", "authorization", f"Bearer {PROVIDER_KEY}"),
        ("/gemini/ws/google.ai.Bidi", "/ws/google.ai.Bidi", "x-goog-api-key", PROVIDER_KEY),
        ("/events/a?b=1", "/v1/events/a", "x-api-key", "their-key"),
    ],
)
async def test_a_websocket_is_opened_with_the_providers_credentials_and_led_through(
    server, provider, http, path, upstream, header, value
):
    async with http.ws_connect(f"{server.url}{path}", headers=AUTH) as socket:
        assert await said(socket, "hello") == "hello"
        blob = bytes(range(256)) * 1000
        await socket.send_bytes(blob)
        assert await socket.receive_bytes(timeout=30) == blob
    seen = provider.last
    assert seen.path == upstream
    assert seen.headers[header] == value
    assert KEY not in str(seen.headers) + seen.raw_path
    asked = path.partition("?")[2].replace("voice-eu", "our-realtime")
    assert seen.raw_path.endswith(asked)


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize("code", [1000, 1008, 3000, 4001])
async def test_close_codes_are_handed_on_both_ways(server, provider, http, code):
    url = f"{server.url}/deepgram/v1/listen"
    async with http.ws_connect(url, headers=AUTH) as socket:
        await socket.send_str(f"close {code} enough")
        message = await socket.receive(timeout=30)
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, code, "enough")
    async with http.ws_connect(url, headers=AUTH) as socket:
        await socket.close(code=code)
    await provider.last.over()
    assert provider.last.received == [{"closed": code}]


@pytest.mark.criterion("R14.5")
async def test_a_provider_that_dies_closes_the_clients_side_with_an_error(server, http):
    async with http.ws_connect(f"{server.url}/deepgram/v1/listen", headers=AUTH) as socket:
        await socket.send_str("die")
        message = await socket.receive(timeout=30)
    assert (message.type, message.data) == (WSMsgType.CLOSE, 1011)
    assert "broke off" in message.extra


@pytest.mark.criterion("R1.1", "R11.1")
@pytest.mark.parametrize(
    ("options", "protocol"),
    [
        ({"headers": {"authorization": f"Token {KEY}"}}, None),
        ({"protocols": ("token", KEY)}, "token"),
        ({"protocols": ("spoken", f"openai-insecure-api-key.{KEY}")}, "spoken"),
        ({"protocols": ("other",), "headers": AUTH}, "other"),
    ],
)
async def test_clients_send_our_key_as_they_send_the_providers(
    server, provider, http, options, protocol
):
    async with http.ws_connect(f"{server.url}/deepgram/v1/listen", **options) as socket:
        assert await said(socket, "hello") == "hello"
        assert socket.protocol == protocol
    assert KEY not in str(provider.last.headers)


@pytest.mark.criterion("R11.1")
@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("/deepgram/v1/listen", {}, 401),
        ("/deepgram/v1/listen", {"headers": {"authorization": "Bearer wrong"}}, 401),
        ("/events/a", {"protocols": ("openai-insecure-api-key.wrong",)}, 401),
        ("/posts", {"headers": AUTH}, 405),
        ("/bedrock/model/x/invoke", {"headers": AUTH}, 404),
        ("/tinyfish/v1/automation/run", {"headers": AUTH}, 403),
        ("/anthropic/v1/messages", {"headers": AUTH}, 503),
        ("/deepgram/v1/%2e%2e/x", {"headers": AUTH}, 400),
        ("/nowhere", {"headers": AUTH}, 404),
    ],
)
async def test_a_websocket_that_is_not_led_through_is_refused_in_the_handshake(
    server, provider, http, path, options, status
):
    url = aiohttp.client.URL(f"{server.url}{path}", encoded=True)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(url, **options)
    assert refused.value.status == status
    assert not provider.requests


@pytest.mark.criterion("R14.5")
@pytest.mark.parametrize("status", [401, 404, 500])
async def test_a_providers_refusal_is_the_handshakes(server, provider, http, status):
    provider.fault(Status(status), always=True)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(f"{server.url}/deepgram/v1/listen", headers=AUTH)
    assert refused.value.status == status


@pytest.mark.criterion("R11.1")
async def test_openais_websockets_need_the_configurations_leave_as_in_litellm(
    gateway: Gateways, provider, vertex, environment, http
):
    server = gateway(configuration(provider, vertex), env=environment)
    for prefix in ("openai", "openai_passthrough"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{server.url}/{prefix}/v1/any", headers=AUTH)
        assert refused.value.status == 403
    assert not provider.requests


HERE = "projects/our-project/locations/us-central1/publishers/google/models"
SERVICE = "/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent"


@pytest.mark.criterion("R1.1", "R1.4")
@pytest.mark.parametrize("path", ["/vertex_ai/live?model=flash-live", f"/vertex_ai{SERVICE}"])
@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("flash-live", f"{HERE}/gemini-live-2.5-flash"),
        ("models/flash-live", f"{HERE}/gemini-live-2.5-flash"),
        ("gemini-live-x", f"{HERE}/gemini-live-x"),
        ("publishers/google/models/gemini-live-x", f"{HERE}/gemini-live-x"),
        ("projects/theirs/locations/x/publishers/google/models/y", f"{HERE}/y"),
    ],
)
async def test_vertex_live_gets_our_project_an_access_token_and_the_models_full_name(
    server, provider, vertex, http, path, asked, named
):
    setup = {"setup": {"model": asked, "generation_config": {"temperature": 0}}}
    async with http.ws_connect(f"{server.url}{path}", headers=AUTH) as socket:
        heard = json.loads(await said(socket, json.dumps(setup)))
        assert heard == {"setup": setup["setup"] | {"model": named}}
        for other in ('{"client_content": {"setup": 1}}', "no JSON", '{"setup": null}'):
            assert await said(socket, other) == other
    seen = provider.last
    assert (seen.path, seen.query) == (SERVICE, [])
    assert seen.headers["authorization"].removeprefix("Bearer ") in vertex.issued
    assert seen.headers["x-goog-user-project"] == "our-project"


@pytest.mark.criterion("R1.1", "R1.4")
async def test_gemini_live_gets_our_key_and_the_providers_name_of_a_model_group(
    server, provider, http
):
    url = f"{server.url}/gemini/ws/google.ai.generativelanguage.v1beta.Bidi?key={KEY}"
    async with http.ws_connect(url) as socket:
        for asked, named in (("gem-live", "gemini-live-2.5"), ("other", "other")):
            heard = await said(socket, json.dumps({"setup": {"model": f"models/{asked}"}}))
            assert json.loads(heard) == {"setup": {"model": f"models/{named}"}}
    assert provider.last.query == []
    assert provider.last.headers["x-goog-api-key"] == PROVIDER_KEY
