"""What became of a call is told to a collector, and nothing of what was said in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlops.sources import otlp
from tests.fakes import CutMidStream, FakeOpenAI, Status
from tests.fakes.collector import FakeCollector
from tests.support.bundles import routed
from tests.support.gateway import Gateway, Gateways, free_port
from tests.support.providers import Providers
from tests.support.workflows import LARGE, SMALL, candidates, openai_entry

KEY = "sk-master-canary"
PROMPT = "Tell me the secret canary."
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}


@pytest.fixture
def collector(fakes: Providers) -> FakeCollector:
    return fakes(FakeCollector)


@pytest.fixture
def provider(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture
def server(gateway: Gateways, collector: FakeCollector, provider: FakeOpenAI) -> Gateway:
    return gateway(config(provider), env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **SOON})


def config(provider: FakeOpenAI, **more: Any) -> dict[str, Any]:
    def model(name: str, of: str) -> dict[str, Any]:
        params = {"model": f"openai/{of}", "api_base": provider.base_url, "api_key": "sk-canary"}
        return {"model_name": name, "litellm_params": params, "model_info": {"id": f"the-{of}"}}

    return {
        "model_list": [model("gpt", "gpt-4o"), model("other", "gpt-4o-mini")],
        "router_settings": {"fallbacks": [{"gpt": ["other"]}], "num_retries": 0},
        "general_settings": {"master_key": KEY},
        **more,
    }


def ask(server: Gateway, *, key: str = KEY, headers: Any = (), **body: Any) -> httpx.Response:
    messages = [{"role": "user", "content": PROMPT}]
    return httpx.post(
        f"{server.url}/v1/chat/completions",
        json={"model": "gpt", "messages": messages, **body},
        headers={"authorization": f"Bearer {key}", **dict(headers)},
        timeout=30,
    )


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def told(collector: FakeCollector, number: int) -> list[dict[str, Any]]:
    until(lambda: len(collector.spans) >= number)
    assert len(collector.spans) == number
    return collector.spans


@pytest.mark.criterion("R10.5")
def test_a_call_and_its_attempt_are_told(server: Gateway, collector: FakeCollector) -> None:
    began = time.time_ns()
    answer = ask(server)
    root, attempt = told(collector, 2)
    call_id = answer.headers["x-trunkline-call-id"]
    assert root["name"] == "POST /v1/chat/completions"
    assert (root["kind"], attempt["kind"]) == ("SPAN_KIND_SERVER", "SPAN_KIND_CLIENT")
    assert root["traceId"] == attempt["traceId"] == call_id
    assert "parentSpanId" not in root
    assert attempt["parentSpanId"] == root["spanId"]
    usage = answer.json()["usage"]
    assert root["attributes"] == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt",
        "gen_ai.response.model": "openai/gpt-4o",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": usage["prompt_tokens"],
        "gen_ai.usage.output_tokens": usage["completion_tokens"],
        "trunkline.call_id": call_id,
        "trunkline.label": "gpt",
        "trunkline.deployment": "the-gpt-4o",
        "trunkline.fallbacks": 0,
        "trunkline.stream": False,
    }
    assert attempt["name"] == "chat openai/gpt-4o"
    assert attempt["attributes"]["trunkline.lane"] == "direct"
    times = [
        began,
        int(root["startTimeUnixNano"]),
        int(attempt["startTimeUnixNano"]),
        int(attempt["endTimeUnixNano"]),
        int(root["endTimeUnixNano"]),
        time.time_ns(),
    ]
    # The clocks of both processes are one, but for its adjustments.
    assert all(a <= b + 5_000_000 for a, b in pairwise(times))
    (resource,) = {str(each["resource"]) for each in collector.resources}
    assert "'trunkline'" in resource


def test_attempts_that_failed_are_told_with_what_stood_in(
    server: Gateway, collector: FakeCollector, provider: FakeOpenAI
) -> None:
    provider.fault(Status(429))
    assert ask(server, stream=True).status_code == 200
    root, first, second = told(collector, 3)
    assert first["attributes"]["error.type"] == "rate_limit"
    assert first["attributes"]["http.response.status_code"] == 429
    assert first["status"] == {"code": "STATUS_CODE_ERROR"}
    assert second["attributes"]["gen_ai.request.model"] == "openai/gpt-4o-mini"
    assert not second["status"]
    assert [event["name"] for event in second["events"]] == ["trunkline.first_chunk"]
    assert root["attributes"]["trunkline.fallbacks"] == 1
    assert root["attributes"]["trunkline.label"] == "other"
    assert root["attributes"]["trunkline.stream"] is True
    # What training makes of it: one call, of the model that answered.
    calls = [
        each for found in collector.resources for each in otlp.calls({"resourceSpans": [found]})
    ]
    assert [(each.model, each.status) for each in calls] == [("other", "ok")]


def test_calls_of_a_workflow_are_told_below_the_one_they_answer(
    gateway: Gateways, collector: FakeCollector, provider: FakeOpenAI, tmp_path: Path
) -> None:
    models = [openai_entry(provider, SMALL, "mixed"), openai_entry(provider, LARGE)]
    automix = routed(models, "llmrouter-automix", llm_data_path=candidates(tmp_path))
    server = gateway(automix, env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **SOON})
    answer = ask(server, model="auto")
    calls = int(answer.headers["x-trunkline-calls"])
    assert calls > 2
    root, *others = told(collector, 1 + 2 * calls)
    inner = [span for span in others if span["kind"] == "SPAN_KIND_INTERNAL"]
    assert {span["name"] for span in inner} == {"draft", "verify"}
    assert {span["parentSpanId"] for span in inner} == {root["spanId"]}
    attempts = [span for span in others if span["kind"] == "SPAN_KIND_CLIENT"]
    # Each has one of its own, also that whose answer was taken.
    assert sorted(a["parentSpanId"] for a in attempts) == sorted(s["spanId"] for s in inner)
    assert root["attributes"]["trunkline.label"] == answer.headers["x-trunkline-models"]
    seen = list(otlp.calls({"resourceSpans": collector.resources}))
    assert [(each.call_id, each.model) for each in seen] == [
        (answer.headers["x-trunkline-call-id"], SMALL)
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": f"00-{TRACE}-{SPAN}-01"},
        {"X-Amzn-Trace-Id": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=1"},
        {
            "X-Amzn-Trace-Id": f"Root=1-{'5' * 8}-{'5' * 24};Parent={'5' * 16};Sampled=1",
            "traceparent": f"00-{TRACE}-{SPAN}-01",
        },
    ],
)
@pytest.mark.criterion("R10.5")
def test_a_call_belongs_to_the_trace_that_it_names(
    server: Gateway, collector: FakeCollector, headers: dict[str, str]
) -> None:
    ask(server, headers=headers)
    root, attempt = told(collector, 2)
    assert (root["traceId"], root["parentSpanId"]) == (TRACE, SPAN)
    assert attempt["traceId"] == TRACE


@pytest.mark.parametrize("name", ["traceparent", "X-Amzn-Trace-Id"])
@pytest.mark.parametrize("value", ["", "nonsense", "00-0-0-01", f"00-{TRACE}-{SPAN}", "é" * 300])
def test_nonsense_in_the_place_of_a_trace_is_none(
    server: Gateway, collector: FakeCollector, name: str, value: str
) -> None:
    answer = ask(server, headers={name: value.encode("latin-1")})
    root, _ = told(collector, 2)
    assert root["traceId"] == answer.headers["x-trunkline-call-id"]


def test_what_a_client_leaves_unsampled_is_not_told(
    server: Gateway, collector: FakeCollector
) -> None:
    ask(server, headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})
    ask(server)
    assert TRACE not in {span["traceId"] for span in told(collector, 2)}


def test_refused_calls_are_told_without_blaming_the_gateway(
    server: Gateway, collector: FakeCollector, provider: FakeOpenAI
) -> None:
    assert ask(server, key="sk-wrong-canary").status_code == 401
    assert ask(server, model="unknown").status_code == 404
    provider.fault(CutMidStream(after_chunks=1))
    ask(server, stream=True)
    refused, missing, cut, attempt = told(collector, 4)
    assert refused["attributes"]["error.type"] == "AuthenticationFailed"
    assert missing["attributes"]["gen_ai.request.model"] == "unknown"
    assert not refused["status"]
    assert not missing["status"]
    assert cut["status"] == attempt["status"] == {"code": "STATUS_CODE_ERROR"}


def test_nothing_that_was_said_and_no_key_is_told(
    server: Gateway, collector: FakeCollector, provider: FakeOpenAI
) -> None:
    provider.answer("the canary's answer")
    provider.fault(None, Status(500, {"error": {"message": "canary of an error"}}))
    for stream in (False, True):
        ask(server, stream=stream, user="u")
    ask(server, key="sk-wrong-canary")
    told(collector, 6)
    for request in collector.requests:
        assert b"canary" not in request.body


def test_a_collector_that_is_gone_costs_no_call(gateway: Gateways, provider: FakeOpenAI) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    server = gateway(config(provider), env={"OTEL_EXPORTER_OTLP_ENDPOINT": nowhere, **SOON})
    assert all(ask(server).status_code == 200 for _ in range(20))
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 20


def test_what_is_configured_wrongly_costs_the_traces_alone(
    gateway: Gateways, provider: FakeOpenAI
) -> None:
    wrong = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=the-secret",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
    }
    server = gateway(config(provider), env=wrong)
    assert ask(server).status_code == 200
    assert server.stop() == 0
    assert "the-secret" not in server.log()


def test_the_ledger_knows_the_trace_and_callbacks_turn_traces_on(
    gateway: Gateways, collector: FakeCollector, provider: FakeOpenAI, tmp_path: Path
) -> None:
    general = {"master_key": KEY, "salt_key": "s", "data_directory": str(tmp_path)}
    told_by = config(provider, litellm_settings={"callbacks": ["otel"]}, general_settings=general)
    server = gateway(
        told_by, env={"OTEL_ENDPOINT": collector.url, "OTEL_HEADERS": "x-team=a%20b", **SOON}
    )
    ask(server, headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    told(collector, 2)
    assert collector.last.headers["x-team"] == "a b"
    headers = {"authorization": f"Bearer {KEY}"}

    def row() -> list[dict[str, Any]]:
        found = httpx.get(f"{server.url}/spend/logs", headers=headers, timeout=30).json()
        return [
            each
            for each in found
            if each.get("metadata", {}).get("trace_id") == TRACE or each.get("trace_id") == TRACE
        ]

    until(lambda: len(row()) == 1)


def test_traces_are_off_unless_somebody_asks(
    gateway: Gateways, collector: FakeCollector, provider: FakeOpenAI
) -> None:
    off = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SDK_DISABLED": "true", **SOON}
    for env in ({}, off):
        server = gateway(config(provider), env=env)
        assert ask(server).status_code == 200
        maps = Path(f"/proc/{server.workers()[0]}/maps").read_text()
        assert "protobuf" not in maps
        server.stop()
    assert not collector.requests
