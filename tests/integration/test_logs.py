"""What stands in the logs, and what never does."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import pytest

from tests.fakes import CutMidStream, FakeAnthropic, FakeCohere, FakeOpenAI, Status
from tests.support.gateway import Gateways
from tests.support.litellm_targets import KINDS, target
from tests.support.providers import Providers
from trunkline.settings.strategies import BUILT_IN, LEARNED

MASTER_KEY = "canary of the master"
KEYS = {name: f"canary-of-{name}" for name in ("openai", "cohere", "anthropic", "nobody")}
SECRETS = {
    *KEYS.values(),
    MASTER_KEY,
    "canary-in-header",
    "canary-of-a-target",
    "canary-of-the-environment",
    "canary-of-a-client",
}
PROMPT = "canary in a prompt"


def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def mock(name: str) -> dict[str, Any]:
    return entry(name, "openai/gpt-4o-mini", mock_response="Hello!")


@pytest.mark.criterion("R1.5", "R15.6")
def test_the_start_tells_strategies_routes_and_models_once_for_all_workers(
    gateway: Gateways,
) -> None:
    needy = entry("needy", "openai/gpt-4o", api_key="os.environ/NOT_SET_ANYWHERE")
    config = {
        "model_list": [mock("fast"), mock("fast"), needy],
        "litellm_settings": {"scim_admin_group": "staff"},
        "router_settings": {"routing_strategy": "least-busy"},
    }

    server = gateway(config, arguments=["--workers", "2"])
    log = server.log()

    assert f"listening on {server.url} (2 worker processes)" in log
    assert f"strategies registered: {', '.join((*BUILT_IN, *LEARNED))}; in force: least-busy" in log
    assert "models registered: fast (2), needy (1)" in log
    for once in (
        "strategies registered",
        "routes registered",
        "models registered",
        "the environment variable NOT_SET_ANYWHERE isn't set; this deployment of needy",
        "litellm_settings.scim_admin_group: not supported yet",
        "no master key is configured",
    ):
        assert log.count(once) == 1


def test_each_line_is_a_json_object_where_that_is_configured(
    gateway: Gateways, fakes: Providers
) -> None:
    openai = fakes(FakeOpenAI)
    openai.fault(Status(500), CutMidStream(after_chunks=2))
    config = {
        "model_list": [entry("fast", "openai/gpt-4o", api_base=openai.base_url, api_key="sk-x")],
        "litellm_settings": {"json_logs": True, "scim_admin_group": "staff", "num_retries": 0},
        "router_settings": {"allowed_fails": 0, "cooldown_time": 0.001},
    }

    server = gateway(config)
    for stream in (False, True):
        ask(server.url, "fast", stream=stream)
    assert server.stop() == 0

    spoken, *lines = server.log().splitlines()
    events = [json.loads(line) for line in lines]
    assert spoken.startswith("Trunkline listening on")
    assert all(each.keys() >= {"time", "level", "logger", "message"} for each in events)
    assert {each["level"] for each in events} == {"info", "warning"}
    cooled = [each for each in events if "cools down" in each["message"]]
    assert [each["error"] for each in cooled] == ["internal_server", "connection"]
    assert [each["call_id"] for each in events if "stream failed" in each["message"]]


@pytest.mark.criterion("R11.1")
@pytest.mark.parametrize("verbose", [False, True])
def test_no_secret_is_logged_however_calls_fail(
    gateway: Gateways, fakes: Providers, verbose: bool
) -> None:
    server = gateway(
        {
            "model_list": failing(fakes),
            "router_settings": {
                "num_retries": 1,
                "retry_after": 0,
                "allowed_fails": 0,
                "cooldown_time": 0.001,
            },
            "litellm_settings": {"set_verbose": verbose},
            "general_settings": {
                "master_key": MASTER_KEY,
                "pass_through_endpoints": [
                    {
                        "path": "/away",
                        "target": "http://127.0.0.1:9/",
                        "headers": {"X-Team": "canary-of-a-target"},
                    }
                ],
            },
        },
        env={"GROQ_API_KEY": "canary-of-the-environment"},
    )

    statuses = set()
    for name in KEYS:
        for path in ("/v1/chat/completions", "/v1/messages"):
            for stream in (False, True):
                statuses.add(ask(server.url, name, path, stream=stream).status_code)
    statuses.add(ask(server.url, "openai", "/away").status_code)
    statuses.add(ask(server.url, "openai", key="canary-of-a-client").status_code)

    assert statuses >= {401, 429, 503}
    assert server.stop() == 0
    log = server.log()
    assert "cools down" in log
    assert [secret for secret in SECRETS if secret in log] == []
    assert PROMPT not in log


SAID = "canary-in-an-answer"
ASKED = {
    "/v1/chat/completions": {
        "messages": [{"role": role, "content": PROMPT} for role in ("system", "user")]
    },
    "/v1/messages": {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 9},
    "/v1/responses": {"input": PROMPT, "instructions": PROMPT},
}


@pytest.mark.criterion("R15.3")
def test_a_verbose_log_tells_litellm_s_steps_and_nothing_of_prompts_or_answers(
    gateway: Gateways, fakes: Providers
) -> None:
    targets = {name: target(fakes, name) for name in KINDS}
    models = {
        f"{name} {lane}": {**deployed.params, "lane": lane}
        for name, (_, deployed) in targets.items()
        for lane in ("auto", "litellm")
    }
    server = gateway(
        {
            "model_list": [entry(name, **params) for name, params in models.items()],
            "litellm_settings": {"set_verbose": True, "num_retries": 0},
            "router_settings": {"disable_cooldowns": True},
        },
        env={"OPENAI_LOG": "debug", "LITELLM_LOG": "DEBUG"},
    )

    for fake, _ in targets.values():
        fake.answer(SAID, always=True)
    for path, name, stream in itertools.product(ASKED, models, (False, True)):
        assert SAID in tell(server.url, name, path, stream=stream), (path, name, stream)
    for fake, _ in targets.values():
        fake.fault(Status(400, f"I dislike {PROMPT}"), CutMidStream(after_chunks=4), always=True)
    for name, stream in itertools.product(models, (False, True)):
        tell(server.url, name, "/v1/chat/completions", stream=stream)

    assert server.stop() == 0
    log = server.log()
    assert "checking potential_model_names in litellm.model_cost: …" in log
    assert [canary for canary in (PROMPT, SAID) if canary in log] == []


def tell(url: str, model: str, path: str, *, stream: bool) -> str:
    body = {"model": model, "stream": stream, **ASKED[path]}
    with httpx.stream("POST", url + path, json=body, timeout=60) as answer:
        try:
            return answer.read().decode()
        except httpx.RemoteProtocolError:
            return "cut"


def failing(fakes: Providers) -> list[dict[str, Any]]:
    """Deployments in both lanes whose providers fail in several ways and tell what they were sent.

    One has no server at all.
    """
    openai, cohere, anthropic = fakes(FakeOpenAI), fakes(FakeCohere), fakes(FakeAnthropic)
    for fake in (openai, cohere, anthropic):
        told = f"{KEYS[fake.name]} canary-in-header {PROMPT}"
        fake.fault(Status(500, told), Status(401, {"error": {"message": told}}), CutMidStream())
        fake.fault(Status(429, told), Status(401, told), always=True)
    header = {"extra_headers": {"X-Team": "canary-in-header"}}
    where = {
        "openai": ("openai/gpt-4o", openai.base_url),
        "cohere": ("cohere/command-a-03-2025", cohere.base_url),
        "anthropic": ("anthropic/claude-sonnet-4-5", anthropic.url),
        "nobody": ("openai/gpt-4o", "http://127.0.0.1:9/v1?key=canary-of-nobody"),
    }
    return [
        entry(name, model, api_base=base, api_key=KEYS[name], **header)
        for name, (model, base) in where.items()
    ]


def ask(
    url: str,
    model: str,
    path: str = "/v1/chat/completions",
    *,
    stream: bool = False,
    key: str = MASTER_KEY,
) -> httpx.Response:
    content = [{"role": "user", "content": PROMPT}]
    body = {"model": model, "messages": content, "max_tokens": 9, "stream": stream}
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(url + path, json=body, headers=headers, timeout=60)
