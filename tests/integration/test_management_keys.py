"""/key/…: virtual keys, over HTTP, on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.gateway import Gateways
from tests.support.management import MASTER, Management, config


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def admin(request: pytest.FixtureRequest, module_gateway: Gateways) -> Management:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    return Management(module_gateway(config(url)).url)


def info(admin: Management, key: str) -> dict:
    return admin.ask("/key/info", key=key)["info"]


@pytest.mark.criterion("R11.2", "R11.4", "R4.1")
def test_a_key_is_shown_once_and_can_call_until_it_is_deleted(admin):
    made = admin.ask("/key/generate", {"metadata": {"team": "core"}, "tags": ["a"]})
    key = made["key"]
    assert key.startswith("sk-")
    assert len(key) > 40
    assert made["key_name"] == f"sk-...{key[-4:]}"
    assert made["metadata"] == {"team": "core", "tags": ["a"]}
    owner = admin.having(key)
    assert owner.chat().status_code == 200
    told = admin.ask("/key/info", key=made["token_id"])
    assert key not in str(told)
    assert told["info"]["status"] == "active"
    assert owner.ask("/key/info")["info"]["key_name"] == made["key_name"]
    assert admin.ask("/key/delete", {"keys": [key]}) == {"deleted_keys": [key]}
    assert owner.chat().status_code == 401
    assert admin.refused("/key/info", status=404, key=key)["param"] == "key"
    assert admin.refused("/key/delete", {"keys": [key]}, 404)["param"] == "keys"


@pytest.mark.criterion("R11.2")
def test_a_key_keeps_all_that_it_is_given(admin):
    asked = {
        "key_alias": "complete",
        "models": ["fast", "openai/*"],
        "max_budget": 12.5,
        "soft_budget": 10,
        "budget_duration": "30d",
        "rpm_limit": 10,
        "tpm_limit": 1000,
        "max_parallel_requests": 3,
        "model_rpm_limit": {"fast": 5},
        "model_tpm_limit": {"fast": 500},
        "model_max_budget": {"fast": {"budget_limit": 0.5, "time_period": "1d"}, "b": 2},
        "aliases": {"quick": "fast"},
        "config": {"a": 1},
        "permissions": {"b": True},
        "allowed_routes": ["/v1/chat/completions", "/key/info"],
        "guardrails": ["pii"],
        "duration": "1h",
    }
    key = admin.key(**asked)
    told = info(admin, key)
    same = asked.keys() - {"duration", "guardrails", "model_max_budget"}
    assert {name: told[name] for name in same} == {name: asked[name] for name in same}
    assert told["model_max_budget"]["b"] == {"budget_limit": 2.0, "time_period": None}
    assert told["metadata"]["guardrails"] == ["pii"]
    left = datetime.fromisoformat(told["expires"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    resets = datetime.fromisoformat(told["budget_reset_at"])
    assert (resets.day, resets.hour) == (1, 0)


@pytest.mark.criterion("R11.2")
def test_an_update_changes_what_it_names_and_nothing_else(admin):
    key = admin.key(rpm_limit=5, max_budget=1, metadata={"a": 1}, tags=["x"])
    changed = admin.ask("/key/update", {"key": key, "rpm_limit": 7, "tags": ["y"]})
    assert changed["key"] == key
    told = info(admin, key)
    assert (told["rpm_limit"], told["max_budget"]) == (7, 1.0)
    assert told["metadata"] == {"a": 1, "tags": ["y"]}
    admin.ask("/key/update", {"key": key, "rpm_limit": None, "metadata": {"b": 2}, "models": None})
    told = info(admin, key)
    assert told["rpm_limit"] is None
    assert told["metadata"] == {"b": 2}
    admin.ask("/key/update", {"key": key, "key_alias": "renamed"})
    admin.ask("/key/update", {"key_alias": "renamed", "tpm_limit": 9})
    assert info(admin, key)["tpm_limit"] == 9
    missing = {"key_alias": "nobody", "tpm_limit": 9}
    assert admin.refused("/key/update", missing, 404)["param"] == "key_alias"
    assert admin.refused("/key/update", {"tpm_limit": 9})


def test_a_temporary_increase_is_kept_with_its_end(admin):
    key = admin.key(max_budget=1)
    end = "2035-01-01T00:00:00Z"
    raised = {"key": key, "temp_budget_increase": 5, "temp_budget_expiry": end}
    admin.ask("/key/update", raised)
    told = info(admin, key)
    assert told["temp_budget_increase"] == 5.0
    assert datetime.fromisoformat(told["temp_budget_expiry"]) == datetime.fromisoformat(end)
    assert admin.refused("/key/update", {"key": key, "temp_budget_increase": 5})


@pytest.mark.criterion("R11.2")
def test_a_regenerated_key_keeps_all_but_itself(admin):
    old = admin.key(rpm_limit=5, key_alias="kept", metadata={"a": 1})
    made = admin.ask("/key/regenerate", {"key": old})
    assert made["key"] != old
    assert made["key_alias"] == "kept"
    assert admin.having(old).chat().status_code == 401
    assert admin.having(made["key"]).chat().status_code == 200
    again = admin.ask(f"/key/{made['token_id']}/regenerate", {"rpm_limit": 6})
    told = info(admin, again["key"])
    assert (told["rpm_limit"], told["metadata"]) == (6, {"a": 1})
    wanted = "sk-of-the-callers-choice"
    assert admin.ask("/key/regenerate", {"key": again["key"], "new_key": wanted})["key"] == wanted


@pytest.mark.criterion("R11.2")
def test_a_blocked_key_cannot_call_until_it_is_unblocked(admin):
    key = admin.key()
    owner = admin.having(key)
    assert owner.chat().status_code == 200
    assert admin.ask("/key/block", {"key": key})["blocked"] is True
    assert owner.chat().status_code in (401, 403)
    assert info(admin, key)["status"] == "blocked"
    admin.ask("/key/unblock", {"key": key})
    assert owner.chat().status_code == 200
    assert admin.refused("/key/block", {"key": "sk-nobody"}, 404)["param"] == "key"


@pytest.mark.criterion("R11.2")
def test_a_key_expires(admin):
    key = admin.key(duration="1s")
    time.sleep(1.2)
    assert admin.having(key).chat().status_code == 401
    assert info(admin, key)["status"] == "expired"
    admin.ask("/key/update", {"key": key, "duration": "-1"})
    assert admin.having(key).chat().status_code == 200


@pytest.mark.criterion("R11.2")
def test_a_key_may_call_its_models_only(admin):
    assert admin.having(admin.key(models=["fast"])).chat().status_code == 200
    assert admin.having(admin.key(models=["other"])).chat().status_code in (401, 403)


@pytest.mark.criterion("R12.3")
def test_a_key_whose_spend_is_its_budget_is_stopped_until_the_budget_is_raised(admin):
    key = admin.key(max_budget=1)
    owner = admin.having(key)
    assert owner.chat().status_code == 200
    admin.ask("/key/update", {"key": key, "spend": 1})
    assert owner.chat().status_code in (400, 429)
    admin.ask("/key/update", {"key": key, "spend": 0})
    assert owner.chat().status_code == 200


def test_a_caller_may_choose_a_key_that_is_hard_to_guess(admin):
    assert admin.key(key="sk-chosen-by-the-caller") == "sk-chosen-by-the-caller"
    assert admin.refused("/key/generate", {"key": "sk-chosen-by-the-caller"})["param"] == "key"
    for bad in ("sk-short", "no-prefix-at-all-here", "sk-with-\u00e4-umlaut-in-it"):
        assert admin.refused("/key/generate", {"key": bad})["param"] == "key"


def test_an_alias_belongs_to_one_key_however_many_ask_at_once(admin):
    def ask(_: int) -> int:
        return admin.having(MASTER).send("/key/generate", {"key_alias": "wanted"}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(ask, range(8)))
    assert statuses == [200] + 7 * [400]
    taken = admin.refused("/key/generate", {"key_alias": "wanted"})
    assert (taken["param"], taken["code"]) == ("key_alias", "already_exists")
    other = admin.key(key_alias="other")
    assert admin.refused("/key/update", {"key": other, "key_alias": "wanted"})["param"] == (
        "key_alias"
    )


def test_keys_are_deleted_by_their_aliases_all_or_none(admin):
    key = admin.key(key_alias="first")
    assert admin.refused("/key/delete", {"key_aliases": ["first", "none"]}, 404)
    assert admin.having(key).chat().status_code == 200
    assert admin.ask("/key/delete", {"key_aliases": ["first"]}) == {"deleted_keys": ["first"]}
    assert admin.having(key).chat().status_code == 401
    assert admin.refused("/key/delete", {})


def test_several_keys_are_updated_at_once_each_by_itself(admin):
    first = admin.key()
    done = admin.ask(
        "/key/bulk_update",
        {"keys": [{"key": first, "max_budget": 3}, {"key": "sk-nobody", "max_budget": 3}]},
    )
    assert done["total_requested"] == 2
    assert done["successful_updates"][0]["key_info"]["max_budget"] == 3.0
    assert done["failed_updates"][0]["key"] == "sk-nobody"


@pytest.mark.criterion("R11.3")
def test_keys_are_listed_by_pages_filters_and_order(admin):
    team = admin.ask("/team/new", {"team_alias": "listed"})["team_id"]
    made = [
        admin.ask("/key/generate", {"team_id": team, "key_alias": f"listed-{n}", "max_budget": n})
        for n in range(5)
    ]
    tokens = [each["token_id"] for each in made]
    first = admin.ask("/key/list", team_id=team, size=2)
    assert first["keys"] == tokens[:2:-1]
    assert (first["total_count"], first["total_pages"], first["current_page"]) == (5, 3, 1)
    assert admin.ask("/key/list", team_id=team, size=2, page=3)["keys"] == tokens[:1]
    assert admin.ask("/key/list", team_id=team, size=2, page=4)["keys"] == []
    ordered = admin.ask(
        "/key/list", team_id=team, sort_by="max_budget", sort_order="asc", return_full_object=True
    )
    assert [each["max_budget"] for each in ordered["keys"]] == [0, 1, 2, 3, 4]
    one = admin.ask("/key/list", key_hash=tokens[3])
    assert one["keys"] == [tokens[3]]
    named = admin.ask("/key/list", key_alias="listed-2", return_full_object=True)["keys"]
    assert [each["token"] for each in named] == [tokens[2]]
    aliases = admin.ask("/key/aliases", search="ISTED-", team_id=team, size=3)
    assert aliases["aliases"] == ["listed-0", "listed-1", "listed-2"]
    assert (aliases["total_count"], aliases["total_pages"]) == (5, 2)
    for wrong in ({"size": 101}, {"page": 0}, {"sort_by": "token; DROP"}, {"sort_order": "up"}):
        assert admin.refused("/key/list", **wrong)["param"] == next(iter(wrong))


def test_a_service_account_is_a_key_of_a_team_and_of_no_user(admin):
    team = admin.ask("/team/new", {"team_alias": "services"})["team_id"]
    made = admin.ask("/key/service-account/generate", {"team_id": team, "key_alias": "robot"})
    assert (made["team_id"], made["user_id"]) == (team, None)
    assert admin.refused("/key/service-account/generate", {})["param"] == "team_id"
    nobody = {"team_id": "nobody"}
    assert admin.refused("/key/service-account/generate", nobody, 404)["param"] == "team_id"


def test_a_key_shares_a_budget_by_its_name(admin):
    budget = admin.ask("/budget/new", {"max_budget": 3, "budget_duration": "1d"})
    key = admin.key(budget_id=budget["budget_id"])
    told = info(admin, key)
    assert told["litellm_budget_table"]["max_budget"] == 3.0
    assert told["budget_reset_at"] == budget["budget_reset_at"]
    assert admin.refused("/key/generate", {"budget_id": "none"}, 404)["param"] == "budget_id"


def test_a_good_key_is_told_so(admin):
    told = admin.having(admin.key()).ask("/key/health", {})
    assert told == {"key": "healthy", "logging_callbacks": None}


@pytest.mark.criterion("R11.2")
def test_a_user_makes_keys_for_themselves_and_sees_no_others(admin):
    user_id, user = admin.user(max_budget=5)
    made = user.ask("/key/generate", {"key_alias": "mine-own", "max_budget": 4})
    assert made["user_id"] == user_id
    refused = user.refused("/key/generate", {"max_budget": 6}, 403)
    assert (refused["param"], refused["code"]) == ("max_budget", "not_granted")
    for asked in ({"user_id": "other"}, {"spend": 5}, {"permissions": {"a": 1}}):
        assert user.refused("/key/generate", asked, 403)["param"] == next(iter(asked))
    foreign = admin.ask("/key/generate", {})
    assert user.refused("/key/info", status=403, key=foreign["key"])
    assert user.refused("/key/update", {"key": foreign["token_id"], "rpm_limit": 1}, 403)
    assert user.refused("/key/delete", {"keys": [foreign["token_id"]]}, 403)
    assert user.refused("/key/regenerate", {"key": foreign["token_id"]}, 403)
    assert made["token_id"] in user.ask("/key/list")["keys"]
    assert foreign["token_id"] not in user.ask("/key/list")["keys"]
    assert user.ask("/key/list", user_id="other")["keys"] == []


@pytest.mark.criterion("R11.2")
def test_a_user_cannot_lift_what_an_admin_blocked(admin):
    _, user = admin.user()
    mine = user.ask("/key/generate", {})
    named = {"key": mine["token_id"]}
    user.ask("/key/block", named)
    user.ask("/key/unblock", named)
    admin.ask("/key/block", named)
    user.ask("/key/block", named)
    assert user.refused("/key/unblock", named, 403)["param"] == "blocked"
    assert user.refused("/key/update", {**named, "blocked": False}, 403)["param"] == "blocked"


@pytest.mark.criterion("R11.1")
def test_a_hash_names_a_key_and_never_opens_anything(admin):
    token = admin.ask("/key/generate", {})["token_id"]
    admin.ask("/key/info", key=token)
    assert admin.having(token).send("/key/info").status_code == 401
