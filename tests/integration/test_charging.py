"""Calls are charged: budgets and limits hold under concurrency, on one gateway and on three."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.fakes import Delay, FakeOpenAI, Status
from tests.support.accounts import Fleet, config, cost, price_of_one, statuses
from tests.support.gateway import Gateways
from tests.support.management import MASTER
from tests.support.providers import Providers
from tests.support.redis import RedisServer, redis_server

PARALLEL = 200
COVERED = 20


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module", params=["alone", "shared"])
def fleet(request: pytest.FixtureRequest, module_gateway: Gateways, openai: FakeOpenAI) -> Fleet:
    if request.param == "alone":
        return Fleet([module_gateway(config(openai))])
    url = request.getfixturevalue("postgres").database()
    shared = config(
        openai,
        general_settings={"database_url": url},
        router_settings={"redis_url": request.getfixturevalue("redis").url},
    )
    return Fleet([module_gateway(shared) for _ in range(3)], url)


@pytest.mark.criterion("R11.5", "R12.3", "R4.3")
def test_a_budget_is_never_overspent_by_calls_at_once(fleet: Fleet) -> None:
    price = price_of_one(fleet)
    tokens = fleet.one(MASTER).body["usage"]["completion_tokens"]
    key = fleet.admin.key(max_budget=COVERED * price / 1e9)
    answers = fleet.ask(key, PARALLEL, max_tokens=tokens)
    # What one call may cost at most is held for each: a few more than it does.
    answers += [fleet.one(key, max_tokens=tokens) for _ in range(COVERED)]
    served = [answer for answer in answers if answer.status == 200]
    spent = sum(cost(answer.body["usage"]) for answer in served)
    assert spent <= COVERED * price
    assert len(served) >= COVERED - 1
    refused = next(answer for answer in answers if answer.status != 200)
    assert refused.status == 400
    assert refused.body["error"]["type"] == "budget_exceeded"
    rows = fleet.rows_of(served)
    assert sum(row["spend"] for row in rows) == spent
    told = fleet.until(
        lambda: fleet.admin.ask("/key/info", key=key)["info"]["spend"],
        lambda found: round(found * 1e9) == spent,
    )
    assert told <= COVERED * price / 1e9


@pytest.mark.criterion("R11.5", "R12.3")
def test_calls_that_state_no_maximum_overspend_no_budget_either(fleet: Fleet) -> None:
    price = price_of_one(fleet)
    key = fleet.admin.key(max_budget=COVERED * price / 1e9)
    answers = fleet.ask(key, PARALLEL)
    while (answer := fleet.one(key)).status == 200:
        answers.append(answer)
    served = [answer for answer in answers if answer.status == 200]
    assert len(served) == COVERED
    assert fleet.one(key).status == 400


@pytest.mark.criterion("R11.6", "R4.3")
def test_requests_a_minute_are_limited_exactly(fleet: Fleet) -> None:
    key = fleet.admin.key(rpm_limit=COVERED)
    answers = fleet.ask(key, PARALLEL)
    assert statuses(answers) == {200: COVERED, 429: PARALLEL - COVERED}
    refused = next(answer for answer in answers if answer.status == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert refused.headers["x-ratelimit-limit-requests"] == str(COVERED)
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    left = [int(a.headers["x-ratelimit-remaining-requests"]) for a in answers if a.status == 200]
    assert sorted(left) == list(range(COVERED))


@pytest.mark.criterion("R11.6", "R4.3")
def test_tokens_a_minute_are_never_over_and_nearly_all_used(fleet: Fleet) -> None:
    usage = fleet.one(MASTER).body["usage"]
    each, limit = usage["total_tokens"], 50 * usage["total_tokens"]
    key = fleet.admin.key(tpm_limit=limit)
    used = 0
    for _ in range(10):
        answers = fleet.ask(key, 40, max_tokens=usage["completion_tokens"])
        used += each * statuses(answers)[200]
    assert 0.95 * limit - 2 * each <= used <= limit
    refused = fleet.one(key)
    assert refused.status == 429
    assert refused.headers["x-ratelimit-limit-tokens"] == str(limit)


@pytest.mark.criterion("R11.6")
def test_calls_at_once_are_limited(fleet: Fleet, openai: FakeOpenAI) -> None:
    key = fleet.admin.key(max_parallel_requests=2)
    openai.fault(Delay(1.0), always=True)
    assert statuses(fleet.ask(key, 12)) == {200: 2, 429: 10}
    assert statuses(fleet.ask(key, 2)) == {200: 2}


def _of_key(fleet: Fleet, name: str, limits: dict) -> tuple[str, dict]:
    return fleet.admin.key(**limits), {}


def _of_user(fleet: Fleet, name: str, limits: dict) -> tuple[str, dict]:
    fleet.admin.ask("/user/new", {"user_id": name, "auto_create_key": False, **limits})
    return fleet.admin.key(user_id=name), {}


def _of_team(fleet: Fleet, name: str, limits: dict) -> tuple[str, dict]:
    fleet.admin.ask("/team/new", {"team_id": name, **limits})
    return fleet.admin.key(team_id=name), {}


def _of_member(fleet: Fleet, name: str, limits: dict) -> tuple[str, dict]:
    fleet.admin.ask("/user/new", {"user_id": name, "auto_create_key": False})
    fleet.admin.ask("/team/new", {"team_id": name})
    member = {"member": {"user_id": name, "role": "user"}}
    budget = {"max_budget_in_team": limits["max_budget"]}
    fleet.admin.ask("/team/member_add", {"team_id": name, **member, **budget})
    return fleet.admin.key(team_id=name, user_id=name), {}


def _of_organization(fleet: Fleet, name: str, limits: dict) -> tuple[str, dict]:
    made = fleet.admin.ask("/organization/new", {"organization_alias": name, **limits})
    of = {"organization_id": made["organization_id"]}
    fleet.admin.ask("/team/new", {"team_id": name, **of})
    return fleet.admin.key(team_id=name), {}


def _of_customer(fleet: Fleet, name: str, limits: dict) -> tuple[str, dict]:
    fleet.admin.ask("/customer/new", {"user_id": name, **limits})
    return fleet.admin.key(), {"user": name}


def _of_tag(fleet: Fleet, name: str, limits: dict) -> tuple[str, dict]:
    fleet.admin.ask("/tag/new", {"name": name, **limits})
    return fleet.admin.key(), {"tags": [name]}


LEVELS = {
    "key": _of_key,
    "user": _of_user,
    "team": _of_team,
    "member": _of_member,
    "organization": _of_organization,
    "customer": _of_customer,
    "tag": _of_tag,
}
"""What makes a key whose calls that level limits, with the fields that they need for it."""


@pytest.mark.criterion("R11.5", "R11.3", "R12.3")
@pytest.mark.parametrize("level", LEVELS)
def test_a_budget_of_any_level_stops_calls(fleet: Fleet, level: str) -> None:
    price = price_of_one(fleet)
    name = f"{level}-{time.time_ns()}"
    key, fields = LEVELS[level](fleet, name, {"max_budget": 3 * price / 1e9})
    answers = [fleet.one(key, **fields) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 400, 400]
    assert answers[-1].body["error"]["type"] == "budget_exceeded"
    assert level in answers[-1].body["error"]["message"]


@pytest.mark.criterion("R12.6", "R11.5")
def test_a_budget_begins_anew_with_its_period(fleet: Fleet) -> None:
    price = price_of_one(fleet)
    key = fleet.admin.key(max_budget=2 * price / 1e9, budget_duration="5s")
    deadline = time.monotonic() + 30
    seen = []
    while seen[-2:] != [400, 200] or 200 not in seen[:-1]:
        assert time.monotonic() < deadline, seen
        seen.append(fleet.one(key).status)
        time.sleep(0.2)
    told = fleet.admin.ask("/key/info", key=key)["info"]
    assert told["spend"] <= 2 * price / 1e9


@pytest.mark.criterion("R11.2", "R11.3")
def test_a_key_calls_what_it_and_its_team_may(fleet: Fleet) -> None:
    admin = fleet.admin
    assert fleet.one(admin.key(models=["other"])).status == 403
    assert fleet.one(admin.key(models=["m"])).status == 200
    assert fleet.one(admin.key(models=["o*"]), model="other").status == 200
    assert fleet.one(admin.key(models=["cheap"]), model="other").status == 200
    assert fleet.one(admin.key(models=["cheap"])).status == 403
    team = admin.ask("/team/new", {"models": ["other"]})["team_id"]
    assert fleet.one(admin.key(team_id=team)).status == 403
    assert fleet.one(admin.key(team_id=team, models=["all-team-models"])).status == 403
    assert fleet.one(admin.key(team_id=team), model="other").status == 200
    assert fleet.one(admin.key(aliases={"quick": "m"}), model="quick").status == 200
    named = fleet.one(admin.key(models=["m"]), model="m", fallbacks=["other"])
    assert named.status == 403


def test_a_model_s_own_limits_of_a_key_hold_for_that_model(fleet: Fleet) -> None:
    key = fleet.admin.key(model_rpm_limit={"m": 1})
    assert [fleet.one(key).status for _ in range(2)] == [200, 429]
    assert fleet.one(key, model="other").status == 200
    price = price_of_one(fleet)
    key = fleet.admin.key(
        model_max_budget={"m": {"budget_limit": price / 1e9, "time_period": "1d"}}
    )
    assert [fleet.one(key).status for _ in range(2)] == [200, 400]
    assert fleet.one(key, model="other").status == 200


@pytest.mark.criterion("R11.4")
def test_a_deleted_or_blocked_key_stops_everywhere_within_a_second(fleet: Fleet) -> None:
    for path, field in (("/key/delete", "keys"), ("/key/block", "key")):
        key = fleet.admin.key()
        assert statuses(fleet.ask(key, 6)) == {200: 6}
        fleet.admin.ask(path, {field: [key] if field == "keys" else key})
        time.sleep(1.0)
        assert statuses(fleet.ask(key, 6)) == {401: 6}


@pytest.mark.criterion("R12.1", "R12.2", "R4.1")
def test_every_call_leaves_one_row_with_what_it_took(fleet: Fleet) -> None:
    team = fleet.admin.ask("/team/new", {"team_alias": f"row-{time.time_ns()}"})["team_id"]
    key = fleet.admin.key(team_id=team, key_alias=f"row-{time.time_ns()}", tags=["of-key"])
    answer = fleet.one(key, user="customer-1", tags=["of-call"])
    failed = fleet.one(key, model="nothing")
    (row,) = fleet.rows_of([answer])
    usage = answer.body["usage"]
    assert row["prompt_tokens"] == usage["prompt_tokens"]
    assert row["completion_tokens"] == usage["completion_tokens"]
    assert row["spend"] == cost(usage)
    assert f"{row['spend'] / 1e9:.9f}" == answer.headers["x-trunkline-cost"]
    assert row["team_id"] == team
    assert row["end_user"] == "customer-1"
    assert row["model_group"] == "m"
    assert row["custom_llm_provider"] == "openai"
    assert row["status"] == "success"
    tags = row["request_tags"]
    assert "of-key" in tags
    assert "of-call" in tags
    assert failed.status == 404
    assert key not in str(row)


@pytest.mark.criterion("R12.1")
def test_a_call_that_fails_costs_nothing_and_leaves_a_row(fleet: Fleet, openai: FakeOpenAI) -> None:
    key = fleet.admin.key(max_budget=1)
    openai.fault(Status(500))
    answer = fleet.one(key)
    assert answer.status == 500
    (row,) = fleet.rows_of([answer])
    assert (row["status"], row["spend"]) == ("failure", None)
    assert row["error"] == "internal_server"
    assert fleet.admin.ask("/key/info", key=key)["info"]["spend"] == 0
