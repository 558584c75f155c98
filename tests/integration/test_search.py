"""Searches go to the configured search tools, which share calls and stand in for each other."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fakes import FakeProvider, Status
from tests.fakes.openai import extras
from tests.fakes.reply import Reply
from tests.fakes.server import Route
from tests.support.gateway import Gateways
from tests.support.providers import Providers

pytestmark = pytest.mark.timeout(180)

KEY = "sk-gateway-master-key"
AUTH = {"authorization": f"Bearer {KEY}"}
TOOL_KEY = "tvly-provider-secret-key"
QUERY = {"query": "the sky"}


class FakeSearch(FakeProvider):
    """A search provider that speaks as Tavily does."""

    name = "search"

    def routes(self) -> list[Route]:
        return [route for route in extras.ROUTES if route[1] == "/search"]

    def error(self, status: int, message: str = "") -> Reply:
        return Reply(status, b'{"detail": {"error": "refused"}}')


def tool(name: str, fake: FakeSearch, **more: Any) -> dict[str, Any]:
    params = {"search_provider": "tavily", "api_base": fake.url, "api_key": TOOL_KEY}
    return {"search_tool_name": name, "litellm_params": params | more}


@pytest.fixture(scope="module")
def one(fakes: Providers) -> FakeSearch:
    return fakes(FakeSearch)


@pytest.fixture(scope="module")
def other(fakes: Providers) -> FakeSearch:
    return fakes(FakeSearch)


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, one: FakeSearch, other: FakeSearch):
    described = tool("web", one) | {"search_tool_info": {"description": "Finds things"}}
    dead = tool("dead", one, api_base="http://127.0.0.1:9")
    config = {
        "general_settings": {"master_key": KEY},
        "router_settings": {
            "num_retries": 2,
            "fallbacks": [{"dead": ["web"]}, {"failing": ["chat"]}],
            "disable_cooldowns": True,
        },
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {"model": "openai/x", "mock_response": "from the model"},
            }
            for name in ("web", "chat")
        ],
        "search_tools": [
            described,
            tool("pair", one),
            tool("pair", other),
            tool("failing", one, num_retries=0),
            dead,
            tool("misspelt", one, search_provider="tavilly"),
            tool("keyless", one, api_key="os.environ/NOT_SET"),
        ],
    }
    return module_gateway(config)


def search(server, path: str = "/v1/search/web", **fields: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", headers=AUTH, json=QUERY | fields, timeout=60)


@pytest.mark.criterion("R1.1", "R1.2")
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/search/web", {}),
        ("/search/web", {}),
        ("/v1/search", {"search_tool_name": "web"}),
        ("/search", {"model": "web"}),
        ("/search/web", {"search_tool_name": "ignored", "model": "ignored"}),
        ("/search/web", {"search_provider": "exa_ai"}),
    ],
)
def test_a_search_goes_to_the_tool_that_path_or_body_names(server, one, path, fields):
    answer = search(server, path, max_results=3, **fields)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["object"] == "search"
    assert found["results"][0]["snippet"] == "echo: the sky"
    assert one.last.headers["authorization"] == f"Bearer {TOOL_KEY}"
    assert one.last.json["max_results"] == 3
    ours = {"model", "search_tool_name", "search_provider", "max_retries"}
    assert ours.isdisjoint(one.last.json)
    assert answer.headers["x-litellm-model-group"] == "web"


@pytest.mark.criterion("R1.2")
def test_search_tools_and_models_have_names_of_their_own(server, one):
    asked = {"model": "web", "messages": [{"role": "user", "content": "hi"}]}
    chat = httpx.post(f"{server.url}/v1/chat/completions", headers=AUTH, json=asked)
    assert chat.json()["choices"][0]["message"]["content"] == "from the model"
    assert not one.requests
    listed = httpx.get(f"{server.url}/v1/models", headers=AUTH).json()["data"]
    assert [each["id"] for each in listed] == ["web", "chat"]
    assert search(server, "/search/chat").status_code == 404


@pytest.mark.criterion("R1.2")
@pytest.mark.parametrize("path", ["/search/tools", "/v1/search/tools"])
def test_the_usable_search_tools_are_listed(server, path):
    assert httpx.get(f"{server.url}{path}").status_code == 401
    listed = httpx.get(f"{server.url}{path}", headers=AUTH).json()
    assert listed["object"] == "list"
    names = [each["search_tool_name"] for each in listed["data"]]
    assert names == ["web", "pair", "pair", "failing", "dead", "misspelt"]
    assert listed["data"][0] == {
        "search_tool_name": "web",
        "search_provider": "tavily",
        "description": "Finds things",
    }
    assert TOOL_KEY not in str(listed)


@pytest.mark.criterion("R1.2")
def test_tools_of_one_name_share_its_searches(server, one, other):
    for _ in range(30):
        assert search(server, "/search/pair").status_code == 200
    assert len(one.requests) > 3
    assert len(other.requests) > 3


@pytest.mark.criterion("R14.1")
def test_a_tool_that_fails_is_stood_in_for_by_another_of_its_name(server, one, other):
    one.fault(Status(500), always=True)
    for _ in range(5):
        answer = search(server, "/search/pair")
        assert answer.status_code == 200, answer.text
    assert len(other.requests) == 5


@pytest.mark.criterion("R14.1")
def test_fallbacks_may_name_search_tools(server, one):
    answer = search(server, "/search/dead", num_retries=0)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-litellm-attempted-fallbacks"] == "1"
    assert len(one.requests) == 1


@pytest.mark.criterion("R14.5")
@pytest.mark.parametrize("status", [401, 429, 432, 500])
def test_a_failure_is_told_with_the_providers_status_and_no_model_stands_in(server, one, status):
    one.fault(Status(status), always=True)
    answer = search(server, "/search/failing")
    assert answer.status_code == status, answer.text
    assert TOOL_KEY not in answer.text


@pytest.mark.criterion("R1.3")
@pytest.mark.parametrize(
    ("path", "fields", "status", "param"),
    [
        ("/search", {}, 400, "search_tool_name"),
        ("/search", {"search_tool_name": 7}, 400, "search_tool_name"),
        ("/search/web", {"query": None}, 400, "query"),
        ("/search/unheard-of", {}, 404, "search_tool_name"),
        ("/search/web", {"api_base": "http://evil.example"}, 400, "api_base"),
        ("/search/keyless", {}, 503, None),
        ("/search/misspelt", {}, 400, None),
    ],
)
def test_a_search_that_cannot_be_made_names_what_is_wrong(server, one, path, fields, status, param):
    answer = search(server, path, **fields)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["param"] == param
    assert not one.requests


@pytest.mark.criterion("R1.5")
def test_search_tools_alone_are_enough_to_serve_and_may_stand_in_general_settings(
    gateway: Gateways, one
):
    general = {"master_key": KEY, "search_tools": [tool("web", one)]}
    server = gateway({"general_settings": general})
    assert search(server).status_code == 200
    assert "search tools registered: web (1)" in server.log()
    assert "no effect" not in server.log()
