"""What calls leave behind: nothing, however large they were and however they ended."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.fakes import CutMidStream, FakeOpenAI, Fault, Status
from tests.support import bundles
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers

MEGABYTE = 1_000_000
PROMPT = "x" * (5 * MEGABYTE)
CALLS = 30
ALLOWED = CALLS * len(PROMPT) // 2
"""Bytes that a process may grow by: far less than the prompts of all calls."""


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def server(module_gateway: Gateways, openai: FakeOpenAI) -> Gateway:
    direct = {"model": "openai/gpt-4o-mini", "api_base": openai.base_url, "api_key": "sk-up"}
    server = module_gateway(
        {
            "model_list": [
                {"model_name": "direct", "litellm_params": direct},
                {"model_name": "litellm", "litellm_params": {**direct, "lane": "litellm"}},
            ],
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        },
        # What is freed goes back to the system at once, so that growth is what is not freed.
        env={"MALLOC_MMAP_THRESHOLD_": "65536"},
    )
    assert ask(server, "litellm") == 200  # LiteLLM is loaded once it has answered
    return server


def resident(server: Gateway) -> int:
    """Bytes of memory that the serving process holds."""
    (worker,) = server.workers()
    pages = Path(f"/proc/{worker}/statm").read_text().split()[1]
    return int(pages) * 4096


def ask(server: Gateway, model: str, *, stream: bool = False) -> int:
    messages = [{"role": "user", "content": PROMPT}]
    body = {"model": model, "messages": messages, "stream": stream}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
    return answer.status_code


def growth(server: Gateway, model: str, status: int, *, stream: bool = False) -> int:
    """How much the process grew over many calls, once it has done some."""
    for _ in range(5):
        assert ask(server, model, stream=stream) == status
    before = resident(server)
    for _ in range(CALLS):
        ask(server, model, stream=stream)
    return resident(server) - before


LANES = pytest.mark.parametrize("model", ["direct", "litellm"])


@LANES
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fault", "status"), [(None, 200), (Status(500), 500)])
def test_a_large_prompt_is_given_up_with_its_call(
    server: Gateway,
    openai: FakeOpenAI,
    model: str,
    fault: Fault | None,
    status: int,
    stream: bool,
):
    openai.answer("Here it is.", always=True)
    openai.fault(fault, always=True)
    assert growth(server, model, status, stream=stream) < ALLOWED


@LANES
def test_a_stream_that_broke_off_leaves_nothing(server: Gateway, openai: FakeOpenAI, model: str):
    openai.answer("Here it is.", always=True)
    openai.fault(CutMidStream(after_chunks=2), always=True)
    assert growth(server, model, 200, stream=True) < ALLOWED


def test_a_query_of_a_user_with_a_long_name_is_not_remembered(
    module_gateway: Gateways, tmp_path: Path
) -> None:
    files = bundles.quality_files({"easy": 0.5, "hard": 0.9}, {"easy": 0.1, "hard": 1.0})
    path = bundles.write(files, tmp_path / "bundle")
    models = [bundles.mock("easy", "easy"), bundles.mock("hard", "hard")]
    config = bundles.routed(models, "trunkline-cluster", model_path=str(path))
    server = module_gateway(config, env={"MALLOC_MMAP_THRESHOLD_": "65536"})

    def ask_as(user: str) -> int:
        messages = [{"role": "user", "content": "Hello"}]
        body = {"model": "auto", "messages": messages, "user": user}
        return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60).status_code

    assert {ask_as(f"{number}{PROMPT}") for number in range(5)} == {200}
    before = resident(server)
    assert {ask_as(f"{number}{PROMPT}") for number in range(5, 5 + CALLS)} == {200}
    assert resident(server) - before < ALLOWED


def test_a_model_that_does_not_exist_costs_nothing(server: Gateway):
    assert growth(server, "none", 404) < ALLOWED
