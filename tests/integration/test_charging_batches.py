"""Batches are charged once, to who created them, whoever sees that they have ended."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from openai import OpenAI, PermissionDeniedError

from functions.maintenance.steps import run
from tests.fakes import Delay, FakeOpenAI, Status
from tests.fakes.script import Tokens
from tests.support.accounts import INPUT, OUTPUT, Fleet, config
from tests.support.gateway import Gateway, Gateways
from tests.support.management import Management
from tests.support.postgres import PostgresServer
from tests.support.providers import Providers
from tests.support.redis import RedisServer, redis_server
from trunkline.settings.load import load

SOON = 0.3
"""Seconds after which the background asks for a batch."""
NEVER = 3600.0
EACH = Tokens(input=100, output=20, cached=40, reasoning=5)
LINES = 3
COST = LINES * (100 * INPUT + 20 * OUTPUT) // 2
"""Nano-dollars of a batch: half of what its calls cost by themselves."""


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(autouse=True)
def _answers_are_known(openai: FakeOpenAI) -> None:
    openai.batch_tokens = EACH


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def asking(upstream: FakeOpenAI, interval: float, **sections: Any) -> dict[str, Any]:
    general = {"proxy_batch_polling_interval": interval, **sections.pop("general_settings", {})}
    return config(upstream, general_settings=general, **sections)


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "redis"])
def fleet(request: pytest.FixtureRequest, module_gateway: Gateways, openai: FakeOpenAI) -> Fleet:
    """Gateways whose background asks for nothing in the time of a test: one, or two that share."""
    if request.param == "sqlite":
        return Fleet([module_gateway(asking(openai, NEVER))])
    url = request.getfixturevalue("postgres").database()
    router = {}
    if request.param == "redis":
        router = {"redis_url": request.getfixturevalue("redis").url}
    settings = asking(openai, NEVER, general_settings={"database_url": url}, router_settings=router)
    return Fleet([module_gateway(settings) for _ in range(2)], url)


def client(fleet: Fleet, key: str, number: int = 0) -> OpenAI:
    return OpenAI(base_url=f"{fleet.gateways[number].url}/v1", api_key=key, max_retries=0)


def create(client: OpenAI, model: str = "m", lines: int = LINES, **fields: Any) -> str:
    """A batch's id."""
    requests = [
        {
            "custom_id": str(number),
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": model, "messages": [{"role": "user", "content": "Hi"}]},
        }
        for number in range(lines)
    ]
    text = "\n".join(map(json.dumps, requests)).encode()
    file = client.files.create(file=("in.jsonl", text), purpose="batch")
    made = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        **fields,
    )
    return made.id


def row_of(fleet: Fleet, batch: str) -> dict[str, Any]:
    """The only row of a batch, once it is there."""
    found = fleet.until(
        lambda: [row for row in fleet.rows() if row["request_id"] == batch], lambda rows: rows
    )
    (row,) = found
    return row


def spent(fleet: Fleet, key: str, amount: int) -> None:
    """Asserts that a key has spent so many nano-dollars, no more and no less."""
    time.sleep(1.2)  # so long rows take at most, if any more are on their way
    info = fleet.admin.ask("/key/info", key=key)["info"]
    assert round(info["spend"] * 1e9) == amount


@pytest.mark.criterion("R12.1", "R12.2", "R11.5", "R4.3")
def test_a_batch_that_all_see_end_is_charged_once_to_who_created_it(fleet: Fleet) -> None:
    team = fleet.admin.ask("/team/new", {"team_id": f"t-{time.time_ns()}"})["team_id"]
    key, other = fleet.admin.key(team_id=team, max_budget=1), fleet.admin.key()
    batch = create(client(fleet, key))
    clients = [client(fleet, key, number) for number in range(len(fleet.gateways))]
    clients.append(client(fleet, other))
    with ThreadPoolExecutor(16) as pool:
        seen = [pool.submit(each.batches.retrieve, batch) for each in clients * 5]
        seen += [pool.submit(each.batches.list) for each in clients]
    assert all(each.result() for each in seen)
    row = row_of(fleet, batch)
    assert (row["call_type"], row["status"], row["spend"]) == ("batch", "success", COST)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (100 * LINES, 20 * LINES)
    assert (row["cached_tokens"], row["reasoning_tokens"]) == (40 * LINES, 5 * LINES)
    assert (row["team_id"], row["model_group"], row["model"]) == (team, "m", "openai/m")
    spent(fleet, key, COST)
    spent(fleet, other, 0)
    told = fleet.admin.ask("/team/info", team_id=team)["team_info"]
    assert round(told["spend"] * 1e9) == COST


@pytest.mark.criterion("R11.2")
@pytest.mark.parametrize("named", ["other", "a-model-of-the-provider"])
def test_a_batch_file_names_no_model_that_its_key_may_not_call(
    fleet: Fleet, openai: FakeOpenAI, named: str
) -> None:
    key = fleet.admin.key(models=["m"])
    lines = [{"custom_id": model, "body": {"model": model}} for model in ("m", named)]
    text = "\n".join(map(json.dumps, lines)).encode()
    before = len(openai.requests)
    with pytest.raises(PermissionDeniedError, match=named):
        client(fleet, key).files.create(file=("in.jsonl", text), purpose="batch")
    assert len(openai.requests) == before
    free = fleet.admin.key()
    assert client(fleet, free).files.create(file=("in.jsonl", text), purpose="batch").id


@pytest.mark.criterion("R11.5")
def test_what_a_batch_cost_counts_against_the_budgets_of_its_creator(fleet: Fleet) -> None:
    enough = {"max_budget": COST / 1e9}
    team = fleet.admin.ask("/team/new", {"team_id": f"t-{time.time_ns()}", **enough})["team_id"]
    key = fleet.admin.key(team_id=team)
    assert fleet.one(key, max_tokens=1).status == 200
    batch = create(client(fleet, key))
    assert fleet.one(key, max_tokens=1).status == 200
    client(fleet, key).batches.retrieve(batch)
    refused = [fleet.one(key, max_tokens=1) for _ in range(2)]
    assert [answer.status for answer in refused] == [400, 400]
    assert refused[0].body["error"]["type"] == "budget_exceeded"
    with pytest.raises(Exception, match="Budget has been exceeded"):
        create(client(fleet, key))


@pytest.mark.criterion("R11.5")
def test_a_budget_by_model_counts_batches_too(fleet: Fleet) -> None:
    limit = {"budget_limit": COST / 1e9, "time_period": "30d"}
    key = fleet.admin.key(model_max_budget={"m": limit})
    assert fleet.one(key, max_tokens=1).status == 200
    client(fleet, key).batches.retrieve(create(client(fleet, key)))
    assert fleet.one(key, max_tokens=1).status == 400
    assert fleet.one(key, model="other", max_tokens=1).status == 200


@pytest.mark.criterion("R12.1")
@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
def test_a_batch_that_answered_nothing_costs_nothing(
    fleet: Fleet, openai: FakeOpenAI, status: str
) -> None:
    key = fleet.admin.key()
    openai.batch_status = status
    batch = create(client(fleet, key))
    client(fleet, key).batches.retrieve(batch)
    row = row_of(fleet, batch)
    assert (row["spend"], row["prompt_tokens"], row["completion_tokens"]) == (0, 0, 0)
    assert row["status"] == ("cancelled" if status == "cancelled" else "failure")
    assert row["error"] == f"batch_{status}"


@pytest.mark.criterion("R12.1")
def test_a_batch_whose_object_tells_no_usage_is_charged_by_its_output(
    fleet: Fleet, openai: FakeOpenAI
) -> None:
    key = fleet.admin.key()
    openai.batch_usage = False
    batch = create(client(fleet, key))
    client(fleet, key).batches.retrieve(batch)
    row = row_of(fleet, batch)
    assert (row["spend"], row["prompt_tokens"]) == (COST, 100 * LINES)
    spent(fleet, key, COST)


@pytest.mark.criterion("R12.1")
def test_a_batch_without_usage_whose_output_is_gone_has_an_unknown_cost(
    fleet: Fleet, openai: FakeOpenAI
) -> None:
    key = fleet.admin.key()
    openai.batch_usage = False
    openai.fault(Status(404), always=True, when=lambda seen: seen.path.endswith("/content"))
    batch = create(client(fleet, key))
    client(fleet, key).batches.retrieve(batch)
    row = row_of(fleet, batch)
    assert (row["spend"], row["prompt_tokens"], row["status"]) == (None, None, "success")


@pytest.mark.criterion("R12.1")
def test_a_batch_is_charged_though_its_creator_was_deleted_meanwhile(fleet: Fleet) -> None:
    team = fleet.admin.ask("/team/new", {"team_id": f"t-{time.time_ns()}"})["team_id"]
    key = fleet.admin.key(team_id=team)
    batch = create(client(fleet, key))
    fleet.admin.ask("/key/delete", {"keys": [key]})
    client(fleet, fleet.admin.key()).batches.retrieve(batch)
    assert row_of(fleet, batch)["spend"] == COST
    told = fleet.until(
        lambda: fleet.admin.ask("/team/info", team_id=team)["team_info"]["spend"], bool
    )
    assert round(told * 1e9) == COST


@pytest.mark.criterion("R12.1")
def test_a_batch_that_nobody_created_here_is_charged_to_nobody(
    fleet: Fleet, openai: FakeOpenAI
) -> None:
    with OpenAI(base_url=openai.base_url, api_key="sk-up") as elsewhere:
        batch = create(elsewhere)
    key = fleet.admin.key()
    assert client(fleet, key).batches.retrieve(batch).status == "completed"
    own = create(client(fleet, key))
    client(fleet, key).batches.retrieve(own)
    row_of(fleet, own)
    assert batch not in {row["request_id"] for row in fleet.rows()}
    spent(fleet, key, COST)


@pytest.mark.criterion("R12.1", "R4.3")
def test_a_batch_that_no_client_asks_for_is_charged_all_the_same(
    gateway: Gateways, openai: FakeOpenAI, postgres: PostgresServer
) -> None:
    url = postgres.database()
    settings = asking(openai, SOON, general_settings={"database_url": url})
    fleet = Fleet([gateway(settings) for _ in range(2)], url)
    key = fleet.admin.key(max_budget=1.5 * COST / 1e9)
    openai.batch_status = "in_progress"
    batches = [create(client(fleet, key)) for _ in range(2)]
    asked = len([seen for seen in openai.requests if seen.path.endswith(batches[0])])
    fleet.until(
        lambda: len([seen for seen in openai.requests if seen.path.endswith(batches[0])]),
        lambda found: found > asked + 1,
    )
    assert not [row for row in fleet.rows() if row["call_type"] == "batch"]
    openai.batch_status = "completed"
    assert [row_of(fleet, batch)["spend"] for batch in batches] == [COST, COST]
    spent(fleet, key, 2 * COST)
    # Each counts by itself what both have spent, as soon as it hears of it.
    fleet.until(lambda: {a.status for a in fleet.ask(key, 4, max_tokens=1)}, lambda s: s == {400})


@pytest.mark.criterion("R4.3", "R12.1")
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_who_is_killed_between_claiming_and_charging_leaves_it_to_another(
    gateway: Gateways, openai: FakeOpenAI, postgres: PostgresServer, backend: str
) -> None:
    url = postgres.database() if backend == "postgresql" else ""
    settings = asking(openai, SOON, general_settings={"database_url": url})
    first = gateway(settings)
    fleet = Fleet([first], url)
    key = fleet.admin.key()
    openai.batch_usage = False
    openai.fault(Delay(60), when=lambda seen: seen.path.endswith("/content"))
    batch = create(client(fleet, key))
    fleet.until(
        lambda: any(seen.path.endswith("/content") for seen in openai.requests), lambda found: found
    )
    first.kill()
    general = {**settings["general_settings"], "data_directory": str(first.folder / ".trunkline")}
    again = gateway({**settings, "general_settings": general})
    assert row_of(fleet, batch)["spend"] == COST
    spent(Fleet([again], url), key, COST)


@pytest.mark.criterion("R4.3", "R12.1")
def test_where_no_gateway_runs_the_upkeep_on_lambda_charges(
    gateway: Gateways, openai: FakeOpenAI, postgres: PostgresServer
) -> None:
    url = postgres.database()
    server = gateway(asking(openai, SOON, general_settings={"database_url": url}))
    fleet = Fleet([server], url)
    openai.batch_status = "in_progress"
    batch = create(client(fleet, fleet.admin.key()))
    server.stop()
    openai.batch_status = "completed"
    settings = load(server.folder / "config.yaml", {})

    def looked() -> list[str]:
        return [step.error for step in asyncio.run(run(settings, 0, lambda: 60.0))]

    assert fleet.until(lambda: (looked(), fleet.rows())[1], lambda rows: batch in str(rows))
    assert not any(looked())
    assert row_of(fleet, batch)["spend"] == COST


PRICES = {
    "gpt-4o": Tokens(input=1000, output=200, cached=400),
    "gpt-4.1-mini": Tokens(input=1000, output=200, cached=400),
    "o3": Tokens(input=300, output=100, reasoning=50),
}


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    return import_module("tests.support.price_oracle")


@pytest.mark.criterion("R12.1")
@pytest.mark.parametrize("model", PRICES)
@pytest.mark.parametrize("told", ["by the object", "by the output"])
@pytest.mark.parametrize("configured", ["the model", "another model", "any model"])
def test_a_batch_costs_what_litellm_says(
    priced: Fleet, openai: FakeOpenAI, oracle: ModuleType, model: str, told: str, configured: str
) -> None:
    """Also of models that the configuration doesn't name: a file may name any of the provider's."""
    openai.batch_usage = told == "by the object"
    openai.batch_tokens = PRICES[model]
    number = ["the model", "another model", "any model"].index(configured)
    key = Management(priced.gateways[number].url).key()
    asked = OpenAI(base_url=f"{priced.gateways[number].url}/v1", api_key=key, max_retries=0)
    batch = create(asked, model)
    asked.batches.retrieve(batch)
    row = row_of(Fleet([priced.gateways[number]]), batch)
    usage = {
        "prompt_tokens": LINES * PRICES[model].input,
        "completion_tokens": LINES * PRICES[model].output,
        "prompt_tokens_details": {"cached_tokens": LINES * PRICES[model].cached},
    }
    expected = oracle.batch(model, {"litellm_provider": "openai"}, usage)
    assert row["spend"] == round(expected * 1e9)
    assert row["model"] == f"openai/{model}"


@pytest.fixture(scope="module")
def priced(module_gateway: Gateways, openai: FakeOpenAI) -> Fleet:
    """Gateways of their own: with the models, with another one, with a wildcard."""
    place = {"api_base": openai.base_url, "api_key": "sk-up"}

    def serving(**models: str) -> Gateway:
        entries = [
            {"model_name": name, "litellm_params": {"model": model, **place}}
            for name, model in models.items()
        ]
        return module_gateway({**asking(openai, NEVER), "model_list": entries})

    gateways = [
        serving(**{model: f"openai/{model}" for model in PRICES}),
        serving(m="openai/gpt-3.5-turbo"),
        serving(**{"*": "openai/*"}),
    ]
    return Fleet(gateways)


@pytest.mark.criterion("R12.1")
def test_versions_of_a_model_have_its_price(fleet: Fleet, openai: FakeOpenAI) -> None:
    key = fleet.admin.key()
    openai.batch_version = "-2025-04-14"
    batch = create(client(fleet, key))
    client(fleet, key).batches.retrieve(batch)
    assert row_of(fleet, batch)["spend"] == COST


@pytest.mark.criterion("R12.1")
def test_batches_of_several_accounts_are_told_apart(
    gateway: Gateways, openai: FakeOpenAI, fakes: Providers
) -> None:
    other = fakes(FakeOpenAI)
    other.batch_tokens = Tokens(input=1, output=1)
    settings = asking(openai, NEVER)
    (first, second) = settings["model_list"]
    params = {**second["litellm_params"], "api_base": other.base_url}
    server = gateway({**settings, "model_list": [first, {**second, "litellm_params": params}]})
    fleet = Fleet([server])
    key = fleet.admin.key()
    with client(fleet, key) as asked:
        batches = []
        for model in ("m", "other"):
            line = {"custom_id": "1", "body": {"model": model, "messages": []}}
            file = asked.files.create(
                file=("in.jsonl", json.dumps(line).encode()),
                purpose="batch",
                extra_body={"model": model},
            )
            made = asked.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            batches.append(made.id)
        same = {batch.partition("_tl_")[0] for batch in batches}
        for batch in batches * 2:
            asked.batches.retrieve(batch)
    costs = [(100 * INPUT + 20 * OUTPUT) // 2, (INPUT + OUTPUT) // 2]
    assert [row_of(fleet, batch)["spend"] for batch in batches] == costs
    assert [row_of(fleet, batch)["model_group"] for batch in batches] == ["m", "other"]
    assert len(same) in (1, 2)
    spent(fleet, key, sum(costs))
