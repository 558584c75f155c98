"""Addresses with a user and a password in them: `https://user:password@host`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.fakes import FakeAnthropic, FakeOpenAI, Status
from tests.fakes.reply import Exchange, Refused
from tests.support import asking
from tests.support.gateway import Gateway, Gateways, trunkline, write_config
from tests.support.providers import Providers

USER, PASSWORD = "us er", "p@ss:w/ord-of-the-host"
IN_ADDRESS = "us%20er:p%40ss:w%2Ford-of-the-host"
BASIC = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
SECRETS = (PASSWORD, IN_ADDRESS.partition(":")[2], BASIC.removeprefix("Basic "))

MASTER_KEY = "sk-master-of-addresses"
CHAT = asking.chat_of("own")


class Guarded(FakeOpenAI):
    """A server that asks for the user's password and nothing else."""

    def authorize(self, x: Exchange) -> None:
        if x.recorded.headers.get("authorization") != BASIC:
            raise Refused(self.error(401, f"not {x.recorded.headers.get('authorization')}"))


def within(url: str, user: str = IN_ADDRESS) -> str:
    return url.replace("://", f"://{user}@")


def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


@pytest.fixture(scope="module")
def guarded(fakes: Providers) -> Guarded:
    return fakes(Guarded)


@pytest.fixture(scope="module")
def anthropic(fakes: Providers) -> FakeAnthropic:
    return fakes(FakeAnthropic)


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, guarded: Guarded, anthropic: FakeAnthropic) -> Gateway:
    here = within(guarded.base_url)
    models = [
        entry("own", "openai/gpt-4o", api_base=here),
        entry("converted", "openai/gpt-4o", base_url=here, lane="litellm"),
        entry("keyless", "ollama_chat/llama3", api_base=here),
        entry("claude", "anthropic/claude-x", api_base=within(anthropic.url), api_key="sk-of-ours"),
        entry("spoken", "openai/gpt-realtime", api_base=here),
        entry("surroundings", "mistral/mistral-large"),
    ]
    endpoints = [{"path": "/elsewhere", "target": f"{here}/chat/completions"}]
    general = {"master_key": MASTER_KEY, "pass_through_endpoints": endpoints}
    config = {"model_list": models, "general_settings": general}
    env = {"OPENAI_API_KEY": "sk-of-openai", "MISTRAL_API_BASE": here, "MISTRAL_API_KEY": "sk-mis"}
    return module_gateway(config, env=env)


@pytest.fixture(scope="module")
def client(server: Gateway) -> Any:
    headers = {"authorization": f"Bearer {MASTER_KEY}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
        yield client


@pytest.mark.parametrize("model", ["own", "converted", "surroundings"])
@pytest.mark.parametrize("ask", [asking.chat, asking.streamed_chat])
def test_user_and_password_of_an_address_are_sent_in_both_lanes(
    client: httpx.Client, guarded: Guarded, model: str, ask: asking.Ask
) -> None:
    ask(client, model)
    assert guarded.last.headers["authorization"] == BASIC


def test_they_reach_servers_that_only_litellm_knows(client: httpx.Client, guarded: Guarded) -> None:
    client.post("/v1/chat/completions", json=asking.chat_of("keyless"))
    assert guarded.last.headers["authorization"] == BASIC


def test_they_go_beside_a_key_that_has_a_header_of_its_own(
    client: httpx.Client, anthropic: FakeAnthropic
) -> None:
    for ask in (asking.messages, asking.chat):
        ask(client, "claude")
        sent = anthropic.last.headers
        assert (sent["authorization"], sent["x-api-key"]) == (BASIC, "sk-of-ours")


def test_realtime_sessions_are_opened_with_them(client: httpx.Client, guarded: Guarded) -> None:
    asking.realtime(client, "spoken")
    assert guarded.last.headers["authorization"] == BASIC


@pytest.mark.parametrize("path", ["/openai/v1/chat/completions", "/elsewhere", "/mistral/v1/any"])
def test_requests_are_passed_on_with_them(
    client: httpx.Client, guarded: Guarded, path: str
) -> None:
    assert client.post(path, json=CHAT).status_code in {200, 404}
    assert guarded.last.headers["authorization"] == BASIC


def test_nothing_shows_the_password(
    client: httpx.Client, server: Gateway, guarded: Guarded
) -> None:
    guarded.fault(Status(400, f"{BASIC} is of {USER}:{PASSWORD}"), always=True)
    answers = [client.get("/v1/model/info"), client.get("/health")]
    for model in ("own", "converted", "spoken", "surroundings"):
        answers.append(client.post("/v1/chat/completions", json=asking.chat_of(model)))
    told = "".join(f"{answer.headers} {answer.text}" for answer in answers) + server.log()
    assert [secret for secret in SECRETS if secret in told] == []
    assert "Traceback" not in server.log()


HOST = "https://user:hidden-password@host.example/v1"
KEYED = {"api_base": HOST, "api_key": "sk-of-ours"}
HEADERS = {"api_base": HOST, "extra_headers": {"authorization": "Bearer x"}}


def models(**params: Any) -> dict[str, Any]:
    return {"model_list": [entry("gpt", "openai/gpt-4o"), entry("own", **params)]}


@pytest.mark.criterion("R1.5")
@pytest.mark.parametrize(
    ("config", "path"),
    [
        (models(model="openai/gpt-4o", **KEYED), "model_list[1].litellm_params.api_base"),
        (models(model="cohere/any", **KEYED), "model_list[1].litellm_params.api_base"),
        (models(model="anthropic/any", **HEADERS), "model_list[1].litellm_params.api_base"),
        (
            models(model="bedrock/any", aws_bedrock_runtime_endpoint=HOST),
            "model_list[1].litellm_params.aws_bedrock_runtime_endpoint",
        ),
        (
            models(model="azure/any", base_url=HOST, tenant_id="t", client_secret="s"),
            "model_list[1].litellm_params.base_url",
        ),
        (
            {
                "credential_list": [
                    {"credential_name": "shared", "credential_values": {"api_base": HOST}}
                ],
                **models(model="openai/x", api_key="sk", litellm_credential_name="shared"),
            },
            "credential_list[0].credential_values.api_base",
        ),
        (
            {
                "general_settings": {
                    "pass_through_endpoints": [
                        {"path": "/a", "target": HOST, "headers": {"Authorization": "Bearer x"}}
                    ]
                }
            },
            "general_settings.pass_through_endpoints[0].target",
        ),
    ],
)
@pytest.mark.parametrize("command", [("serve", "--config"), ("config", "check")])
def test_one_that_needs_the_header_of_another_credential_is_refused_with_its_place(
    tmp_path: Path, command: tuple[str, ...], config: dict[str, Any], path: str
) -> None:
    file = write_config(tmp_path, config)
    line = next(n for n, text in enumerate(yaml.safe_dump(config).splitlines(), 1) if "://" in text)
    ended = trunkline(*command, str(file), folder=tmp_path)
    assert ended.returncode == 2
    expected = "expected an address without a user and a password, whose place another credential"
    assert ended.stderr == f"{file}:{line}: {path}: {expected} has: give one of the two\n"


def test_one_beside_a_key_with_a_header_of_its_own_is_not(tmp_path: Path) -> None:
    file = write_config(tmp_path, models(model="azure/any", **KEYED))
    assert trunkline("config", "check", str(file), folder=tmp_path).returncode == 0
