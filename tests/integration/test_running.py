"""Starting, stopping and refusing to start."""

from __future__ import annotations

import os
import signal
import socket
import threading

import httpx
import pytest

from tests.fakes import FakeOpenAI, Hold
from tests.support.gateway import Gateways, free_port, trunkline, write_config
from tests.support.providers import Providers

MOCK = {
    "model_list": [
        {
            "model_name": "fast",
            "litellm_params": {"model": "openai/gpt-4o-mini", "mock_response": "Hello!"},
        }
    ]
}
ASK = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}


def served_by(fake: FakeOpenAI) -> dict:
    params = {"model": "openai/gpt-4o-mini", "api_base": f"{fake.url}/v1", "api_key": "sk-upstream"}
    return {"model_list": [{"model_name": "fast", "litellm_params": params}]}


@pytest.mark.criterion("R1.5", "R15.6")
def test_the_start_is_logged_with_strategies_routes_and_models(gateway: Gateways):
    server = gateway(MOCK)
    log = server.log()
    assert f"listening on {server.url}" in log
    for registered in ("simple-shuffle", "least-busy", "cost-based-routing", "operations", "fast"):
        assert registered in log


def test_a_stop_lets_the_streams_under_way_finish(gateway: Gateways, fakes: Providers):
    openai = fakes(FakeOpenAI)
    hold = Hold(after_chunks=2)
    openai.answer("one two three four")
    openai.fault(hold)
    server = gateway(served_by(openai))
    with httpx.stream(
        "POST", f"{server.url}/v1/chat/completions", json={**ASK, "stream": True}, timeout=30
    ) as answer:
        lines = answer.iter_lines()
        next(lines)
        server.signal(signal.SIGTERM)
        threading.Timer(0.5, hold.release).start()
        rest = "".join(lines)
    assert "four" in rest
    assert rest.endswith("data: [DONE]")
    assert server.wait() == 0


def test_a_stop_cuts_what_outlasts_the_drain(gateway: Gateways, fakes: Providers):
    openai = fakes(FakeOpenAI)
    openai.fault(Hold(after_chunks=2))
    server = gateway(served_by(openai) | {"general_settings": {"drain_seconds": 1}})
    with httpx.stream(
        "POST", f"{server.url}/v1/chat/completions", json={**ASK, "stream": True}, timeout=30
    ) as answer:
        next(answer.iter_lines())
        assert server.stop() == 0


def test_workers_share_the_port(gateway: Gateways):
    server = gateway(MOCK, arguments=["--workers", "2"])
    with httpx.Client() as client:
        for _ in range(20):
            answer = client.post(f"{server.url}/v1/chat/completions", json=ASK)
            assert answer.json()["choices"][0]["message"]["content"] == "Hello!"
    assert server.stop() == 0


def test_a_worker_that_dies_is_replaced(gateway: Gateways):
    server = gateway(MOCK)
    children = f"/proc/{server.process.pid}/task/{server.process.pid}/children"
    with open(children) as listed:
        worker = int(listed.read().split()[0])
    os.kill(worker, signal.SIGKILL)
    server.wait_until_ready()
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=ASK)
    assert answer.status_code == 200


def test_a_port_in_use_is_one_clear_line(tmp_path):
    config = write_config(tmp_path, MOCK)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = trunkline("serve", "--config", str(config), "--port", str(port), folder=tmp_path)
    assert ended.returncode == 2
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_missing_file_is_one_clear_line(tmp_path):
    ended = trunkline("serve", "--config", "nowhere.yaml", folder=tmp_path)
    assert ended.returncode == 2
    assert "nowhere.yaml" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.criterion("R1.5")
def test_a_wrong_configuration_says_where_and_what(tmp_path):
    config = write_config(
        tmp_path,
        """
model_list:
  - model_name: fast
    litellm_params:
      model: openai/gpt-4o-mini
      timeout: soon
router_settings:
  fallbacks: [{fast: [missing-model]}]
""",
    )
    for command in (["serve", "--config"], ["config", "check"]):
        ended = trunkline(*command, str(config), folder=tmp_path)
        assert ended.returncode == 2
        assert "config.yaml:6: model_list[0].litellm_params.timeout" in ended.stderr
        assert "missing-model" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_without_a_master_key_only_loopback_is_served(tmp_path):
    config = write_config(tmp_path, MOCK)
    ended = trunkline(
        *("serve", "--config", str(config), "--host", "0.0.0.0", "--port", str(free_port())),
        folder=tmp_path,
    )
    assert ended.returncode == 2
    assert "master_key" in ended.stderr


def test_a_variable_that_is_missing_costs_its_model_alone(gateway: Gateways):
    missing = {"model": "openai/gpt-4o", "api_key": "os.environ/NOT_SET_ANYWHERE"}
    server = gateway(
        {"model_list": [*MOCK["model_list"], {"model_name": "smart", "litellm_params": missing}]}
    )
    assert "NOT_SET_ANYWHERE" in server.log()
    url = f"{server.url}/v1/chat/completions"
    assert httpx.post(url, json=ASK).status_code == 200
    refused = httpx.post(url, json={**ASK, "model": "smart"})
    assert refused.status_code == 503
    assert "NOT_SET_ANYWHERE" in refused.json()["error"]["message"]
