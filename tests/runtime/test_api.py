"""The gateway on Lambda answers what API Gateway and load balancers send to it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from layers.building import LIMIT
from layers.building import size as size_of
from layers.parts import FUNCTIONS
from tests.fakes import FakeCohere, FakeOpenAI
from tests.fakes.collector import FakeCollector
from tests.support import asking
from tests.support.gateway import environment
from tests.support.lambda_events import CALLER, Event, Transport, balancer, http, rest
from tests.support.lambda_runtime import (
    LAYERS,
    PYTHON,
    Function,
    FunctionFailed,
    function,
    import_path,
    told,
)
from tests.support.management import MASTER, MODEL
from tests.support.postgres import PostgresServer
from tests.support.providers import Providers
from tests.support.redis import RedisServer

pytestmark = pytest.mark.timeout(900)

Shape = Callable[[httpx.Request], Event]


def mapped(request: httpx.Request) -> Event:
    """As a custom domain has it that maps /ai to the API."""
    return rest(request, mapping="/ai")


def client(api: Function, key: str = MASTER, shape: Shape = rest) -> httpx.Client:
    return httpx.Client(
        transport=Transport(api.invoke, shape),
        base_url="https://abcdef.execute-api.us-east-1.amazonaws.com",
        headers={"authorization": f"Bearer {key}"},
    )


def write(folder: Path, config: dict[str, Any]) -> dict[str, str]:
    """The function's environment, with the configuration as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return {"TRUNKLINE_CONFIG": str(folder / "config.yaml")}


@pytest.fixture(scope="module")
def config(fakes: Providers, postgres: PostgresServer, redis: RedisServer) -> dict[str, Any]:
    openai, cohere = fakes(FakeOpenAI), fakes(FakeCohere)
    direct = {"model": "openai/gpt-5.6-mini", "api_key": "k", "api_base": f"{openai.url}/v1"}
    price = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.001}
    other = {"model": "cohere_chat/command-r", "api_key": "k", "api_base": cohere.base_url}
    return {
        "model_list": [
            MODEL,
            {"model_name": "openai", "litellm_params": direct | price},
            {"model_name": "cohere", "litellm_params": other},
        ],
        "router_settings": {"redis_host": "127.0.0.1", "redis_port": redis.port},
        "general_settings": {"master_key": MASTER, "database_url": postgres.database()},
    }


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Function]:
    folder = tmp_path_factory.mktemp("api")
    with function("api", folder, write(folder, config)) as made:
        yield made


def test_short_calls_are_answered_and_their_rows_are_in_the_database_with_the_answer(
    api: Function, config: dict[str, Any], postgres: PostgresServer
) -> None:
    database = config["general_settings"]["database_url"]
    admin = client(api)
    ready = admin.get("/health/readiness")
    assert ready.status_code == 200, ready.text
    assert ready.json()["db"] == "connected"
    made = admin.post("/key/generate", json={"max_budget": 5, "key_alias": "für / alle"})
    assert made.status_code == 200, made.text
    key = made.json()["key"]
    caller = client(api, key)
    asking.embeddings(caller, "openai")
    asking.moderation(caller, "openai")
    found = postgres.execute(
        "select requester_ip_address, key_alias from trunkline_spend_logs order by started_at",
        url=database,
    )
    assert [tuple(row) for row in found] == [(CALLER, "für / alle")] * 2
    # In one piece, though a stream was asked for.
    asking.streamed_chat(caller, "openai")
    spent = admin.get("/key/info", params={"key": key}).json()["info"]["spend"]
    assert spent > 0
    logs = admin.get("/spend/logs", params={"api_key": key}).json()
    assert len(logs) == 3
    assert admin.get("/hot-reload/status").status_code == 200
    wrong = client(api, "sk-wrong").get("/v1/models")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
    answered = [event for event in told(api.log()) if event.get("message") == "answered"]
    assert {event["gateway_request_id"] for event in answered} == {
        "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    }
    assert all(event["lambda_request_id"] for event in answered)


def test_traces_are_sent_before_the_answer_is_given(
    fakes: Providers, config: dict[str, Any], tmp_path: Path
) -> None:
    collector = fakes(FakeCollector)
    env = write(tmp_path, config) | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    with function("api", tmp_path, env) as made:
        for number in (1, 2):
            asking.embeddings(client(made), "openai")
            assert len(collector.spans) == 2 * number
        assert "POST /v1/embeddings" in {span["name"] for span in collector.spans}


def test_files_and_whatever_is_no_text_come_through_whole(api: Function) -> None:
    caller = client(api)
    content = bytes(range(256)) * 40
    sent = caller.post(
        "/v1/files",
        params={"model": "openai"},
        files={"file": ("data.bin", content)},
        data={"purpose": "batch"},
    )
    assert sent.status_code == 200, sent.text
    got = caller.get(f"/v1/files/{sent.json()['id']}/content")
    assert got.content == content
    asking.speech(caller, "openai")


@pytest.mark.parametrize("shape", [rest, mapped, http, balancer])
def test_whichever_way_a_call_comes_its_path_query_and_caller_are_known(
    api: Function, shape: Shape, config: dict[str, Any], postgres: PostgresServer
) -> None:
    admin = client(api, shape=shape)
    alias = f"{getattr(shape, '__name__', '')} & co = 1/2"
    key = admin.post("/key/generate", json={"key_alias": alias}).json()["key"]
    listed = admin.get("/key/list", params={"key_alias": alias, "return_full_object": "true"})
    assert [each["key_alias"] for each in listed.json()["keys"]] == [alias]
    caller = client(api, key, shape)
    asking.embeddings(caller, "openai")
    assert caller.get("/v1/models/no%2Fsuch").status_code == 404
    found = postgres.execute(
        f"select requester_ip_address from trunkline_spend_logs where key_alias = '{alias}'",
        url=config["general_settings"]["database_url"],
    )
    assert [row[0] for row in found] == [CALLER]


def test_litellm_is_imported_by_the_first_call_that_needs_it(api: Function) -> None:
    before = api.memory()
    asking.chat(client(api), "cohere")
    assert api.memory() > before + 30 * 2**20


def test_a_configuration_that_is_unsafe_or_would_forget_isnt_served(tmp_path: Path) -> None:
    for name, general, why in (
        ("open", {}, "no general_settings.master_key is configured"),
        ("forgetful", {"master_key": MASTER}, "no general_settings.database_url"),
    ):
        config = {"model_list": [MODEL], "general_settings": general}
        folder = tmp_path / name
        with (
            function("api", folder, write(folder, config)) as made,
            pytest.raises((FunctionFailed, json.JSONDecodeError, httpx.HTTPError)),
        ):
            client(made).get("/health/readiness")
        assert why in (folder / "log").read_text(), (folder / "log").read_text()


def test_what_is_frozen_holds_litellm_but_nothing_that_two_environments_may_not_share(
    config: dict[str, Any], tmp_path: Path
) -> None:
    env = write(tmp_path / "config", config) | {
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
        "TRUNKLINE_DATA_DIRECTORY": str(tmp_path / "data"),
        "PYTHONPATH": ":".join(map(str, import_path("api", tmp_path))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    request = httpx.Request(
        "POST",
        "https://x.example/key/generate",
        json={},
        headers={"authorization": f"Bearer {MASTER}"},
    )
    done = subprocess.run(
        [str(PYTHON), str(Path(__file__).with_name("frozen.py")), json.dumps(rest(request))],
        env=environment(tmp_path, env),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    copies = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"frozen')]
    assert len(copies) == 2, done.stderr
    assert [each["answer"]["statusCode"] for each in copies] == [200, 200], done.stderr
    assert copies[0]["frozen"] == {"litellm": True, "sockets": [], "threads": []}
    assert copies[0]["random"] != copies[1]["random"]
    keys = {json.loads(each["answer"]["body"])["key"] for each in copies}
    assert len(keys) == 2


def test_each_function_and_its_layers_are_within_what_lambda_takes() -> None:
    told = json.loads((LAYERS / "layers.json").read_text())["bytes"]
    shared = told["dependencies"] + told["gateway"]
    for name in FUNCTIONS:
        size = shared + told[f"functions/{name}"]
        assert size <= 240_000_000, f"functions/{name}: {size / 1e6:.1f} MB"
        assert size + told["native"] <= LIMIT
    for layer in ("dependencies", "gateway"):
        assert size_of(LAYERS / layer) == told[layer]
