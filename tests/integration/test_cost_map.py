"""The price map is read anew while the gateway runs; what calls cost follows at once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes import FakeOpenAI, Tokens
from tests.support.gateway import Gateway, Gateways
from tests.support.providers import Providers

pytestmark = pytest.mark.criterion("R12.1")

KEY = "sk-master-of-the-prices"


@pytest.fixture(scope="module")
def fake(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "prices.json", 1e-6)


def written(file: Path, price: float | str) -> Path:
    entry = {"input_cost_per_token": price, "output_cost_per_token": 0, "mode": "chat"}
    other = file.with_suffix(".new")
    other.write_text(json.dumps({"gpt-4o": {**entry, "litellm_provider": "openai"}}))
    os.replace(other, file)
    return file


def config(fake: FakeOpenAI, **general: Any) -> dict[str, Any]:
    way = {"api_base": f"{fake.url}/v1", "api_key": "sk-upstream"}
    return {
        "model_list": [
            {"model_name": "gpt", "litellm_params": {"model": "openai/gpt-4o", **way}},
            {"model_name": "any/*", "litellm_params": {"model": "openai/*", **way}},
        ],
        "general_settings": {"master_key": KEY, **general},
    }


def cost(server: Gateway, fake: FakeOpenAI, model: str = "gpt") -> str | None:
    """Dollars of a call of a thousand tokens."""
    fake.answer("yes", usage=Tokens(input=1000, output=0))
    answer = httpx.post(
        f"{server.url}/v1/chat/completions",
        json={"model": model, "messages": [{"role": "user", "content": "?"}]},
        headers={"authorization": f"Bearer {KEY}"},
        timeout=30,
    )
    assert answer.status_code == 200
    return answer.headers.get("x-litellm-response-cost")


def reload(server: Gateway) -> httpx.Response:
    headers = {"authorization": f"Bearer {KEY}"}
    return httpx.post(f"{server.url}/model/cost_map/reload", headers=headers, timeout=30)


def test_new_prices_reach_the_next_call(gateway: Gateways, fake: FakeOpenAI, file: Path) -> None:
    server = gateway(config(fake, cost_map_path=str(file)))
    assert cost(server, fake) == cost(server, fake, "any/gpt-4o") == "0.001000000"
    written(file, 2e-6)
    assert cost(server, fake) == "0.001000000"
    answer = reload(server)
    assert answer.status_code == 200
    assert answer.json()["models_count"] == 1
    assert cost(server, fake) == cost(server, fake, "any/gpt-4o") == "0.002000000"


def test_a_bad_file_is_refused_and_the_old_prices_stay(
    gateway: Gateways, fake: FakeOpenAI, file: Path
) -> None:
    server = gateway(config(fake), env={"LITELLM_LOCAL_COST_MAP_PATH": str(file)})
    for price, content in (("much", None), (0, "{"), (0, "{}")):
        written(file, price)
        if content is not None:
            file.write_text(content)
        answer = reload(server)
        assert answer.status_code == 400
        assert str(file) in answer.json()["error"]["message"]
    assert "has no models" in answer.json()["error"]["message"]
    file.unlink()
    assert reload(server).status_code == 400
    assert cost(server, fake) == "0.001000000"


def test_without_a_file_the_packaged_map_is_read(gateway: Gateways, fake: FakeOpenAI) -> None:
    server = gateway(config(fake))
    before = cost(server, fake)
    assert reload(server).status_code == 200
    assert cost(server, fake) == before == "0.002500000"


def test_only_an_administrator_may_reload(gateway: Gateways, fake: FakeOpenAI) -> None:
    server = gateway(config(fake))
    answer = httpx.post(f"{server.url}/model/cost_map/reload", timeout=30)
    assert answer.status_code == 401
