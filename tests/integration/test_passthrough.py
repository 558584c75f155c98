"""Providers' own APIs under a prefix: what goes on, what comes back, and with whose credentials."""

from __future__ import annotations

import asyncio
import json
import socket

import boto3
import botocore.config
import httpx
import pytest
from anthropic import Anthropic
from google import genai
from openai import OpenAI

from tests.fakes import (
    CutMidStream,
    Delay,
    FakeAnthropic,
    FakeAzure,
    FakeBedrock,
    FakeCohere,
    FakeGemini,
    FakeOpenAI,
    FakeProvider,
    FakeVertex,
    Hold,
    Status,
)
from tests.fakes.reply import Exchange, Reply, event, stream
from tests.fakes.server import Route
from tests.support.gateway import Gateways
from tests.support.providers import Providers

KEY = "sk-gateway-master-key"
AUTH = {"authorization": f"Bearer {KEY}"}
PROVIDER_KEY = "sk-provider-secret-key"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}


class Echo(FakeProvider):
    """A provider of anything: answers with what it got."""

    name = "echo"

    def routes(self) -> list[Route]:
        return [
            ("*", "/v1/empty", lambda x: Reply(204, b"", "")),
            ("*", "/v1/moved", lambda x: Reply(307, b"", "", {"location": "http://evil.example/"})),
            ("*", "/v1/events", lambda x: stream([event({"n": 1}), event({"n": 2}, "last")])),
            ("*", "/v1/binary", lambda x: Reply(body=bytes(range(256)), content_type="audio/x-y")),
            ("*", "/{rest:.+}", self._echo),
        ]

    def _echo(self, x: Exchange) -> Reply:
        body = b"" if x.recorded.method == "HEAD" else x.recorded.body[:10]
        headers = {
            "x-provider": "echo",
            "x-ratelimit-remaining-requests": "7",
            "set-cookie": "session=provider",
            "alt-svc": 'h3=":443"',
        }
        return Reply(body=body, headers=headers)

    def error(self, status: int, message: str = "") -> Reply:
        return Reply(status, json.dumps({"echo": {"failed": status}}).encode())


def deployment(group: str, model: str, **params: object) -> dict:
    return {"model_name": group, "litellm_params": {"model": model, **params}}


@pytest.fixture(scope="module")
def echo(fakes: Providers):
    return fakes(Echo)


@pytest.fixture(scope="module")
def providers(fakes: Providers) -> dict[str, FakeProvider]:
    kinds = (FakeOpenAI, FakeAnthropic, FakeGemini, FakeVertex, FakeAzure, FakeCohere)
    found = {kind.name: fakes(kind, keys=[PROVIDER_KEY]) for kind in kinds}
    return found | {"bedrock": fakes(FakeBedrock)}


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, providers, echo):
    """Credentials of all kinds: deployments' for some providers, the environment's for others."""
    bedrock, vertex = providers["bedrock"], providers["vertex"]
    aws = {
        "aws_access_key_id": bedrock.access_key,
        "aws_secret_access_key": bedrock.secret_key,
        "aws_region_name": "us-east-1",
        "aws_bedrock_runtime_endpoint": bedrock.url,
    }
    google = {
        "vertex_project": "our-project",
        "vertex_location": "us-central1",
        "vertex_credentials": json.dumps(vertex.service_account()),
        "api_base": vertex.url,
    }
    azure = {"api_base": providers["azure"].url, "api_key": PROVIDER_KEY}
    openai = {"api_base": providers["openai"].base_url, "api_key": PROVIDER_KEY}
    models = [
        {"model_name": "mock", "litellm_params": {"model": "openai/x", "mock_response": "mock"}},
        deployment("missing", "openai/gpt-4o", api_key="os.environ/NOT_SET"),
        deployment("fast", "openai/gpt-4o-mini", **openai),
        deployment("claude", "bedrock/anthropic.claude-sonnet-4-5-v1:0", **aws),
        deployment("flash", "vertex_ai/gemini-2.5-flash", **google),
        deployment("chat-eu", "azure/gpt-4o-deployment", api_version="2024-10-21", **azure),
        deployment("local", "hosted_vllm/llama", api_base=f"{echo.url}/v1"),
        deployment("nim-ocr", "nvidia_nim/ocr", api_base=echo.url, api_key=PROVIDER_KEY),
        deployment("typed", "typesafe/any", api_base=echo.url, api_key=PROVIDER_KEY),
    ]
    environment = {
        "ANTHROPIC_API_KEY": PROVIDER_KEY,
        "ANTHROPIC_API_BASE": providers["anthropic"].url,
        "GEMINI_API_KEY": PROVIDER_KEY,
        "GEMINI_API_BASE": providers["gemini"].url,
        "COHERE_API_KEY": PROVIDER_KEY,
        "COHERE_API_BASE": providers["cohere"].url,
        "LANGFUSE_HOST": echo.url,
        "LANGFUSE_PUBLIC_KEY": "pk-lf",
        "LANGFUSE_SECRET_KEY": "sk-lf",
        "MISTRAL_API_KEY": PROVIDER_KEY,
        "MISTRAL_API_BASE": "http://127.0.0.1:9/v1",
    }
    config = {
        "general_settings": {"master_key": KEY, "max_request_size_mb": 4},
        "model_list": models,
    }
    return module_gateway(config, env=environment)


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


@pytest.mark.criterion("R1.1")
def test_the_operations_of_the_gateway_come_before_the_prefix(server, providers):
    body = {"model": "mock", "messages": CHAT["messages"]}
    path = "/openai/deployments/mock/chat/completions"
    ours = httpx.post(f"{server.url}{path}", headers=AUTH, json=body)
    assert ours.json()["choices"][0]["message"]["content"] == "mock"
    theirs = httpx.get(f"{server.url}/openai/v1/some/new/api", headers=AUTH)
    assert theirs.status_code == 404
    assert [each.path for each in providers["openai"].requests] == ["/v1/some/new/api"]


@pytest.mark.criterion("R1.1", "R1.4")
def test_openais_sdk_works_below_its_prefix(server, providers):
    client = OpenAI(base_url=f"{server.url}/openai_passthrough/v1", api_key=KEY)
    answer = client.chat.completions.create(**CHAT)
    assert answer.choices[0].message.content == "echo: hello there"
    grouped = client.chat.completions.create(**CHAT | {"model": "fast"})
    assert grouped.model == "gpt-4o-mini"
    assert providers["openai"].last.headers["authorization"] == f"Bearer {PROVIDER_KEY}"


@pytest.mark.criterion("R1.1", "R1.4")
def test_anthropics_sdk_works_below_its_prefix(server, providers):
    client = Anthropic(base_url=f"{server.url}/anthropic", api_key=KEY)
    with client.messages.stream(
        model="claude-sonnet-4-5", max_tokens=50, messages=CHAT["messages"]
    ) as talk:
        assert talk.get_final_text() == "echo: hello there"
    assert providers["anthropic"].last.headers["x-api-key"] == PROVIDER_KEY


@pytest.mark.criterion("R1.1", "R1.4")
def test_googles_sdk_works_below_its_prefix(server, providers):
    options = genai.types.HttpOptions(base_url=f"{server.url}/gemini")
    client = genai.Client(api_key=KEY, http_options=options)
    answer = client.models.generate_content(model="gemini-2.5-flash", contents="hello there")
    assert answer.text == "echo: hello there"
    plain = httpx.post(
        f"{server.url}/gemini/v1beta/models/gemini-2.5-flash:generateContent?key={KEY}",
        json={"contents": [{"parts": [{"text": "hi"}]}]},
    )
    assert plain.status_code == 200
    assert providers["gemini"].last.headers["x-goog-api-key"] == PROVIDER_KEY
    assert KEY not in providers["gemini"].last.raw_path


@pytest.mark.criterion("R1.1", "R1.4", "R10.1")
def test_boto3_works_below_the_prefix_and_bedrock_gets_our_signature(server, providers):
    """Our key is the access key, which stands in the client's own signature."""
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=f"{server.url}/bedrock",
        region_name="eu-west-1",
        aws_access_key_id=KEY,
        aws_secret_access_key="anything",
        config=botocore.config.Config(retries={"max_attempts": 0}),
    )
    say = [{"role": "user", "content": [{"text": "hello there"}]}]
    for model, upstream in (
        ("claude", "anthropic.claude-sonnet-4-5-v1:0"),
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/x", None),
    ):
        answer = client.converse(modelId=model, messages=say)
        assert answer["output"]["message"]["content"][0]["text"] == "echo: hello there"
        if upstream:
            assert providers["bedrock"].last.path == f"/model/{upstream}/converse"
    streamed = client.converse_stream(modelId="claude", messages=say)["stream"]
    deltas = [
        each["contentBlockDelta"]["delta"]["text"]
        for each in streamed
        if "contentBlockDelta" in each
    ]
    assert "".join(deltas) == "echo: hello there"


@pytest.mark.criterion("R1.1", "R1.4")
@pytest.mark.parametrize(
    "path",
    [
        "/vertex_ai/v1/projects/theirs/locations/europe-west4/publishers/google/models/flash",
        "/vertex_ai/publishers/google/models/gemini-2.5-flash",
        "/vertex-ai/v1/publishers/google/models/flash",
    ],
)
def test_vertex_gets_our_project_and_an_access_token(server, providers, path):
    body = {"contents": [{"role": "user", "parts": [{"text": "hello there"}]}]}
    answer = httpx.post(f"{server.url}{path}:generateContent", headers=AUTH, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    seen = providers["vertex"].last
    here = "/v1/projects/our-project/locations/us-central1/publishers/google/models"
    assert seen.path == f"{here}/gemini-2.5-flash:generateContent"
    assert seen.headers["authorization"].removeprefix("Bearer ") in providers["vertex"].issued


@pytest.mark.criterion("R1.1")
def test_vertex_has_a_default_project_for_models_of_no_deployment(module_gateway, providers):
    vertex = providers["vertex"]
    config = {
        "default_vertex_config": {
            "vertex_project": "default-project",
            "vertex_location": "europe-west1",
            "vertex_credentials": "os.environ/VERTEX_KEY_FILE",
        },
        "model_list": [deployment("mock", "openai/x", mock_response="hi")],
    }
    environment = {
        "VERTEX_KEY_FILE": json.dumps(vertex.service_account()),
        "VERTEXAI_API_BASE": vertex.url,
    }
    server = module_gateway(config, env=environment)
    body = {"contents": [{"role": "user", "parts": [{"text": "hello there"}]}]}
    path = "/vertex_ai/publishers/google/models/gemini-2.5-pro:generateContent"
    answer = httpx.post(server.url + path, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    here = "/v1/projects/default-project/locations/europe-west1"
    assert vertex.last.path.startswith(here)


@pytest.mark.criterion("R1.1", "R1.4")
def test_azures_deployment_in_the_path_may_be_a_model_group(server, providers):
    path = "/azure/openai/deployments/chat-eu/chat/completions?api-version=2024-10-21"
    answer = httpx.post(f"{server.url}{path}", headers={"api-key": KEY}, json=CHAT)
    assert answer.status_code == 200, answer.text
    seen = providers["azure"].last
    assert seen.path == "/openai/deployments/gpt-4o-deployment/chat/completions"
    assert seen.headers["api-key"] == PROVIDER_KEY


@pytest.mark.criterion("R1.1", "R1.4")
def test_coheres_own_api_is_reached_with_the_environments_key(server, providers):
    body = {"model": "command-r", "messages": CHAT["messages"]}
    answer = httpx.post(f"{server.url}/cohere/v2/chat", headers=AUTH, json=body)
    assert answer.status_code == 200, answer.text
    assert providers["cohere"].last.headers["authorization"] == f"Bearer {PROVIDER_KEY}"


@pytest.mark.criterion("R1.1")
def test_nims_model_group_stands_first_in_the_path(server, echo):
    answer = httpx.post(f"{server.url}/nvidia_nim/nim-ocr/v1/infer", headers=AUTH, json={"a": 1})
    assert answer.status_code == 200
    assert echo.last.path == "/v1/infer"
    unknown = httpx.post(f"{server.url}/nvidia_nim/other/v1/infer", headers=AUTH, json={})
    assert unknown.status_code == 404


@pytest.mark.criterion("R1.1")
def test_langfuse_clients_authenticate_with_our_key_as_their_secret(server, echo):
    answer = httpx.post(f"{server.url}/langfuse/api/x", auth=("anything", KEY), json={})
    assert answer.status_code == 200
    assert echo.last.headers["authorization"] == httpx.BasicAuth("pk-lf", "sk-lf")._auth_header
