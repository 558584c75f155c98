"""Each provider's own API under its prefix, called by the provider's own clients."""

from __future__ import annotations

import json

import boto3
import botocore.config
import httpx
import pytest
from anthropic import Anthropic
from google import genai
from openai import OpenAI

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
def test_the_operations_of_the_gateway_come_before_the_prefix(server, providers):
    body = {"model": "mock", "messages": CHAT["messages"]}
    path = "/openai/deployments/mock/chat/completions"
    ours = httpx.post(f"{server.url}{path}", headers=AUTH, json=body)
    assert ours.json()["choices"][0]["message"]["content"] == "mock"
    theirs = httpx.get(f"{server.url}/openai/v1/some/new/api", headers=AUTH)
    assert theirs.status_code == 404
    assert [each.path for each in providers["openai"].requests] == ["/v1/some/new/api"]


@pytest.mark.criterion("R1.1")
def test_below_openais_prefix_our_models_come_first_and_others_are_openais(server, providers):
    client = OpenAI(base_url=f"{server.url}/openai/v1", api_key=KEY)
    theirs = client.chat.completions.create(**CHAT, stream=True)
    said = "".join(each.choices[0].delta.content or "" for each in theirs if each.choices)
    assert said == "echo: hello there"
    assert client.embeddings.create(model="text-embedding-3-small", input="hi").data
    seen = [(each.path, each.json["model"]) for each in providers["openai"].requests]
    assert seen == [
        ("/v1/chat/completions", "gpt-4o"),
        ("/v1/embeddings", "text-embedding-3-small"),
    ]
    assert providers["openai"].last.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    for group, answered in (("mock", "mock"), ("claude", "echo: hello there")):
        ours = client.chat.completions.create(**CHAT | {"model": group})
        assert ours.choices[0].message.content == answered
    assert len(providers["openai"].requests) == 2


@pytest.mark.criterion("R1.1", "R1.3")
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/responses", {"model": "gpt-4o", "input": "hi"}, 404),
        ("/chat/completions", {"messages": []}, 400),
        ("/chat/completions", {"model": 5, "messages": []}, 400),
        ("/chat/completions", ["gpt-4o"], 400),
    ],
)
def test_what_litellm_answers_itself_below_the_prefix_is_not_passed_on(
    server, providers, path, body, status
):
    answer = httpx.post(f"{server.url}/openai/v1{path}", headers=AUTH, json=body)
    assert answer.status_code == status
    assert not providers["openai"].requests


@pytest.mark.criterion("R11.1")
def test_nothing_is_passed_on_without_our_key_or_more_than_the_limit(server, providers):
    url = f"{server.url}/openai/v1/chat/completions"
    assert httpx.post(url, json=CHAT).status_code == 401
    large = CHAT | {"user": "x" * 5_000_000}
    assert httpx.post(url, headers=AUTH, json=large).status_code == 413
    assert not providers["openai"].requests


@pytest.mark.criterion("R1.3")
def test_without_an_account_of_openais_an_unknown_model_is_unknown(gateway: Gateways):
    mock = deployment("mock", "openai/x", mock_response="hi")
    server = gateway({"general_settings": {"master_key": KEY}, "model_list": [mock]})
    answer = httpx.post(f"{server.url}/openai/v1/chat/completions", headers=AUTH, json=CHAT)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


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
    with client.messages.stream(model="claude-x", max_tokens=50, messages=CHAT["messages"]) as talk:
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
