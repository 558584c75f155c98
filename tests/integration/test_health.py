"""Health: whether the process answers, whether calls can be served, whether the models work."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from tests.fakes import FakeAnthropic, FakeOpenAI, Hang, Hold, InvalidApiKey, Status
from tests.support.gateway import Gateways
from tests.support.providers import Providers

KEY = "sk-gateway-master-key"
AUTH = {"authorization": f"Bearer {KEY}"}
SECRET = "sk-provider-secret-key"


def deployment(group: str, model: str, info: dict | None = None, **params: object) -> dict:
    entry = {"model_name": group, "litellm_params": {"model": model, **params}}
    return entry | ({"model_info": info} if info else {})


@pytest.fixture(scope="module")
def openai(fakes: Providers):
    return fakes(FakeOpenAI, keys=[SECRET])


@pytest.fixture(scope="module")
def anthropic(fakes: Providers):
    return fakes(FakeAnthropic, keys=[SECRET])


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, openai, anthropic):
    here = {"api_base": openai.base_url, "api_key": SECRET}
    there = {"api_base": anthropic.url, "api_key": SECRET}
    dead = {"api_base": "http://127.0.0.1:9/v1", "api_key": SECRET}
    config = {
        "general_settings": {
            "master_key": KEY,
            "health_check_skip_disabled_background_models": True,
            "health_check_concurrency": 2,
        },
        "model_list": [
            deployment("talk", "openai/gpt-4o-mini", {"id": "talk-1"}, rpm=7, **here),
            deployment("think", "openai/gpt-5", {"health_check_max_tokens": 33}, **here),
            deployment("embed", "openai/text-embedding-3-small", **here),
            deployment("claude", "anthropic/claude-sonnet-4-5", **there),
            deployment("dead", "openai/gpt-4o", {"id": "dead-1"}, **dead),
            deployment("wrong-key", "openai/gpt-4o", **here | {"api_key": "sk-wrong-key-0000"}),
            deployment("unset", "openai/gpt-4o", api_key="os.environ/NOT_SET_ANYWHERE"),
            deployment("mock", "openai/any", mock_response="hi"),
            deployment("paint", "openai/gpt-image-1", **here),
            deployment(
                "paint-asked", "openai/gpt-image-1", {"health_check_params": {"n": 1}}, **here
            ),
            deployment("openai/*", "openai/*", {"id": "wild"}, **here),
            deployment(
                "own/*",
                "openai/*",
                {"id": "wild-named", "health_check_model": "openai/gpt-4o"},
                **here,
            ),
            deployment("quiet", "openai/gpt-4o", {"disable_background_health_check": True}, **here),
            deployment("slow", "openai/gpt-4o", {"health_check_timeout": 0.2}, **here),
        ],
    }
    return module_gateway(config)


def check(server, **query: str) -> tuple[int, dict]:
    answer = httpx.get(f"{server.url}/health", headers=AUTH, params=query, timeout=90)
    return answer.status_code, answer.json()


def named(report: dict, kind: str) -> dict[str, dict]:
    return {endpoint["model_name"]: endpoint for endpoint in report[f"{kind}_endpoints"]}


@pytest.mark.criterion("R4.6")
@pytest.mark.parametrize("path", ["/health/liveliness", "/health/liveness", "/health/readiness"])
def test_orchestrators_need_no_key(server, path):
    assert httpx.get(server.url + path).status_code == 200


@pytest.mark.criterion("R4.6")
def test_readiness_has_litellms_fields_and_says_what_is_there(server):
    body = httpx.get(f"{server.url}/health/readiness").json()
    assert (body["status"], body["db"]) == ("healthy", "connected")
    assert (body["models"], body["deployments"]) == (14, 13)
    assert SECRET not in json.dumps(body)


@pytest.mark.criterion("R4.6")
@pytest.mark.parametrize(
    "models", [[], [deployment("unset", "openai/gpt-4o", api_key="os.environ/NOT_SET_ANYWHERE")]]
)
def test_a_gateway_that_can_serve_nothing_lives_but_is_not_ready(gateway: Gateways, models):
    server = gateway({"model_list": models}, ready=False)
    while server.status("/health/liveliness") is None:
        assert server.process.poll() is None, server.log()
    assert server.status("/health/liveliness") == 200
    answer = httpx.get(f"{server.url}/health/readiness")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")


@pytest.mark.criterion("R4.6", "R11.1")
@pytest.mark.parametrize("path", ["/health", "/health/readiness/details"])
def test_nothing_is_told_of_the_models_health_without_a_key(server, openai, path):
    assert httpx.get(server.url + path).status_code == 401
    assert not openai.requests


@pytest.mark.criterion("R4.6")
def test_every_model_is_called_in_the_way_of_its_mode(server, openai, anthropic):
    status, report = check(server)
    assert status == 200
    healthy, unhealthy = named(report, "healthy"), named(report, "unhealthy")
    not_checked = named(report, "not_checked")
    assert set(healthy) == {
        "talk", "think", "embed", "claude", "mock", "paint-asked", "own/*", "slow"
    }  # fmt: skip
    assert set(unhealthy) == {"dead", "wrong-key", "unset"}
    assert set(not_checked) == {"paint", "openai/*"}
    for kind, endpoints in (("healthy", healthy), ("unhealthy", unhealthy)):
        assert report[f"{kind}_count"] == len(endpoints)

    by_model = {each.json["model"]: each for each in openai.requests if each.key == SECRET}
    assert by_model["gpt-4o-mini"].json["max_tokens"] == 1
    assert by_model["gpt-5"].json["max_completion_tokens"] == 33
    assert by_model["text-embedding-3-small"].path == "/v1/embeddings"
    assert len([each for each in openai.requests if each.path == "/v1/images/generations"]) == 1
    assert anthropic.last.path == "/v1/messages"

    assert healthy["talk"]["model"] == "openai/gpt-4o-mini"
    assert healthy["talk"]["model_id"] == "talk-1"
    assert healthy["talk"]["rpm"] == 7
    assert healthy["talk"]["mode"] == "chat"
    assert healthy["talk"]["x-ratelimit-remaining-requests"] == "9999"
    assert healthy["embed"]["mode"] == "embedding"
    assert "could not be reached" in unhealthy["dead"]["error"]
    assert unhealthy["wrong-key"]["exception_status"] == 401
    assert "NOT_SET_ANYWHERE" in unhealthy["unset"]["error"]
    assert "image_generation" in not_checked["paint"]["reason"]
    text = json.dumps(report)
    assert SECRET not in text
    assert "sk-wrong-key-0000" not in text


@pytest.mark.criterion("R4.6")
def test_one_group_or_one_deployment_can_be_checked_alone(server, openai):
    status, report = check(server, model="talk")
    assert (status, report["healthy_count"], len(openai.requests)) == (200, 1, 1)
    assert check(server, model="openai/gpt-4o-mini")[1]["healthy_count"] == 1
    assert check(server, model_id="talk-1")[1]["healthy_count"] == 1
    status, report = check(server, model_id="dead-1")
    assert (status, report["unhealthy_count"]) == (503, 1)
    assert check(server, model="nothing-of-ours")[0] == 404


@pytest.mark.criterion("R4.6")
@pytest.mark.parametrize("fault", [Status(500), InvalidApiKey(), Status(429), Hang()])
def test_a_model_that_fails_is_told_apart_from_those_that_work(server, openai, fault):
    openai.fault(fault, when=lambda request: b'gpt-4o"' in request.body, always=True)
    status, report = check(server, model="slow")
    assert (status, report["unhealthy_count"]) == (503, 1)
    (endpoint,) = report["unhealthy_endpoints"]
    assert endpoint["error"]
    assert check(server, model="talk")[1]["healthy_count"] == 1


@pytest.mark.criterion("R4.6")
async def test_models_are_called_side_by_side_but_not_all_at_once(server, openai):
    hold = Hold(after_chunks=0)
    openai.fault(hold, always=True)
    async with httpx.AsyncClient(timeout=90) as client:
        checking = asyncio.create_task(client.get(f"{server.url}/health", headers=AUTH))
        await openai.arrived(2, timeout=60)
        await asyncio.sleep(0.5)
        assert len(openai.requests) == 2
        hold.release()
        report = (await checking).json()
    assert report["healthy_count"] >= 6


@pytest.mark.criterion("R4.6")
def test_a_failed_check_costs_a_deployment_nothing(server, openai):
    openai.fault(Status(500), Status(500), Status(500), Status(500))
    for _ in range(4):
        assert check(server, model="talk")[0] == 503
    asked = {"model": "talk", "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx.post(f"{server.url}/v1/chat/completions", headers=AUTH, json=asked)
    assert answer.status_code == 200
    details = httpx.get(f"{server.url}/health/readiness/details", headers=AUTH).json()
    assert details["cooling_down"] == {}
    assert list(details["unusable"].values()) == [["NOT_SET_ANYWHERE"]]
