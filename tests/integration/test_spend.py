"""What was spent, as the reports tell it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.gateway import Gateway, Gateways

MASTER = "sk-master-1234"
PRICES = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.002}


def model(name: str, provider: str) -> dict[str, Any]:
    params = {"model": f"{provider}/{name}", "mock_response": "Hello there, you!", "api_key": "k"}
    return {"model_name": name, "litellm_params": {**params, **PRICES}}


class Spending:
    """A gateway with a team, two users and their keys, and calls that were made with them."""

    def __init__(self, server: Gateway) -> None:
        self.url = server.url
        self.post("/team/new", team_id="t1", team_alias="Reds")
        for user in ("ann", "bob", "chief"):
            made = {"user_id": user, "user_role": "internal_user", "auto_create_key": False}
            self.post("/user/new", **made)
        for user, role in (("ann", "user"), ("chief", "admin")):
            self.post("/team/member_add", team_id="t1", member={"user_id": user, "role": role})
        self.ann = self.post("/key/generate", user_id="ann", team_id="t1", key_alias="anns")["key"]
        self.bob = self.post("/key/generate", user_id="bob", key_alias="bobs")["key"]
        self.chief = self.post("/key/generate", user_id="chief")["key"]
        for _ in range(3):
            self.call(self.ann, "gpt", user="customer", metadata={"tags": ["red", "blue"]})
        self.call(self.bob, "claude", metadata={"tags": ["red"]})
        self._wait(4)
        today = datetime.now(UTC).date()
        self.today = today.isoformat()
        self.days = {"start_date": (today - timedelta(days=1)).isoformat(), "end_date": self.today}

    def post(self, path: str, **body: Any) -> Any:
        answer = httpx.post(self.url + path, json=body, headers=bearer(MASTER))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def call(self, key: str, model: str, **more: Any) -> None:
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}
        answer = httpx.post(f"{self.url}/v1/chat/completions", json=body, headers=bearer(key))
        assert answer.status_code == 200, answer.text

    def ask(self, path: str, key: str = MASTER, **asked: Any) -> httpx.Response:
        return httpx.get(self.url + path, params=asked, headers=bearer(key), timeout=30)

    def get(self, path: str, key: str = MASTER, **asked: Any) -> Any:
        answer = self.ask(path, key, **asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _wait(self, calls: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.get("/spend/logs")) < calls:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def spending(request: pytest.FixtureRequest, module_gateway: Gateways) -> Spending:
    general: dict[str, Any] = {"master_key": MASTER}
    if request.param == "postgresql":
        general["database_url"] = request.getfixturevalue("postgres").database()
    models = [model("gpt", "openai"), model("claude", "anthropic")]
    return Spending(module_gateway({"general_settings": general, "model_list": models}))


def cost(rows: list[dict[str, Any]]) -> float:
    return round(sum(row["spend"] for row in rows), 9)


@pytest.mark.criterion("R4.1", "R12.1", "R12.2")
def test_every_call_is_listed_with_its_cost_and_who_made_it(spending: Spending) -> None:
    rows = spending.get("/spend/logs")
    assert len(rows) == 4
    latest, first = rows[0], rows[-1]
    assert (latest["user"], latest["model_group"], latest["custom_llm_provider"]) == (
        "bob",
        "claude",
        "anthropic",
    )
    assert (first["user"], first["team_id"], first["end_user"]) == ("ann", "t1", "customer")
    assert first["request_tags"] == ["red", "blue"]
    assert first["metadata"]["user_api_key_alias"] == "anns"
    paid = first["prompt_tokens"] * 0.001 + first["completion_tokens"] * 0.002
    assert first["spend"] == pytest.approx(paid)
    assert first["total_tokens"] == first["prompt_tokens"] + first["completion_tokens"]
    (one,) = spending.get("/spend/logs", request_id=first["request_id"])
    assert one == first
    assert len(spending.get("/spend/logs", user_id="bob")) == 1
    assert len(spending.get("/spend/logs", api_key=spending.ann)) == 3
    assert "sk-" not in str(rows)


def test_calls_are_summed_by_day(spending: Spending) -> None:
    rows = spending.get("/spend/logs")
    (day,) = spending.get("/spend/logs", **spending.days)
    assert day["startTime"] == spending.today
    assert day["spend"] == pytest.approx(cost(rows))
    assert set(day["users"]) == {"ann", "bob"}
    assert day["models"].keys() == {"openai/gpt", "anthropic/claude"}
    assert len(spending.get("/spend/logs", summarize=False, **spending.days)) == 4


def test_calls_come_in_pages(spending: Spending) -> None:
    first = spending.get("/spend/logs/v2", page_size=3, **spending.days)
    second = spending.get("/spend/logs/v2", page_size=3, page=2, **spending.days)
    assert (first["total"], first["total_pages"], len(first["data"])) == (4, 2, 3)
    every = [row["request_id"] for row in first["data"] + second["data"]]
    assert every == [row["request_id"] for row in spending.get("/spend/logs")]
    found = spending.get("/spend/logs/v2", model_group="claude", min_spend=0.001, **spending.days)
    assert [row["user"] for row in found["data"]] == ["bob"]
    rising = spending.get("/spend/logs/v2", sort_by="spend", sort_order="asc", **spending.days)
    assert [row["spend"] for row in rising["data"]] == sorted(
        row["spend"] for row in rising["data"]
    )


@pytest.mark.criterion("R12.2")
def test_spend_is_told_by_keys_users_and_teams(spending: Spending) -> None:
    rows = spending.get("/spend/logs")
    anns = cost([row for row in rows if row["user"] == "ann"])
    keys = {key["key_alias"]: key["spend"] for key in spending.get("/spend/keys")}
    assert keys["anns"] == pytest.approx(anns)
    users = {user["user_id"]: user["spend"] for user in spending.get("/spend/users")}
    assert users["ann"] == pytest.approx(anns)
    assert users["chief"] == 0
    assert [user["user_id"] for user in spending.get("/spend/users", user_id="bob")] == ["bob"]
    teams = spending.get("/global/spend/teams")
    assert {each["team_id"]: each["total_spend"] for each in teams["total_spend_per_team"]}[
        "Reds"
    ] == pytest.approx(anns)


def test_spend_is_told_by_tags(spending: Spending) -> None:
    rows = spending.get("/spend/logs")
    tags = {each["individual_request_tag"]: each for each in spending.get("/spend/tags")}
    assert (tags["red"]["log_count"], tags["blue"]["log_count"]) == (4, 3)
    assert tags["red"]["total_spend"] == pytest.approx(cost(rows))
    found = spending.get("/global/spend/tags", tags="blue", **spending.days)["spend_per_tag"]
    assert [(each["name"], each["log_count"]) for each in found] == [("blue", 3)]


def test_what_was_spent_lately_is_told_in_all(spending: Spending) -> None:
    total = pytest.approx(cost(spending.get("/spend/logs")))
    assert spending.get("/global/spend")["spend"] == total
    assert [each["spend"] for each in spending.get("/global/spend/logs")] == [total]
    keys = spending.get("/global/spend/keys", limit=1)
    assert [key["key_alias"] for key in keys] == ["anns"]
    models = spending.get("/global/spend/models")
    assert [each["model"] for each in models] == ["openai/gpt", "anthropic/claude"]
    providers = spending.get("/global/spend/provider", **spending.days)
    assert [each["provider"] for each in providers] == ["openai", "anthropic"]
    assert sum(each["spend"] for each in providers) == total


def test_a_report_says_who_spent_how_much_on_what(spending: Spending) -> None:
    rows = spending.get("/spend/logs")
    (day,) = spending.get("/global/spend/report", **spending.days)
    assert day["group_by_day"].startswith(spending.today)
    assert [team["team_name"] for team in day["teams"]] == ["Unassigned Team", "Reds"]
    reds = day["teams"][1]
    assert reds["total_spend"] == pytest.approx(cost([row for row in rows if row["team_id"]]))
    assert [line["model"] for line in reds["metadata"]] == ["openai/gpt"]
    (day,) = spending.get("/global/spend/report", by_key=False, **spending.days)
    assert day["teams"][1]["metadata"] == [{**reds["metadata"][0], "api_key": None}]
    (day,) = spending.get("/global/spend/report", group_by="customer", **spending.days)
    assert [each["customer"] for each in day["customers"]] == ["", "customer"]
    keys = spending.get("/global/spend/report", group_by="api_key", **spending.days)
    assert [each["model_details"][0]["model"] for each in keys] == [
        "openai/gpt",
        "anthropic/claude",
    ]
    (bobs,) = spending.get("/global/spend/report", internal_user_id="bob", **spending.days)
    assert bobs["total_input_tokens"] == rows[0]["prompt_tokens"]
    both = {"team_id": "t1", "customer_id": "customer", **spending.days}
    (day,) = spending.get("/global/spend/report", **both)
    assert day["teams"][0]["customer"] == "customer"


def test_activity_counts_requests_and_tokens(spending: Spending) -> None:
    rows = spending.get("/spend/logs")
    found = spending.get("/global/activity", **spending.days)
    tokens = sum(row["total_tokens"] for row in rows)
    assert (found["sum_api_requests"], found["sum_total_tokens"]) == (4, tokens)
    assert len(found["daily_data"]) == 1
    models = spending.get("/global/activity/model", **spending.days)
    assert [(each["model"], each["sum_api_requests"]) for each in models] == [
        ("gpt", 3),
        ("claude", 1),
    ]


def test_days_are_broken_down_by_models_keys_and_providers(spending: Spending) -> None:
    rows = spending.get("/spend/logs")
    found = spending.get("/user/daily/activity", **spending.days)
    (day,) = found["results"]
    assert day["metrics"]["api_requests"] == 4
    assert day["metrics"]["spend"] == pytest.approx(cost(rows))
    breakdown = day["breakdown"]
    assert breakdown["providers"]["openai"]["metrics"]["successful_requests"] == 3
    assert breakdown["model_groups"].keys() == {"gpt", "claude"}
    aliases = {each["metadata"]["key_alias"] for each in breakdown["api_keys"].values()}
    assert aliases == {"anns", "bobs"}
    assert found["metadata"]["total_pages"] == 1
    paged = spending.get("/user/daily/activity", page_size=1, **spending.days)
    assert (paged["metadata"]["total_pages"], paged["metadata"]["has_more"]) == (2, True)
    teams = spending.get("/team/daily/activity", team_ids="t1", **spending.days)
    entity = teams["results"][0]["breakdown"]["entities"]["t1"]
    assert entity["metrics"]["api_requests"] == 3
    assert entity["metadata"]["team_alias"] == "Reds"


def test_users_see_what_is_their_own_and_team_admins_their_teams(spending: Spending) -> None:
    def users(key: str, **asked: Any) -> set[str]:
        return {row["user"] for row in spending.get("/spend/logs", key, **asked)}

    assert users(spending.bob) == {"bob"}
    assert users(spending.bob, user_id="ann") == set()
    assert users(spending.bob, api_key=spending.ann) == set()
    assert users(spending.ann) == {"ann"}
    assert users(spending.chief) == {"ann"}
    keys = spending.get("/spend/keys", spending.bob)
    assert {key["key_alias"] for key in keys} == {"bobs"}
    tags = spending.get("/spend/tags", spending.bob)
    assert [(each["individual_request_tag"], each["log_count"]) for each in tags] == [("red", 1)]
    pages = spending.get("/spend/logs/v2", spending.bob, **spending.days)
    assert pages["total"] == 1
    (day,) = spending.get("/spend/logs", spending.bob, **spending.days)
    assert set(day["users"]) == {"bob"}
    own = spending.get("/user/daily/activity", spending.bob, **spending.days)
    assert own["metadata"]["total_api_requests"] == 1
    other = spending.ask("/user/daily/activity", spending.bob, user_id="ann", **spending.days)
    assert other.status_code == 403
    assert spending.get("/team/daily/activity", spending.bob, **spending.days)["results"] == []
    chiefs = spending.get("/team/daily/activity", spending.chief, **spending.days)
    assert chiefs["metadata"]["total_api_requests"] == 3
    assert spending.ask("/global/spend", spending.bob).status_code == 403


@pytest.mark.parametrize(
    ("path", "asked", "param"),
    [
        ("/global/spend/report", {}, "start_date"),
        ("/global/spend/report", {"start_date": "soon", "end_date": "2026-01-01"}, "start_date"),
        ("/global/activity", {"start_date": "2026-01-02", "end_date": "2026-01-01"}, None),
        ("/global/activity", {"start_date": "2020-01-02", "end_date": "2026-01-01"}, None),
        ("/spend/logs/v2", {"start_date": "2026-01-01"}, "end_date"),
        (
            "/spend/logs/v2",
            {"start_date": "2026-01-01", "end_date": "2026-01-02", "page_size": 1001},
            "page_size",
        ),
        (
            "/spend/logs/v2",
            {"start_date": "2026-01-01", "end_date": "2026-01-02", "sort_by": "password"},
            "sort_by",
        ),
        ("/global/spend/keys", {"limit": 0}, "limit"),
        ("/spend/logs", {"api_key": "a\0b"}, "api_key"),
    ],
)
def test_a_report_that_cannot_be_made_is_refused_by_name(
    spending: Spending, path: str, asked: dict[str, Any], param: str | None
) -> None:
    answer = spending.ask(path, **asked)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


@pytest.mark.criterion("R12.1")
def test_a_cost_is_calculated_before_and_after_a_call(spending: Spending) -> None:
    def calculated(**body: Any) -> httpx.Response:
        return httpx.post(
            f"{spending.url}/spend/calculate", json=body, headers=bearer(spending.bob), timeout=30
        )

    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    answer = {"object": "chat.completion", "model": "gpt", "usage": usage}
    assert calculated(completion_response=answer).json() == {"cost": pytest.approx(0.12)}
    known = {**answer, "model": "gpt-4o-2024-08-06"}
    assert calculated(completion_response=known).json() == {"cost": pytest.approx(0.00035)}
    message = {
        "type": "message",
        "model": "claude",
        "usage": {"input_tokens": 100, "output_tokens": 10},
    }
    assert calculated(completion_response=message).json() == {"cost": pytest.approx(0.12)}
    messages = [{"role": "user", "content": "Hello there, who are you?"}]
    assert calculated(model="gpt", messages=messages).json()["cost"] == pytest.approx(0.008)
    for body, param in (
        ({}, "model"),
        ({"model": "gpt"}, "messages"),
        ({"model": "nobody-knows-it", "messages": messages}, "model"),
        ({"completion_response": {"model": "gpt"}}, "completion_response.usage"),
    ):
        refused = calculated(**body)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == param
