"""Configurations of the shapes that LiteLLM documents serve as they are, every model of them.

Each is served by a gateway of its own, from a file that differs in nothing but the providers'
addresses. Credentials of every kind are used as configured: keys, keys that the file's own
variables or named credentials give, AWS's keys and roles, Google's key files, Entra's client
secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import asking
from tests.support.asking import Ask
from tests.support.documented import (
    FOLDER,
    OF_A_ROLE,
    OF_ENTRA,
    OF_GOOGLE,
    Fleet,
    Reached,
    Served,
    serve,
)
from tests.support.gateway import Gateways
from tests.support.identities import ENTRA, Tunnel
from tests.support.postgres import PostgresServer
from tests.support.providers import Providers
from tests.support.redis import redis_server
from trunkline.settings import load

pytestmark = [pytest.mark.criterion("R1.5"), pytest.mark.timeout(180)]

SECRETS = ("KEY", "SECRET", "PASSWORD")


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment's call, and where it must arrive.

    at: the fake. model: its name for the model. key: the variable that holds the credential, or
        what is said of the credential in `documented`, or the credential.
    name: what to ask for, where the deployment's id can't be. also: further names for it.
    tags: what the call is marked with. sent: headers that must reach the provider.
    """

    at: str
    model: str
    key: str
    ask: Ask = asking.chat
    name: str = ""
    also: tuple[str, ...] = ()
    tags: str = ""
    sent: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> tuple[str, str, str]:
        return self.at, self.model, self.key


def openai(model: str, ask: Ask = asking.chat, **named: Any) -> Deployed:
    return Deployed("openai", model, "OPENAI_API_KEY", ask, **named)


SERVED: dict[str, list[Deployed]] = {
    "aliases": [
        openai("gpt-4o", also=("gpt-4", "gpt-3.5-turbo")),
        Deployed(
            "compatible", "mistral-large-latest", "MISTRAL_API_KEY",
            name="mistral/mistral-large-latest", also=("mistral",),
        ),
    ],
    "azure": [
        Deployed("azure", "our-omni", "AZURE_API_KEY"),
        Deployed("azure", "our-whisper", "AZURE_API_KEY", asking.transcription),
        Deployed("azure", "our-omni", OF_ENTRA),
    ],
    "bedrock": [
        Deployed("bedrock", "us.anthropic.claude-3-5-sonnet-20241022-v2:0", OF_A_ROLE),
        Deployed("bedrock", "eu.anthropic.claude-3-5-sonnet-20240620-v1:0", OF_A_ROLE),
        Deployed("bedrock", "amazon.titan-embed-text-v2:0", "AWS_ACCESS_KEY_ID", asking.embeddings),
    ],
    "caching": [openai("gpt-4o-mini"), openai("text-embedding-3-small", asking.embeddings)],
    "callbacks": [openai("gpt-4o", asking.streamed_chat)],
    "environment": [
        Deployed("openai", "gpt-4o", "COMPANY_OPENAI_KEY"),
        Deployed("azure", "gpt-4o", "AZURE_API_KEY"),
    ],
    "fallbacks": [
        openai("gpt-4o-mini"),
        openai("gpt-4.1"),
        Deployed("anthropic", "claude-sonnet-4-5", "ANTHROPIC_API_KEY", also=("claude-main",)),
        Deployed("compatible", "llama-3.3-70b-versatile", "GROQ_API_KEY"),
    ],
    "include": [openai("gpt-4o"), openai("gpt-4o-mini"), openai("gpt-4.1")],
    "load_balancing": [
        Deployed("azure", "gpt-4o-france", "AZURE_FRANCE_KEY"),
        Deployed("azure", "gpt-4o-sweden", "AZURE_SWEDEN_KEY"),
        openai("gpt-4o"),
    ],
    "modalities": [
        openai("text-embedding-3-large", asking.embeddings),
        openai("gpt-image-1", asking.images),
        openai("tts-1", asking.speech),
        openai("whisper-1", asking.transcription),
        openai("omni-moderation-latest", asking.moderation),
        Deployed("cohere", "rerank-v3.5", "COHERE_API_KEY", asking.rerank),
        openai("gpt-4o-realtime-preview", asking.realtime),
        openai("sora-2", asking.video),
    ],
    "pass_through": [Deployed("cohere", "command-a-03-2025", "COHERE_API_KEY")],
    "self_hosted": [
        Deployed("compatible", "meta-llama/Llama-3.3-70B-Instruct", "none"),
        Deployed("ollama", "llama3.3", ""),
        Deployed(
            "openai", "my-own-model", "TGI_KEY", sent={"x-team": "search", "x-version": "3"}
        ),
    ],
    "tags": [
        openai("gpt-4o-mini", tags="free"),
        openai("gpt-4o", tags="teams,something-else"),
        openai("gpt-4.1-nano"),
    ],
    "teams": [
        openai("gpt-4o", sent={"openai-organization": "org-a"}),
        openai("gpt-4o", sent={"openai-organization": "org-b"}),
    ],
    "timeouts_and_retries": [openai("gpt-4o-mini"), openai("o3")],
    "vertex": [
        Deployed("vertex", "gemini-2.5-flash", OF_GOOGLE),
        Deployed("gemini", "gemini-2.5-flash", "GEMINI_API_KEY", asking.generate_content),
        Deployed("vertex", "claude-sonnet-4-5", OF_GOOGLE, asking.messages),
    ],
    "wildcards": [
        openai("gpt-4o", name="openai/gpt-4o"),
        Deployed(
            "anthropic", "claude-sonnet-4-5", "ANTHROPIC_API_KEY", asking.messages,
            name="anthropic/claude-sonnet-4-5",
        ),
        Deployed(
            "bedrock", "us.anthropic.claude-3-5-sonnet-20241022-v2:0", "AWS_ACCESS_KEY_ID",
            name="bedrock/us.anthropic.claude-3-5-sonnet-20241022-v2:0",
        ),
        Deployed(
            "compatible", "llama-3.3-70b-versatile", "GROQ_API_KEY",
            name="team-llama-3.3-70b-versatile",
        ),
        Deployed("compatible", "deepseek-chat", "DEEPSEEK_API_KEY", name="deepseek/deepseek-chat"),
    ],
}  # fmt: skip
"""What each configuration's deployments must do, in the order of its `model_list`."""


@pytest.fixture(scope="module")
def fleet(fakes: Providers, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(fakes, tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def tunnel(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tunnel]:
    with Tunnel(ENTRA, fleet.entra, tmp_path_factory.mktemp("tunnel")) as tunnel:
        yield tunnel


@pytest.fixture(scope="module")
def stores(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> Iterator[dict[str, str]]:
    """Variables that lead to a database and to Redis."""
    password = "the-redis-password-canary"
    with redis_server(tmp_path_factory.mktemp("redis"), password=password) as redis:
        yield {
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(redis.port),
            "REDIS_PASSWORD": password,
            "DATABASE_URL": postgres.database(),
        }


@pytest.fixture(scope="module")
def served(
    request: pytest.FixtureRequest,
    fleet: Fleet,
    stores: dict[str, str],
    tunnel: Tunnel,
    module_gateway: Gateways,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    into = tmp_path_factory.mktemp("configuration") / "copy"
    served = serve(request.param, fleet, tunnel, module_gateway, into, stores=stores)
    with served.client:
        yield served
    served.server.stop()


def shape(*names: str) -> Any:
    return pytest.mark.parametrize("served", names, indirect=True, ids=names)


def test_every_shape_is_served() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*SERVED, "mock"}


@pytest.mark.criterion("R1.4", "R2.6")
@shape(*SERVED)
def test_every_deployment_answers_with_its_own_credential(served: Served, fleet: Fleet) -> None:
    for entry, deployed in zip(deployments(served), SERVED[served.name], strict=True):
        for name in (deployed.name or entry["model_info"]["id"], *deployed.also):
            reached = call(served, fleet, name, deployed)
            assert reached.target == deployed.target, name
            assert reached.headers.items() >= deployed.sent.items()


@shape(*(name for name in SERVED if name != "wildcards"))
def test_every_model_group_is_answered_by_one_of_its_deployments(
    served: Served, fleet: Fleet
) -> None:
    groups: dict[tuple[str, str], list[Deployed]] = {}
    for entry, deployed in zip(deployments(served), SERVED[served.name], strict=True):
        if not deployed.name:
            groups.setdefault((entry["model_name"], deployed.tags), []).append(deployed)

    for (group, _), members in groups.items():
        reached = call(served, fleet, group, members[0])
        assert reached.target in [each.target for each in members], group


@shape("bedrock")
def test_a_role_is_assumed_with_the_machines_credentials(served: Served, fleet: Fleet) -> None:
    asking.chat(served.client, "claude")

    assumed = fleet.sts.assumed
    assert {each["RoleArn"] for each in assumed} == {"arn:aws:iam::123456789012:role/gateway"}
    assert {each["RoleSessionName"] for each in assumed} == {"trunkline"}
    token = fleet.bedrock.last.headers["x-amz-security-token"]
    assert token == fleet.sts.session_token


@pytest.mark.criterion("R1.4")
def test_an_application_of_entra_is_used_where_no_key_is_set(
    fleet: Fleet, tunnel: Tunnel, gateway: Gateways, tmp_path: Path
) -> None:
    served = serve("azure", fleet, tunnel, gateway, tmp_path / "copy", without=["AZURE_API_KEY"])

    reached = call(served, fleet, "entra", Deployed("azure", "our-omni", OF_ENTRA))
    left_out = served.client.post("/v1/chat/completions", json=asking.chat_of("gpt-4o"))

    assert reached.target == ("azure", "our-omni", OF_ENTRA)
    assert set(tunnel.asked) == {f"{ENTRA}:443"}
    assert left_out.status_code == 503
    assert "AZURE_API_KEY" in left_out.json()["error"]["message"]


@pytest.mark.criterion("R1.1")
@shape("pass_through")
def test_configured_paths_are_passed_on(served: Served, fleet: Fleet) -> None:
    elsewhere = fleet.fakes["elsewhere"]
    own = {"x-own": "kept"}

    answers = [
        served.client.post("/cohere-rerank", json={"query": "x"}, headers=own),
        served.client.get("/traces/of/today", headers=own),
    ]

    assert [answer.json() for answer in answers] == [{"from": "elsewhere"}] * 2
    rerank, traces = elsewhere.requests
    assert [rerank.path, traces.path] == ["/v1/rerank", "/api/of/today"]
    assert rerank.headers["authorization"] == served.environment["COHERE_API_KEY"]
    assert "x-own" not in rerank.headers
    assert traces.headers["x-own"] == "kept"
    assert not any(
        served.environment["LITELLM_KEY"] in str(each.headers) for each in (rerank, traces)
    )


@shape("mock")
def test_a_mock_answers_for_itself_and_for_one_that_always_fails(served: Served) -> None:
    for name in ("parrot", "broken"):
        answer = served.client.post("/v1/chat/completions", json=asking.chat_of(name)).json()
        assert answer["choices"][0]["message"]["content"] == "Hello there."


@pytest.mark.criterion("R11.1")
@shape("callbacks", "load_balancing", "pass_through", "tags", "teams")
def test_a_master_key_from_the_environment_is_asked_for(served: Served) -> None:
    headers = {"authorization": "Bearer somebody-elses"}

    answer = served.client.post("/v1/chat/completions", json=asking.chat_of("any"), headers=headers)

    assert answer.status_code == 401


@shape(*SERVED, "mock")
def test_what_has_no_effect_yet_is_told_once_and_no_credential_ever(served: Served) -> None:
    settings = load(served.file, served.environment)
    log = served.server.log()

    for warning in settings.warnings:
        assert log.count(warning) == 1
    for name, value in served.environment.items():
        if any(word in name for word in SECRETS):
            assert value not in log, name


def deployments(served: Served) -> list[dict[str, Any]]:
    """What the gateway says of its deployments, each under the first name that is listed for it."""
    listed = served.client.get("/v1/model/info").json()["data"]
    return list({entry["model_info"]["id"]: entry for entry in reversed(listed)}.values())[::-1]


def call(served: Served, fleet: Fleet, name: str, deployed: Deployed) -> Reached:
    """Asks a model by name as the deployment is asked, and says where that arrived."""
    fleet.forget()
    served.client.headers["x-litellm-tags"] = deployed.tags
    deployed.ask(served.client, name)
    return fleet.reached(served.environment)
