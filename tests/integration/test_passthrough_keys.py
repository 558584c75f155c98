"""Prefixes whose providers give access tokens for a key, or let one shared key do too much."""

from __future__ import annotations

import json
import time
import uuid
from urllib.parse import parse_qsl

import httpx
import pytest

from tests.fakes import FakeProvider, Status
from tests.fakes.recorded import Recorded
from tests.fakes.reply import Exchange, Reply, ok
from tests.fakes.server import Route
from tests.support.gateway import Gateways
from tests.support.providers import Providers

KEY = "sk-gateway-master-key"
AUTH = {"authorization": f"Bearer {KEY}"}


class Issuer(FakeProvider):
    """A provider that gives tokens for keys, as IBM and GigaChat do, and takes no key itself."""

    name = "issuer"
    lasts = 3600

    def routes(self) -> list[Route]:
        return [
            ("POST", "/identity/token", self._ibm),
            ("POST", "/api/v2/oauth", self._gigachat),
            ("*", "/{rest:.+}", lambda x: ok({"echo": x.recorded.path})),
        ]

    def _token(self) -> str:
        return self.new_id("token-", 12)

    def _ibm(self, x: Exchange) -> Reply:
        end = int(time.time()) + self.lasts
        return ok({"access_token": self._token(), "expires_in": self.lasts, "expiration": end})

    def _gigachat(self, x: Exchange) -> Reply:
        return ok(
            {"access_token": self._token(), "expires_at": int(time.time() + self.lasts) * 1000}
        )

    def error(self, status: int, message: str = "") -> Reply:
        return Reply(status, json.dumps({"errorMessage": message or "refused"}).encode())


@pytest.fixture(scope="module")
def issuer(fakes: Providers):
    return fakes(Issuer)


@pytest.fixture
def start(gateway: Gateways, issuer):
    def started(**env: str):
        issuer.lasts = 3600
        own = [
            {
                "model_name": "giga",
                "litellm_params": {
                    "model": "gigachat/GigaChat-2-Max",
                    "api_key": "b3duOnNlY3JldA==",
                    "api_base": f"{issuer.url}/own/v1",
                    "gigachat_auth_url": f"{issuer.url}/api/v2/oauth",
                    "gigachat_scope": "GIGACHAT_API_CORP",
                },
            }
        ]
        models = own if env.pop("own", "") else []
        mock = {"model_name": "m", "litellm_params": {"model": "openai/x", "mock_response": "hi"}}
        config = {"general_settings": {"master_key": KEY}, "model_list": [*models, mock]}
        return gateway(config, env=env)

    return started


def ibm(issuer) -> dict[str, str]:
    return {"WATSONX_API_BASE": issuer.url, "WATSONX_IAM_URL": f"{issuer.url}/identity/token"}


def posted(asked: Recorded) -> list[tuple[str, str]]:
    """The fields of a form that was asked for a token."""
    return parse_qsl(asked.body.decode())


@pytest.mark.criterion("R1.1", "R11.1")
def test_watsonx_gets_an_access_token_for_the_key_and_a_version(start, issuer):
    server = start(WATSONX_API_KEY="ibm-secret-key", **ibm(issuer))
    url = f"{server.url}/watsonx/ml/v1/text/tokenization"
    answer = httpx.post(url, headers=AUTH, json={"model_id": "ibm/granite", "input": "hi"})
    assert answer.json() == {"echo": "/ml/v1/text/tokenization"}
    asked, seen = issuer.requests
    grant = "urn:ibm:params:oauth:grant-type:apikey"
    assert posted(asked) == [("grant_type", grant), ("apikey", "ibm-secret-key")]
    assert seen.headers["authorization"].startswith("Bearer token-")
    assert seen.query == [("version", "2024-03-13")]
    assert "ibm-secret-key" not in str(seen.headers)

    httpx.get(f"{url}?version=2025-01-01", headers=AUTH)
    assert len(issuer.requests) == 3, "the token is kept"
    assert issuer.last.query == [("version", "2025-01-01")]


@pytest.mark.criterion("R1.1")
def test_a_token_that_is_about_to_end_is_fetched_anew(start, issuer):
    server = start(WATSONX_API_KEY="ibm-secret-key", **ibm(issuer))
    issuer.lasts = 30
    for _ in range(2):
        assert httpx.get(f"{server.url}/watsonx/ml/v1/x", headers=AUTH).status_code == 200
    paths = [each.path for each in issuer.requests]
    assert paths == ["/identity/token", "/ml/v1/x"] * 2
    sent = [each.headers["authorization"] for each in issuer.requests[1::2]]
    assert sent[0] != sent[1]


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize(
    ("env", "sent"),
    [
        ({"WATSONX_TOKEN": "ready-token"}, "Bearer ready-token"),
        ({"WATSONX_ZENAPIKEY": "zen-key"}, "ZenApiKey zen-key"),
    ],
)
def test_a_token_or_a_zen_key_is_sent_as_it_is(start, issuer, env, sent):
    server = start(**ibm(issuer), **env)
    assert httpx.get(f"{server.url}/watsonx/ml/v1/x", headers=AUTH).status_code == 200
    assert [each.headers["authorization"] for each in issuer.requests] == [sent]


@pytest.mark.criterion("R1.1", "R1.4")
def test_gigachat_gets_an_access_token_for_a_deployments_credentials(start, issuer):
    server = start(own="yes")
    url = f"{server.url}/gigachat/chat/completions"
    answer = httpx.post(url, headers=AUTH, json={"model": "giga", "messages": []})
    assert answer.status_code == 200, answer.text
    asked, seen = issuer.requests
    assert asked.headers["authorization"] == "Basic b3duOnNlY3JldA=="
    assert uuid.UUID(asked.headers["rquid"])
    assert posted(asked) == [("scope", "GIGACHAT_API_CORP")]
    assert seen.path == "/own/v1/chat/completions"
    assert seen.json["model"] == "GigaChat-2-Max"
    assert seen.headers["authorization"].startswith("Bearer token-")


@pytest.mark.criterion("R14.5")
def test_without_a_token_the_request_does_not_go_on(start, issuer):
    server = start(WATSONX_API_KEY="ibm-secret-key", **ibm(issuer))
    issuer.fault(
        Status(400, {"errorMessage": "Provided API key could not be found: ibm-secret-key"})
    )
    answer = httpx.get(f"{server.url}/watsonx/ml/v1/x", headers=AUTH)
    assert answer.status_code == 400
    assert "could not be found" in answer.json()["error"]["message"]
    assert "ibm-secret-key" not in answer.text
    assert [each.path for each in issuer.requests] == ["/identity/token"]
    unconfigured = httpx.get(f"{server.url}/gigachat/models", headers=AUTH)
    assert unconfigured.status_code == 503


@pytest.fixture
def fish(start, issuer):
    return start(TINYFISH_API_KEY="fish-secret-key", TINYFISH_AGENT_API_BASE=issuer.url)


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/automation/run"),
        ("POST", "/v1/automation/run-async"),
        ("POST", "/v1/automation/run-sse"),
        ("GET", "/v1/runs/run-1"),
        ("POST", "/v1/runs/run-1/cancel"),
    ],
)
def test_tinyfish_runs_are_passed_on(fish, issuer, method, path):
    body = {"goal": "look", "url": "https://example.com"} if "automation" in path else None
    answer = httpx.request(method, f"{fish.url}/tinyfish{path}", headers=AUTH, json=body)
    assert answer.status_code == 200, answer.text
    assert issuer.last.path == path
    assert issuer.last.headers["x-api-key"] == "fish-secret-key"


@pytest.mark.criterion("R11.1")
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/runs", None, 403),
        ("GET", "/v1/runs/", None, 403),
        ("GET", "/v1/vault/items", None, 403),
        ("DELETE", "/v1/runs/run-1", None, 403),
        ("GET", "/v1/runs/a%2Fb", None, 403),
        ("POST", "/v1/automation/run", {"goal": "x", "use_vault": True}, 403),
        ("POST", "/v1/automation/run", {"goal": "x", "profile_id": None}, 403),
        ("POST", "/v1/automation/run", ["goal"], 400),
    ],
)
def test_what_concerns_the_whole_tinyfish_account_is_not_passed_on(
    fish, issuer, method, path, body, status
):
    answer = httpx.request(method, f"{fish.url}/tinyfish{path}", headers=AUTH, json=body)
    assert answer.status_code == status, answer.text
    assert not issuer.requests


@pytest.mark.criterion("R11.1")
def test_a_body_that_cannot_be_looked_into_is_not_passed_on(fish, issuer):
    url = f"{fish.url}/tinyfish/v1/automation/run"
    form = httpx.post(url, headers=AUTH, data={"use_vault": "true"})
    assert form.status_code == 400
    assert not issuer.requests


@pytest.mark.criterion("R1.1")
def test_the_environment_may_let_runs_use_what_is_saved(start, issuer):
    env = {"TINYFISH_API_KEY": "k", "TINYFISH_AGENT_API_BASE": issuer.url}
    server = start(TINYFISH_ALLOW_AUTHENTICATED_RUNS="true", **env)
    url = f"{server.url}/tinyfish/v1/automation/run"
    assert httpx.post(url, headers=AUTH, json={"use_vault": True}).status_code == 200
