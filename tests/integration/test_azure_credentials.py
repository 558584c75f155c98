"""Whose credentials Azure's deployments are called with, also where Entra refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fakes import FakeAzure, FakeOpenAI
from tests.fakes.script import PIXEL
from tests.support import asking
from tests.support.gateway import Gateway, Gateways
from tests.support.identities import ENTRA, FakeEntra, Tunnel
from tests.support.providers import Providers

pytestmark = pytest.mark.criterion("R1.5")

TENANT, CLIENT, SECRET = "our-tenant", "our-client", "our-secret-of-the-application"
APPLICATION = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET}
READY = "a-token-that-is-there-already"
OTHERS = {
    name: f"{name.lower()}-of-another-account"
    for name in ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_AD_TOKEN", "AZURE_OPENAI_AD_TOKEN")
}
ANY_KEY = {"authorization": "Bearer sk-any"}
OF_MACHINE = {
    "AZURE_TENANT_ID": TENANT,
    "AZURE_CLIENT_ID": "the-machine",
    "AZURE_CLIENT_SECRET": "the-machine-s-secret",
}


def entry(name: str, model: str = "azure/gpt-4o", **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


@pytest.fixture(scope="module")
def azure(fakes: Providers) -> FakeAzure:
    return fakes(FakeAzure)


@pytest.fixture(scope="module")
def entra(fakes: Providers) -> FakeEntra:
    clients = {CLIENT: SECRET, "the-machine": "the-machine-s-secret"}
    return fakes(FakeEntra, clients=clients, tenant=TENANT)


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def tunnel(entra: FakeEntra, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tunnel]:
    with Tunnel(ENTRA, entra, tmp_path_factory.mktemp("tunnel")) as tunnel:
        yield tunnel


@pytest.fixture(scope="module")
def server(
    module_gateway: Gateways, azure: FakeAzure, openai: FakeOpenAI, tunnel: Tunnel
) -> Gateway:
    here = {"api_base": azure.url}
    by_name = {"litellm_credential_name": "shared"}
    models = [
        entry("application", **here, **APPLICATION),
        entry("application-litellm", **here, **APPLICATION, lane="litellm"),
        entry("application-undated", **here, **APPLICATION, api_version="v1"),
        entry("shared", **here, **by_name),
        entry("ready", **here, azure_ad_token=READY),
        entry("ready-litellm", **here, azure_ad_token=READY, lane="litellm"),
        entry("key", **here, api_key="an-own-key"),
        entry("key-litellm", **here, api_key="an-own-key", lane="litellm"),
        entry("none", **here),
        entry("none-litellm", **here, lane="litellm"),
        entry("refused", **here, **APPLICATION | {"client_secret": "a-wrong-secret"}),
        entry("elsewhere", **here, **APPLICATION | {"tenant_id": "no-tenant-of-ours"}),
        entry("half", **here, tenant_id=TENANT, azure_username="somebody"),
        entry("stand-in", "openai/gpt-4o", api_base=openai.base_url, api_key="sk-of-openai"),
    ]
    config = {
        "model_list": models,
        "credential_list": [{"credential_name": "shared", "credential_values": APPLICATION}],
        "router_settings": {"num_retries": 2, "disable_cooldowns": True},
    }
    return module_gateway(config, env=OTHERS | tunnel.environment)


@pytest.fixture(scope="module")
def client(server: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=ANY_KEY, timeout=60) as client:
        yield client


def edit(client: httpx.Client, model: str) -> None:
    files = {"image": ("a.png", PIXEL, "image/png")}
    answer = client.post("/v1/images/edits", data={"model": model, "prompt": "a"}, files=files)
    assert answer.status_code == 200, answer.text


def respond(client: httpx.Client, model: str) -> None:
    answer = client.post("/v1/responses", json={"model": model, "input": "Hi"})
    assert answer.status_code == 200, answer.text


def upload(client: httpx.Client, model: str) -> None:
    form = {"data": {"purpose": "assistants"}, "files": {"file": ("a.txt", b"a", "text/plain")}}
    answer = client.post("/v1/files", params={"model": model}, **form)
    assert answer.status_code == 200, answer.text


def pass_on(client: httpx.Client, model: str) -> None:
    path = f"/azure/openai/deployments/{model}/chat/completions?api-version=2024-10-21"
    answer = client.post(path, json=asking.chat_of(model))
    assert answer.status_code == 200, answer.text


ASKED = [
    asking.chat,
    asking.streamed_chat,
    asking.embeddings,
    asking.messages,
    asking.images,
    asking.speech,
    asking.transcription,
    asking.realtime,
    edit,
    respond,
    upload,
    pass_on,
]


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("application", ""),
        ("application-litellm", ""),
        ("application-undated", ""),
        ("shared", ""),
        ("ready", READY),
        ("ready-litellm", READY),
    ],
)
def test_credentials_of_entra_go_before_the_environment_s(
    client: httpx.Client,
    azure: FakeAzure,
    entra: FakeEntra,
    ask: asking.Ask,
    model: str,
    expected: str,
) -> None:
    ask(client, model)
    scheme, _, token = azure.last.headers["authorization"].partition(" ")
    assert scheme == "Bearer"
    assert token == expected if expected else token in entra.tokens
    assert "api-key" not in azure.last.headers
    assert SECRET.encode() not in azure.last.body
    assert token.encode() not in azure.last.body


@pytest.mark.parametrize("ask", [asking.chat, asking.embeddings, respond, edit, pass_on])
@pytest.mark.parametrize("model", ["key", "key-litellm", "none", "none-litellm"])
def test_keys_go_before_tokens_of_the_environment(
    client: httpx.Client, azure: FakeAzure, ask: asking.Ask, model: str
) -> None:
    ask(client, model)
    assert "authorization" not in azure.last.headers
    own = ("an-own-key",)
    theirs = (OTHERS["AZURE_API_KEY"], OTHERS["AZURE_OPENAI_API_KEY"])
    assert azure.last.headers["api-key"] in (own if model.startswith("key") else theirs)


def test_a_token_is_fetched_once_for_many_calls(client: httpx.Client, entra: FakeEntra) -> None:
    for model in ("application", "application-litellm", "shared"):
        for _ in range(3):
            asking.chat(client, model)
    assert entra.requests == []


@pytest.mark.criterion("R14.5")
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("refused", "AADSTS7000215: Invalid client secret provided."),
        ("elsewhere", "Unable to get authority configuration"),
        ("half", "client_id and client_secret missing"),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/messages",
        "/azure/openai/deployments/{}/chat/completions?api-version=2024-10-21",
    ],
)
def test_credentials_that_entra_refuses_are_told_and_not_tried_again(
    client: httpx.Client, azure: FakeAzure, entra: FakeEntra, model: str, reason: str, path: str
) -> None:
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    answer = client.post(path.format(model), json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (401, "authentication_error")
    assert "Microsoft Entra's credentials for azure could not be used" in error["message"]
    assert reason in error["message"]
    assert "secret-of" not in answer.text
    assert "a-wrong-secret" not in answer.text
    assert azure.requests == []
    assert len([each for each in entra.requests if each.method == "POST"]) <= 1


def test_others_stand_in_for_them(client: httpx.Client, openai: FakeOpenAI) -> None:
    body = asking.chat_of("refused") | {"fallbacks": ["stand-in"]}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200
    assert len(openai.requests) == 1


def test_the_log_has_no_trace_of_them(server: Gateway) -> None:
    log = server.log()
    assert "Traceback" not in log
    assert [each for each in (SECRET, READY, "a-wrong-secret") if each in log] == []


@pytest.mark.criterion("R14.5")
def test_an_identity_of_another_issuer_is_exchanged_or_its_refusal_told(
    gateway: Gateways, azure: FakeAzure, entra: FakeEntra
) -> None:
    entra.clients["cluster"] = "the-identity-of-the-cluster"
    web = {"api_base": azure.url, "tenant_id": TENANT, "client_id": "cluster"}
    server = gateway(
        {
            "model_list": [
                entry("known", **web, azure_ad_token="oidc/env/KNOWN"),
                entry("unknown", **web, azure_ad_token="oidc/env/UNKNOWN"),
                entry("absent", **web, azure_ad_token="oidc/file//run/secrets/no-such-file"),
            ]
        },
        env=OTHERS
        | {"KNOWN": "the-identity-of-the-cluster", "UNKNOWN": "an-identity-of-nobody"}
        | {"AZURE_AUTHORITY_HOST": entra.url},
    )
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for ask in (asking.chat, respond):
            ask(client, "known")
            assert azure.last.key in entra.tokens
            assert "api-key" not in azure.last.headers
        reasons = {"unknown": "AADSTS7000215", "absent": "credentials for azure could not be used"}
        for model, reason in reasons.items():
            answer = client.post("/v1/chat/completions", json=asking.chat_of(model))
            assert (answer.status_code, reason in answer.text) == (401, True), answer.text
            assert len(answer.json()["error"]["attempts"]) == 1
    assert "-identity-of" not in server.log()


@pytest.mark.parametrize("everywhere", [False, True])
def test_the_machine_s_own_identity_is_used_where_that_is_configured(
    gateway: Gateways, azure: FakeAzure, entra: FakeEntra, tunnel: Tunnel, everywhere: bool
) -> None:
    here, switch = {"api_base": azure.url}, {"enable_azure_ad_token_refresh": True}
    server = gateway(
        {
            "model_list": [
                entry("machine", **here, **({} if everywhere else switch)),
                entry("key", **here, api_key="an-own-key"),
                entry("none", **here),
            ],
            "litellm_settings": switch if everywhere else {},
        },
        env=OTHERS | OF_MACHINE | tunnel.environment,
    )
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for ask in (asking.chat, asking.messages, pass_on):
            ask(client, "machine")
            assert azure.last.key in entra.tokens
            ask(client, "key")
            assert azure.last.key == "an-own-key"
            ask(client, "none")
            assert (azure.last.key in entra.tokens) is everywhere
