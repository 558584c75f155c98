"""Models added over the API to running gateways: served by all, at once, and after a restart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes import FakeOpenAI
from tests.support.bundles import knn_files, mock, routed, write
from tests.support.gateway import Gateways
from tests.support.management import MASTER, MODEL, Management
from tests.support.providers import Providers
from tests.support.redis import RedisServer, redis_server

SECRET = "planted-provider-secret-4711"
NEW = {
    "model_name": "added",
    "litellm_params": {"model": "openai/x", "mock_response": "Added!", "api_key": SECRET},
}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def config(database_url: str, folder: Path, **router: Any) -> dict[str, Any]:
    general = {"master_key": MASTER, "salt_key": "salt", "store_model_in_db": True}
    where = {"database_url": database_url} if database_url else {"data_directory": str(folder)}
    return {
        "general_settings": {**general, **where},
        "router_settings": router,
        "model_list": [MODEL],
    }


def within(seconds: float, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def said(at: Management, model: str) -> str | int:
    """What a model answers, or the status where it doesn't."""
    answer = at.chat(model)
    if answer.status_code != 200:
        return answer.status_code
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def db_models(at: Management) -> dict[str, bool]:
    entries = at.ask("/model/info")["data"]
    return {entry["model_name"]: entry["model_info"]["db_model"] for entry in entries}


@pytest.mark.criterion("R4.1")
def test_a_model_that_is_added_at_one_gateway_answers_at_all_within_a_second(
    gateway: Gateways, redis: RedisServer, database_url: str, tmp_path: Path
) -> None:
    settings = config(database_url, tmp_path, redis_url=redis.url)
    one, other = (Management(gateway(settings).url) for _ in range(2))
    assert said(other, "added") == 404
    id = one.ask("/model/new", NEW)["model_id"]
    assert said(one, "added") == "Added!"
    within(1.0, lambda: said(other, "added") == "Added!")
    assert db_models(one) == db_models(other) == {"fast": False, "added": True}

    changed = {"mock_response": "Changed!"}
    other.ask("/model/update", {"model_info": {"id": id}, "litellm_params": changed})
    assert said(other, "added") == "Changed!"
    within(1.0, lambda: said(one, "added") == "Changed!")

    one.ask("/model/delete", {"id": id})
    assert said(one, "added") == 404
    within(1.0, lambda: said(other, "added") == 404)
    assert said(one, "fast") == said(other, "fast") == "Hello!"


def test_a_model_that_was_added_is_there_after_a_restart_and_no_log_tells_its_secret(
    gateway: Gateways, database_url: str, tmp_path: Path
) -> None:
    settings = config(database_url, tmp_path)
    first = gateway(settings)
    Management(first.url).ask("/model/new", NEW)
    assert first.stop() == 0
    second = gateway(settings)
    at = Management(second.url)
    assert said(at, "added") == "Added!"
    assert SECRET not in at.send("/model/info").text
    assert SECRET not in first.log() + second.log()


def test_processes_that_share_only_the_database_see_an_added_model_before_long(
    gateway: Gateways, tmp_path: Path
) -> None:
    settings = config("", tmp_path)
    one, other = (Management(gateway(settings).url) for _ in range(2))
    one.ask("/model/new", NEW)
    within(15.0, lambda: said(other, "added") == "Added!")


def test_a_bad_model_is_refused_by_the_name_of_its_field_and_changes_nothing(
    gateway: Gateways, tmp_path: Path
) -> None:
    at = Management(gateway(config("", tmp_path)).url)
    bad = {**NEW, "litellm_params": {**NEW["litellm_params"], "timeout": "soon"}}
    assert at.refused("/model/new", bad)["param"] == "litellm_params.timeout"
    assert said(at, "added") == 404
    assert db_models(at) == {"fast": False}


def test_without_stored_models_none_is_added(gateway: Gateways, tmp_path: Path) -> None:
    settings = config("", tmp_path)
    del settings["general_settings"]["store_model_in_db"]
    at = Management(gateway(settings).url)
    assert at.refused("/model/new", NEW)["code"] == "models_not_stored"


def test_a_call_in_flight_finishes_and_a_cooldown_lasts_when_models_are_added(
    gateway: Gateways, fakes: Providers, tmp_path: Path
) -> None:
    upstream = fakes(FakeOpenAI)
    settings = config("", tmp_path, num_retries=0, cooldown_time=60, allowed_fails=0)
    broken = {"model": "openai/broken", "api_base": "http://127.0.0.1:9", "api_key": "k"}
    works = {"model": "openai/m", "api_base": f"{upstream.url}/v1", "api_key": "sk-up"}
    settings["model_list"] = [
        {"model_name": "m", "litellm_params": broken, "model_info": {"id": "broken"}},
        {"model_name": "m", "litellm_params": works, "model_info": {"id": "works"}},
    ]
    at = Management(gateway(settings).url)
    within(20.0, lambda: at.chat("m").status_code != 200)

    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with at.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        at.ask("/model/new", NEW)
        assert list(lines)[-2:] == ["data: [DONE]", ""]
    answers: list[httpx.Response] = [at.chat("m") for _ in range(20)]
    assert {each.status_code for each in answers} == {200}


@pytest.mark.criterion("R11.3")
def test_the_budget_of_a_stored_model_holds(gateway: Gateways, tmp_path: Path) -> None:
    at = Management(gateway(config("", tmp_path)).url)
    costs = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.001}
    params = {**NEW["litellm_params"], "max_budget": 0.000001}
    at.ask("/model/new", {**NEW, "litellm_params": params, "model_info": costs})
    within(5.0, lambda: said(at, "added") == 400)
    assert said(at, "fast") == "Hello!"


def test_a_learned_strategy_goes_on_over_what_was_added(gateway: Gateways, tmp_path: Path) -> None:
    bundle = write(knn_files({"Hi": "one", "Ho": "two"}), tmp_path / "bundle")
    settings = routed([mock("one", "1"), mock("two", "2")], "llmrouter-knn", model_path=str(bundle))
    settings["general_settings"] = {"master_key": MASTER, "store_model_in_db": True}
    at = Management(gateway(settings).url)
    assert said(at, "auto") == "1"
    params = {"model": "openai/x", "mock_response": "added"}
    id = at.ask("/model/new", {"model_name": "one", "litellm_params": params})["model_id"]
    assert said(at, "added") == 404
    within(10.0, lambda: said(at, "auto") == "added")
    within(10.0, lambda: said(at, "auto") == "1")
    at.ask("/model/delete", {"id": id})
    assert {said(at, "auto") for _ in range(10)} == {"1"}
