"""What the README tells a newcomer to do first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx
import openai
import pytest
import yaml

from tests.support.gateway import Gateway, Gateways

CONFIG = Path(__file__).parents[2] / "examples" / "quickstart" / "config.yaml"
ANSWER = "Hello from Trunkline! No provider was asked."
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def quickstart(module_gateway: Gateways) -> Gateway:
    return module_gateway(CONFIG.read_text("utf-8"))


@pytest.fixture(scope="module")
def client(quickstart: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=quickstart.url, timeout=30) as client:
        yield client


def test_the_readme_shows_the_answer_that_the_quickstart_gives(client: httpx.Client) -> None:
    answer = client.post("/v1/chat/completions", json={"model": "hello", "messages": HI}).json()

    assert answer["choices"][0]["message"]["content"] == ANSWER
    assert ANSWER in (CONFIG.parents[2] / "README.md").read_text("utf-8")


def test_a_model_that_always_fails_is_answered_by_its_fallback(client: httpx.Client) -> None:
    answer = client.post("/v1/chat/completions", json={"model": "unreliable", "messages": HI})

    assert answer.json()["choices"][0]["message"]["content"] == ANSWER
    assert answer.headers["x-trunkline-retries"] == "1"
    assert answer.headers["x-trunkline-fallbacks"] == "1"


@pytest.mark.criterion("R1.1")
def test_the_same_model_is_spoken_to_with_openai_and_with_anthropic(quickstart: Gateway) -> None:
    of_openai = openai.OpenAI(base_url=f"{quickstart.url}/v1", api_key="any")
    of_anthropic = anthropic.Anthropic(base_url=quickstart.url, api_key="any")

    with of_openai, of_anthropic:
        chat = of_openai.chat.completions.create(model="hello", messages=HI)
        message = of_anthropic.messages.create(model="hello", max_tokens=100, messages=HI)

    assert chat.choices[0].message.content == message.content[0].text == ANSWER


def test_every_model_of_the_quickstart_is_listed_and_ready(client: httpx.Client) -> None:
    entries = yaml.safe_load(CONFIG.read_text("utf-8"))["model_list"]

    listed = [model["id"] for model in client.get("/v1/models").json()["data"]]

    assert sorted(listed) == sorted({entry["model_name"] for entry in entries})
    assert client.get("/health/readiness").json()["deployments"] == len(entries)
