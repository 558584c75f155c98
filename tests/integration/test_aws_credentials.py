"""Whose credentials AWS's services are called with, also where AWS refuses them."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fakes import FakeBedrock, FakeOpenAI, Status
from tests.fakes.bedrock import signature
from tests.support import asking
from tests.support.gateway import Gateway, Gateways
from tests.support.identities import FakeSts
from tests.support.providers import Providers

pytestmark = pytest.mark.criterion("R14.5")

MODEL = "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0"
OPEN, CLOSED = (f"arn:aws:iam::123456789012:role/{name}" for name in ("open", "closed"))
WRONG_KEY = {"aws_access_key_id": "AKIAOFNOBODYATALL", "aws_secret_access_key": "secret-of-nobody"}
PATHS = ("/v1/chat/completions", "/v1/messages", "/bedrock/model/{}/converse")


def entry(name: str, model: str = MODEL, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


@pytest.fixture(scope="module")
def bedrock(fakes: Providers) -> FakeBedrock:
    return fakes(FakeBedrock, access_key="AKIAOFTHEENVIRONMENT", secret_key="secret-of-the-machine")


@pytest.fixture(scope="module")
def sts(fakes: Providers, bedrock: FakeBedrock) -> FakeSts:
    sts = fakes(FakeSts, credentials=bedrock.credentials)
    bedrock.credentials = ChainMap(sts.issued, bedrock.credentials)
    sts.closed.add(CLOSED)
    sts.identities.add("the-token-of-the-cluster")
    return sts


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def server(
    module_gateway: Gateways, bedrock: FakeBedrock, sts: FakeSts, openai: FakeOpenAI
) -> Gateway:
    here = {"aws_bedrock_runtime_endpoint": bedrock.url, "aws_region_name": "us-east-1"}
    web = {**here, "aws_role_name": OPEN, "aws_session_name": "trunkline"}
    models = [
        entry("role", **here, aws_role_name=OPEN),
        entry("identity", **web, aws_web_identity_token="oidc/env/GOOD_IDENTITY"),
        entry("closed", **here, aws_role_name=CLOSED),
        entry("unknown", **web, aws_web_identity_token="oidc/env/BAD_IDENTITY"),
        entry("absent", **web, aws_web_identity_token="oidc/file//var/run/secrets/no-such-file"),
        entry("nobody", **here, **WRONG_KEY, aws_role_name=OPEN, aws_session_name="nobody"),
        entry("stand-in", "openai/gpt-4o", api_base=openai.base_url, api_key="sk-of-openai"),
    ]
    env = {
        "AWS_ACCESS_KEY_ID": "AKIAOFTHEENVIRONMENT",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-machine",
        "AWS_ENDPOINT_URL_STS": sts.url,
        "AWS_MAX_ATTEMPTS": "1",
        "GOOD_IDENTITY": "the-token-of-the-cluster",
        "BAD_IDENTITY": "a-token-of-no-cluster",
    }
    routing = {"num_retries": 2, "disable_cooldowns": True}
    return module_gateway({"model_list": models, "router_settings": routing}, env=env)


@pytest.fixture(scope="module")
def client(server: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def post(client: httpx.Client, path: str, model: str, **fields: Any) -> httpx.Response:
    body: dict[str, Any] = {"model": model, "max_tokens": 9, **fields}
    body["messages"] = [{"role": "user", "content": "Hi"}]
    if path.startswith("/bedrock"):
        body = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
    return client.post(path.format(model), json=body)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("model", ["role", "identity"])
def test_roles_are_assumed_as_the_configuration_says(
    client: httpx.Client, bedrock: FakeBedrock, sts: FakeSts, path: str, model: str
) -> None:
    answer = post(client, path, model)
    assert answer.status_code == 200, answer.text
    signed = signature.read(bedrock.last)
    assert signed is not None
    assert signed.access_key in sts.issued
    assert (sts.assumed[-1]["RoleArn"], "aws" in answer.text) == (OPEN, False)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("absent", "could not be used"),
        ("closed", "not authorized to perform: sts:AssumeRole"),
        ("unknown", "No OpenIDConnect provider found"),
        ("nobody", "The signature is nobody's."),
    ],
)
def test_credentials_that_aws_refuses_are_told_and_not_tried_again(
    client: httpx.Client, bedrock: FakeBedrock, sts: FakeSts, path: str, model: str, reason: str
) -> None:
    answer = post(client, path, model)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (401, "authentication_error")
    assert "AWS" in error["message"] or "bedrock" in error["message"]
    assert reason in error["message"]
    for secret in ("secret-of", "a-token-of-no-cluster"):
        assert secret not in answer.text
    assert bedrock.requests == []
    assert len(error["attempts"]) == 1


@pytest.mark.parametrize("model", ["closed", "unknown"])
def test_others_stand_in_for_them(client: httpx.Client, openai: FakeOpenAI, model: str) -> None:
    answer = post(client, "/v1/chat/completions", model, fallbacks=["stand-in"])
    assert answer.json()["choices"][0]["message"]["content"] == asking.SAID
    assert len(openai.requests) == 1


@pytest.mark.parametrize("path", PATHS)
def test_a_token_service_that_fails_is_asked_again(
    client: httpx.Client, bedrock: FakeBedrock, sts: FakeSts, path: str
) -> None:
    sts.fault(Status(503), always=True)
    answer = post(client, path, "closed")
    assert answer.status_code == 503
    assert len(sts.requests) == 3


def test_the_log_has_no_trace_of_them(server: Gateway) -> None:
    log = server.log()
    assert "Traceback" not in log
    assert [
        each for each in ("secret-of", "-of-the-cluster", "-of-no-cluster") if each in log
    ] == []
