"""What Prometheus fetches: retries, fallbacks and failures."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import FakeOpenAI, Hang, Status
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers

KEY = "sk-master"
ALLOWED = {"authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def provider(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


def configuration(provider: FakeOpenAI, **litellm_settings) -> dict:
    def entry(name: str, model: str, **params) -> dict:
        base = {"model": model, "api_base": f"{provider.url}/v1", "api_key": "sk-upstream"}
        return {
            "model_name": name,
            "litellm_params": base | params,
            "model_info": {"id": f"{name} deployment"},
        }

    return {
        "model_list": [
            entry("steady", "openai/gpt-4o"),
            entry("shaky", "openai/gpt-4o-mini"),
            entry("hasty", "openai/gpt-4o-mini", timeout=0.3),
            entry("openai/*", "openai/*"),
        ],
        "router_settings": {
            "num_retries": 1,
            "retry_after": 0,
            "disable_cooldowns": True,
            "fallbacks": [{"shaky": ["hasty", "steady"]}],
        },
        "litellm_settings": {"callbacks": ["prometheus"], **litellm_settings},
        "general_settings": {"master_key": KEY},
    }


@pytest.fixture
def server(gateway: Gateways, provider: FakeOpenAI) -> Gateway:
    return gateway(configuration(provider))


def ask(server: Gateway, group: str) -> httpx.Response:
    body = {"model": group, "messages": [{"role": "user", "content": "Hi"}]}
    url = f"{server.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers=ALLOWED, timeout=60)


def counted(server: Gateway, name: str) -> dict[frozenset[tuple[str, str]], float]:
    """The samples of a metric by their labels."""
    text = httpx.get(f"{server.url}/metrics", headers=ALLOWED, timeout=60).text
    return {
        frozenset(sample.labels.items()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


SHAKY = frozenset(
    {
        ("requested_model", "shaky"),
        ("litellm_model_name", "openai/gpt-4o-mini"),
        ("model_id", "shaky deployment"),
        ("api_provider", "openai"),
    }
)
OVERLOADED = frozenset(
    {("exception_status", "503"), ("exception_class", "ServiceUnavailableError")}
)
LATE = frozenset({("exception_status", "408"), ("exception_class", "Timeout")})


@pytest.mark.criterion("R14.6")
def test_a_retry_is_counted_with_the_failure_that_it_is_for(server, provider):
    provider.fault(Status(503))
    assert ask(server, "shaky").status_code == 200
    assert counted(server, "trunkline_retries_total") == {SHAKY | OVERLOADED: 1}
    failures = counted(server, "litellm_deployment_failure_responses_total")
    assert failures == {SHAKY | OVERLOADED: 1}


@pytest.mark.criterion("R14.6")
def test_fallbacks_are_counted_as_failed_and_successful(server, provider):
    provider.fault(Status(503), Status(503), Hang(), Hang())
    assert ask(server, "shaky").json()["model"] == "gpt-4o"
    asked = OVERLOADED | {("requested_model", "shaky")}
    failed = counted(server, "litellm_deployment_failed_fallbacks_total")
    assert failed == {asked | {("fallback_model", "hasty")}: 1}
    successful = counted(server, "litellm_deployment_successful_fallbacks_total")
    assert successful == {asked | {("fallback_model", "steady")}: 1}
    failures = counted(server, "litellm_deployment_failure_responses_total")
    hasty = {("requested_model", "hasty"), ("model_id", "hasty deployment")}
    assert failures[SHAKY | OVERLOADED] == 2
    assert [count for labels, count in failures.items() if labels >= hasty | LATE] == [2]


@pytest.mark.criterion("R14.6")
def test_names_that_clients_make_up_become_no_labels(server, provider):
    for number in range(3):
        provider.fault(Status(503))
        assert ask(server, f"openai/made-up-{number}").status_code == 200
    retries = counted(server, "trunkline_retries_total")
    assert [dict(labels)["litellm_model_name"] for labels in retries] == ["openai/*"]
    assert list(retries.values()) == [3]


@pytest.mark.criterion("R14.6")
def test_all_worker_processes_count_together(gateway: Gateways, provider: FakeOpenAI):
    server = gateway(configuration(provider), arguments=["--workers", "3"])
    for _ in range(12):
        provider.fault(Status(503))
        assert ask(server, "shaky").status_code == 200
    for _ in range(6):
        assert counted(server, "trunkline_retries_total") == {SHAKY | OVERLOADED: 12}


def test_the_counts_need_a_key_unless_told_otherwise(
    server, gateway: Gateways, provider: FakeOpenAI
):
    assert httpx.get(f"{server.url}/metrics").status_code == 401
    open_to_all = gateway(configuration(provider, require_auth_for_metrics_endpoint=False))
    answer = httpx.get(f"{open_to_all.url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")


def test_without_prometheus_among_the_callbacks_nothing_is_counted(
    gateway: Gateways, provider: FakeOpenAI
):
    server = gateway(configuration(provider, callbacks=[]))
    answer = httpx.get(f"{server.url}/metrics", headers=ALLOWED)
    assert answer.status_code == 404
    assert "prometheus" in answer.json()["error"]["message"]


def test_a_scraper_that_speaks_openmetrics_gets_it(server, provider):
    headers = ALLOWED | {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = httpx.get(f"{server.url}/metrics", headers=headers)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
