"""Realtime over HTTP: secrets for clients, and sessions that they open with them."""

from __future__ import annotations

import json

import aiohttp
import httpx
import pytest
from aiohttp import WSMsgType
from openai import OpenAI

from tests.fakes import FakeAzure, FakeOpenAI, Status
from tests.support.gateway import Gateways
from tests.support.providers import Providers

KEY = "sk-gateway-master-key"
PROVIDER_KEY = "sk-provider-secret-key"
AUTH = {"authorization": f"Bearer {KEY}"}
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"
SESSION = {"type": "realtime", "model": "voice", "instructions": "Be brief."}


def deployment(group: str, model: str, **params: object) -> dict:
    return {"model_name": group, "litellm_params": {"model": model, **params}}


@pytest.fixture(scope="module")
def openai(fakes: Providers):
    return fakes(FakeOpenAI, keys=[PROVIDER_KEY])


@pytest.fixture(scope="module")
def second(fakes: Providers):
    return fakes(FakeOpenAI, keys=[PROVIDER_KEY])


@pytest.fixture(scope="module")
def azure(fakes: Providers):
    return fakes(FakeAzure, keys=[PROVIDER_KEY])


def models(openai, second, azure) -> list[dict]:
    here = {"api_base": openai.base_url, "api_key": PROVIDER_KEY}
    there = {"api_base": second.base_url, "api_key": PROVIDER_KEY}
    return [
        deployment("voice", "openai/gpt-realtime", **here),
        deployment("voice-azure", "azure/our-realtime", api_base=azure.url, api_key=PROVIDER_KEY),
        deployment("listener", "openai/gpt-4o-transcribe", **here),
        deployment("pair", "openai/gpt-realtime", **here),
        deployment("pair", "openai/gpt-realtime", **there),
        deployment("claude", "anthropic/claude-x", api_key=PROVIDER_KEY),
    ]


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, openai, second, azure):
    return module_gateway(
        {
            "general_settings": {"master_key": KEY},
            "router_settings": {"num_retries": 1, "retry_after": 0, "disable_cooldowns": True},
            "model_list": models(openai, second, azure),
        }
    )


def post(server, path: str, body: object, key: str = KEY) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(f"{server.url}{path}", headers=headers, json=body, timeout=60)


def secret_for(server, model: str = "voice") -> str:
    answer = post(server, "/v1/realtime/client_secrets", {"session": SESSION | {"model": model}})
    assert answer.status_code == 200, answer.text
    return answer.json()["value"]


def call(server, secret: str, path: str = "/v1/realtime/calls") -> httpx.Response:
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/sdp"}
    return httpx.post(f"{server.url}{path}", headers=headers, content=OFFER, timeout=60)


def theirs(fake) -> str:
    """The secret that the provider gave, which only the gateway may see."""
    return next(key for key in fake.keys if key.startswith("ek_"))


@pytest.fixture(autouse=True)
def _no_secrets(openai, second, azure):
    for fake in (openai, second, azure):
        fake.keys = {PROVIDER_KEY}


@pytest.mark.criterion("R1.1", "R1.2")
def test_openais_sdk_gets_a_secret_that_opens_a_session_here_and_nowhere_else(server, openai):
    client = OpenAI(base_url=f"{server.url}/v1", api_key=KEY)
    made = client.realtime.client_secrets.create(session=SESSION)
    assert openai.last.json["session"] == SESSION | {"model": "gpt-realtime"}
    assert openai.last.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert made.value.startswith("ek_")
    assert made.value not in openai.keys
    assert theirs(openai) not in made.model_dump_json()

    answer = call(server, made.value)
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["location"].startswith("/v1/realtime/calls/rtc_")
    assert answer.text.startswith("v=0")
    seen = openai.last
    assert (seen.path, seen.body.decode()) == ("/v1/realtime/calls", OFFER)
    assert seen.headers["authorization"] == f"Bearer {theirs(openai)}"
    assert seen.headers["content-type"] == "application/sdp"


@pytest.mark.criterion("R1.1", "R1.4")
def test_azure_gives_secrets_for_its_deployments(server, azure):
    secret = secret_for(server, "voice-azure")
    seen = azure.last
    assert seen.path == "/openai/v1/realtime/client_secrets"
    assert seen.headers["api-key"] == PROVIDER_KEY
    assert seen.json["session"]["model"] == "our-realtime"
    assert call(server, secret, "/v1/realtime/calls?webrtcfilter=on").status_code == 201
    assert azure.last.path == "/openai/v1/realtime/calls"
    assert azure.last.query == [("webrtcfilter", "on")]
    assert azure.last.headers["authorization"] == f"Bearer {theirs(azure)}"
    assert "api-key" not in azure.last.headers


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize("prefix", ["/v1", "", "/openai/v1"])
def test_every_spelling_of_the_paths_is_served(server, openai, prefix):
    answer = post(server, f"{prefix}/realtime/client_secrets", {"session": SESSION})
    assert call(server, answer.json()["value"], f"{prefix}/realtime/calls").status_code == 201
    listening = {"input_audio_transcription": {"model": "listener"}}
    answer = post(server, f"{prefix}/realtime/transcription_sessions", listening)
    assert answer.status_code == 200, answer.text
    assert httpx.get(f"{server.url}{prefix}/realtime/calls", headers=AUTH).status_code == 405


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize("session", [None, {"instructions": "Be brief."}])
def test_the_model_may_stand_beside_the_session_as_in_litellm(server, openai, session):
    body = {"model": "voice", "expires_after": {"anchor": "created_at", "seconds": 60}}
    answer = post(server, "/v1/realtime/client_secrets", body | {"session": session})
    assert answer.status_code == 200, answer.text
    seen = openai.last.json
    assert seen["session"] == {"type": "realtime", "model": "gpt-realtime"} | (session or {})
    assert seen["expires_after"] == body["expires_after"]
    assert "model" not in seen


@pytest.mark.criterion("R1.1")
def test_a_secret_for_transcriptions_names_the_model_that_transcribes(server, openai):
    audio = {"input": {"format": {"type": "audio/pcm"}, "transcription": {"model": "listener"}}}
    session = {"type": "transcription", "audio": audio, "model": "gone"}
    body = {
        "session": session | {"input_audio_transcription": {"model": "other", "language": "de"}}
    }
    answer = post(server, "/v1/realtime/client_secrets", body)
    assert answer.status_code == 200, answer.text
    seen = openai.last.json["session"]
    assert "model" not in seen
    assert seen["audio"]["input"]["transcription"] == {"model": "gpt-4o-transcribe"}
    assert seen["audio"]["input"]["format"] == {"type": "audio/pcm"}
    flat = {"model": "gpt-4o-transcribe", "language": "de"}
    assert seen["input_audio_transcription"] == flat

    plain = {"session": {"type": "transcription", "model": "listener"}}
    assert post(server, "/v1/realtime/client_secrets", plain).status_code == 200
    nested = {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}
    assert openai.last.json["session"] == {"type": "transcription", "audio": nested}


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize("hint", [{}, {"model": "listener"}])
def test_a_transcription_sessions_secret_is_ours(server, openai, hint):
    inner = {"language": "de"} if hint else {"language": "de", "model": "listener"}
    body = {"input_audio_format": "pcm16", "input_audio_transcription": inner}
    answer = post(server, "/v1/realtime/transcription_sessions", body | hint)
    assert answer.status_code == 200, answer.text
    mapped = {"language": "de", "model": "gpt-4o-transcribe"}
    assert openai.last.json == body | {"input_audio_transcription": mapped}
    secret = answer.json()["client_secret"]["value"]
    assert secret.startswith("ek_")
    assert theirs(openai) not in answer.text
    assert call(server, secret).status_code == 201


@pytest.mark.criterion("R1.1", "R11.1")
async def test_a_websocket_may_be_opened_with_a_secret(server, openai):
    secret = secret_for(server)
    protocols = ("realtime", f"openai-insecure-api-key.{secret}")
    address = f"{server.url}/v1/realtime?model=ignored"
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(address, protocols=protocols) as socket,
    ):
        message = await socket.receive(timeout=30)
        assert message.type is WSMsgType.TEXT
        assert json.loads(message.data)["type"] == "session.created"
    assert openai.last.headers["authorization"] == f"Bearer {theirs(openai)}"
    assert openai.last.query == [("model", "gpt-realtime")]


@pytest.mark.criterion("R1.1")
def test_a_session_is_opened_where_its_secret_was_given(server, openai, second):
    for _ in range(8):
        secret = secret_for(server, "pair")
        gave = openai if len(openai.requests) % 2 else second
        assert call(server, secret).status_code == 201
        assert gave.last.path == "/v1/realtime/calls"
        assert len(openai.requests) % 2 == len(second.requests) % 2 == 0


@pytest.mark.criterion("R1.1")
def test_servers_open_sessions_with_our_key(server, openai):
    client = OpenAI(base_url=f"{server.url}/v1", api_key=KEY)
    answer = client.realtime.calls.create(sdp=OFFER, session=SESSION)
    assert answer.response.status_code == 201
    form = {"sdp": (None, OFFER), "session": (None, json.dumps(SESSION), "application/json")}
    url = f"{server.url}/v1/realtime/calls"
    assert httpx.post(url, headers=AUTH, files=form).status_code == 201
    assert call(server, KEY, "/v1/realtime/calls?model=voice").status_code == 201
    plain = {"type": "realtime", "model": "gpt-realtime"}
    for seen, session in zip(
        openai.requests, (SESSION | plain, SESSION | plain, plain), strict=True
    ):
        assert seen.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
        assert seen.query == []
        parts = {part.name: part.text for part in seen.parts}
        assert parts["sdp"] == OFFER
        assert json.loads(parts["session"]) == session


@pytest.mark.criterion("R11.1")
def test_a_secret_is_good_for_realtime_sessions_and_nothing_else(server, openai):
    secret = secret_for(server)
    for path in ("/v1/chat/completions", "/v1/realtime/client_secrets", "/openai/v1/models"):
        assert post(server, path, {"model": "voice", "messages": []}, secret).status_code == 401
    assert len(openai.requests) == 1


@pytest.mark.criterion("R11.1")
def test_no_session_is_opened_without_a_valid_key_or_secret(
    server, openai, second, azure, gateway: Gateways
):
    secret = secret_for(server)
    for wrong in ("sk-wrong", "ek_", "ek_forged", secret[:-4] + "AAA=", theirs(openai)):
        assert call(server, wrong).status_code == 401
    openai.answer(body={"value": "ek_old", "expires_at": 1_700_000_000, "session": {}})
    expired = call(server, secret_for(server))
    assert expired.status_code == 401
    assert "expired" in expired.text
    other = {"general_settings": {"master_key": "sk-other-master-key"}}
    elsewhere = gateway(other | {"model_list": models(openai, second, azure)})
    assert call(elsewhere, secret).status_code == 401
    assert [each.path for each in openai.requests] == ["/v1/realtime/client_secrets"] * 2


@pytest.mark.criterion("R1.1")
def test_without_a_master_key_secrets_are_given_and_taken_too(
    openai, second, azure, gateway: Gateways
):
    server = gateway({"model_list": models(openai, second, azure)})
    assert call(server, secret_for(server)).status_code == 201


@pytest.mark.criterion("R1.3")
@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("client_secrets", {"session": {"type": "realtime"}}, 400, "session.model"),
        ("client_secrets", {"session": {"model": 7}}, 400, "session.model"),
        ("client_secrets", {"session": "voice"}, 400, "session"),
        ("client_secrets", {"session": {"model": "unheard-of"}}, 404, "model"),
        ("client_secrets", {"session": {"model": "claude"}}, 400, "model"),
        ("client_secrets", [], 400, None),
        ("transcription_sessions", {}, 400, "input_audio_transcription.model"),
        ("transcription_sessions", {"input_audio_transcription": 1}, 400,
         "input_audio_transcription"),
        ("calls", {"session": SESSION}, 400, "sdp"),
        ("calls", {"sdp": 1, "session": SESSION}, 400, "sdp"),
        ("calls", {"sdp": OFFER}, 400, "session.model"),
        ("calls", {"sdp": OFFER, "session": []}, 400, "session"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_served_names_what_is_wrong(
    server, openai, path, body, status, param
):
    answer = post(server, f"/v1/realtime/{path}", body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["param"] == param
    assert answer.headers["x-litellm-call-id"]
    assert not openai.requests


@pytest.mark.criterion("R1.3")
@pytest.mark.parametrize("credential", ["key", "secret"])
def test_half_a_character_goes_on_as_far_as_it_can(server, openai, credential):
    body = json.dumps({"sdp": "v=0\ud800", "session": SESSION | {"instructions": "\ud800"}})
    key = KEY if credential == "key" else secret_for(server)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    answer = httpx.post(f"{server.url}/v1/realtime/calls", headers=headers, content=body)
    assert answer.status_code == 201, answer.text
    assert openai.last.form["sdp"] == "v=0?"


@pytest.mark.criterion("R14.1")
def test_a_deployment_that_fails_is_stood_in_for(server, openai, second):
    openai.fault(Status(500), always=True)
    for _ in range(4):
        assert call(server, secret_for(server, "pair")).status_code == 201


@pytest.mark.criterion("R14.5")
def test_a_providers_refusal_is_passed_on_without_secrets(server, openai):
    secret = secret_for(server)
    openai.fault(Status(400, "bad offer"))
    refused = call(server, secret)
    assert refused.status_code == 400
    assert theirs(openai) not in refused.text
    openai.answer(body={"session": {}})
    answer = post(server, "/v1/realtime/client_secrets", {"session": SESSION})
    assert answer.status_code == 502
    assert "client secret" in answer.json()["error"]["message"]
