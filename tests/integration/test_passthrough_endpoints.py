"""Paths that a configuration passes on itself: `general_settings.pass_through_endpoints`."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.fakes import FakeProvider
from tests.fakes.reply import Reply
from tests.fakes.server import Route
from tests.support.gateway import Gateways
from tests.support.providers import Providers

KEY = "sk-gateway-master-key"
AUTH = {"authorization": f"Bearer {KEY}"}


class Anything(FakeProvider):
    name = "anything"

    def routes(self) -> list[Route]:
        return [("*", "/{rest:.+}", lambda x: Reply(body=b"{}"))]

    def error(self, status: int, message: str = "") -> Reply:
        return Reply(status, b"{}")


@pytest.fixture(scope="module")
def target(fakes: Providers):
    return fakes(Anything)


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, target):
    token = {"Authorization": "Bearer os.environ/THEIR_TOKEN", "x-static": "yes"}
    endpoints = [
        {"path": "/rank", "target": f"{target.url}/v1/rank?from=config", "headers": token},
        {
            "path": "/tree",
            "target": f"{target.url}/root/",
            "include_subpath": True,
            "forward_headers": True,
            "headers": {"x-api-key": "os.environ/THEIR_TOKEN"},
        },
        {"path": "/tree/branch", "target": f"{target.url}/branch"},
        {"path": "/hook", "target": f"{target.url}/hook", "auth": False, "methods": ["post"]},
        {
            "path": "/traces",
            "target": f"{target.url}/api/traces",
            "headers": {
                "LANGFUSE_PUBLIC_KEY": "os.environ/PUBLIC",
                "LANGFUSE_SECRET_KEY": "os.environ/THEIR_TOKEN",
                "litellm_user_api_key": "x-trace-key",
            },
        },
    ]
    general = {"master_key": KEY, "pass_through_endpoints": endpoints}
    environment = {"THEIR_TOKEN": "sk-their-token", "PUBLIC": "pk-public"}
    model = {"model_name": "mock", "litellm_params": {"model": "openai/x", "mock_response": "hi"}}
    config = {"general_settings": general, "model_list": [model]}
    return module_gateway(config, env=environment)


@pytest.mark.criterion("R1.1")
def test_a_configured_path_leads_to_its_target_with_its_headers(server, target):
    answer = httpx.post(f"{server.url}/rank?own=1", headers=AUTH | {"x-own": "1"}, json={"a": 1})
    assert answer.status_code == 200
    seen = target.last
    assert (seen.path, seen.query) == ("/v1/rank", [("from", "config"), ("own", "1")])
    assert seen.headers["authorization"] == "Bearer sk-their-token"
    assert seen.headers["x-static"] == "yes"
    assert seen.headers["content-type"] == "application/json"
    assert seen.json == {"a": 1}
    assert "x-own" not in seen.headers
    assert KEY not in str(seen.headers)


@pytest.mark.criterion("R1.1")
def test_headers_that_clients_mark_go_on_but_never_replace_credentials(server, target):
    marked = {"x-pass-anthropic-beta": "b", "x-pass-authorization": "Bearer theirs"}
    httpx.post(f"{server.url}/rank", headers=AUTH | marked, json={})
    assert target.last.headers["anthropic-beta"] == "b"
    assert target.last.headers["authorization"] == "Bearer sk-their-token"


@pytest.mark.criterion("R1.1")
def test_subpaths_go_on_where_the_configuration_says_so(server, target):
    assert httpx.get(f"{server.url}/rank/more", headers=AUTH).status_code == 404
    httpx.get(f"{server.url}/tree/a%20b/c?x=1", headers=AUTH | {"x-own": "kept"})
    assert target.last.raw_path == "/root/a%20b/c?x=1"
    assert target.last.headers["x-own"] == "kept"
    assert target.last.headers["x-api-key"] == "sk-their-token"
    assert "authorization" not in target.last.headers
    httpx.get(f"{server.url}/tree/branch", headers=AUTH)
    assert target.last.path == "/branch"
    assert httpx.get(f"{server.url}/treetop", headers=AUTH).status_code == 404


@pytest.mark.criterion("R1.1", "R11.1")
def test_a_configured_path_needs_our_key_unless_the_configuration_says_otherwise(server, target):
    assert httpx.post(f"{server.url}/rank", json={}).status_code == 401
    assert not target.requests
    assert httpx.post(f"{server.url}/hook", json={}).status_code == 200


@pytest.mark.criterion("R1.1")
def test_a_method_that_the_configuration_leaves_out_is_refused(server, target):
    refused = httpx.get(f"{server.url}/hook")
    assert refused.status_code == 405
    assert not target.requests


@pytest.mark.criterion("R1.1")
def test_langfuses_two_keys_make_one_header_and_our_key_may_have_its_own(server, target):
    answer = httpx.post(f"{server.url}/traces", headers={"x-trace-key": KEY}, json={})
    assert answer.status_code == 200
    pair = base64.b64encode(b"pk-public:sk-their-token").decode()
    assert target.last.headers["authorization"] == f"Basic {pair}"
    assert KEY not in str(target.last.headers)
