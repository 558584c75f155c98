"""Tags and clients choose among the deployments of a group."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fakes import FakeOpenAI
from tests.support.gateway import DidNotStart, Gateway, Gateways
from tests.support.providers import Providers

pytestmark = pytest.mark.criterion("R1.5")

CLI = "claude-code/2.1 (linux)"


@pytest.fixture(scope="module")
def fake(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


def entry(fake: FakeOpenAI, group: str, model: str, **said: Any) -> dict[str, Any]:
    info = said.pop("model_info", {})
    base = {"model": f"openai/{model}", "api_base": f"{fake.url}/v1", "api_key": "sk-none"}
    return {
        "model_name": group,
        "litellm_params": base | said,
        "model_info": {"id": f"{group}-{model}", **info},
    }


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, fake: FakeOpenAI) -> Gateway:
    patterns = ["^User-Agent: codex/", "^User-Agent: claude-code/"]
    return module_gateway(
        {
            "model_list": [
                entry(fake, "assistant", "free", tags=["free"]),
                entry(fake, "assistant", "paid", tags=["paid", "eu"]),
                entry(fake, "assistant", "default", tags=["default"]),
                entry(fake, "coder", "clients", tag_regex=patterns),
                entry(fake, "coder", "others", tags=["default"]),
                entry(fake, "closed", "clients", tag_regex=patterns),
                entry(fake, "open", "free", tags=["free"], model_info={"allow_fail_open": True}),
                entry(fake, "open", "default", tags=["default"]),
                entry(fake, "indifferent", "a", tags=["free"], model_info=OFF),
            ],
            "router_settings": {
                "num_retries": 0,
                "enable_tag_filtering": True,
                "tag_routing_prefix": "route:",
            },
        }
    )


OFF = {"enable_tag_filtering": False}


def ask(server: Gateway, group: str, *tags: str, client: str = "curl/8") -> httpx.Response:
    body = {"model": group, "messages": [{"role": "user", "content": "Hi"}], "tags": list(tags)}
    url = f"{server.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers={"user-agent": client}, timeout=60)


@pytest.mark.parametrize(
    ("tags", "asked"),
    [
        (["free"], "free"),
        (["&eu"], "paid"),
        (["!free", "!paid"], "default"),
        ([], "default"),
        (["unheard-of"], "default"),
        (["route:free"], "free"),
        (["route:&eu"], "paid"),
    ],
)
def test_tags_choose_the_deployment(server, fake, tags, asked):
    assert ask(server, "assistant", *tags).status_code == 200
    assert fake.last.json["model"] == asked
    assert "tags" not in fake.last.json


@pytest.mark.parametrize(
    ("group", "tags", "client"),
    [
        ("assistant", ["free", "!free"], CLI),
        ("assistant", ["&unheard-of"], CLI),
        ("assistant", ["route:unheard-of"], CLI),
        ("closed", [], "curl/8"),
    ],
)
def test_a_request_that_may_go_nowhere_is_refused(server, fake, group, tags, client):
    answer = ask(server, group, *tags, client=client)
    assert answer.status_code == 403
    assert answer.json()["error"]["param"] == "tags"
    assert not fake.requests


@pytest.mark.parametrize("client", [CLI, "codex/0.9"])
def test_a_client_that_a_pattern_finds_goes_to_its_deployment(server, fake, client):
    assert ask(server, "coder", client=client).status_code == 200
    assert fake.last.json["model"] == "clients"


@pytest.mark.parametrize("client", ["curl/8", f"not {CLI}", CLI + "x" * 256])
def test_other_clients_go_to_the_default_deployments(server, fake, client):
    assert ask(server, "coder", client=client).status_code == 200
    assert fake.last.json["model"] == "others"


def test_patterns_keep_no_call_off_the_direct_lane_nor_reach_the_provider(server, fake):
    answer = ask(server, "closed", client=CLI)
    assert answer.headers["x-trunkline-lane"] == "direct"
    assert "tag_regex" not in fake.last.json


def test_a_group_that_fails_open_disregards_tags_that_leave_nobody(server, fake):
    assert ask(server, "open", "&unheard-of").status_code == 200
    assert fake.last.json["model"] == "default"


def test_a_group_may_turn_tags_off_for_itself(server):
    assert ask(server, "indifferent", "&unheard-of").status_code == 200


def test_a_client_cannot_bring_patterns_of_its_own(server):
    body = {"model": "closed", "messages": [], "tag_regex": [".*"]}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "tag_regex"


def test_a_pattern_that_is_none_is_named_with_its_place(gateway, fake):
    with pytest.raises(DidNotStart) as refused:
        gateway({"model_list": [entry(fake, "coder", "clients", tag_regex=["("])]})
    assert "model_list[0].litellm_params.tag_regex: expected a list of regular expressions" in str(
        refused.value
    )
