"""What the configuration says of new keys, users and teams, and demands of every call."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.gateway import Gateways
from tests.support.management import MODEL, Management, config


def managed(gateway: Gateways, general: dict[str, Any] | None = None, **told: Any) -> Management:
    """A gateway with `litellm_settings`, and general ones."""
    return Management(gateway({**config(**(general or {})), "litellm_settings": told}).url)


def about(at: Management, key: str) -> dict[str, Any]:
    info: dict[str, Any] = at.ask("/key/info", key=key)["info"]
    return info


def days_left(info: dict[str, Any]) -> float:
    left: timedelta = datetime.fromisoformat(info["expires"]) - datetime.now(UTC)
    return left / timedelta(days=1)


@pytest.mark.criterion("R4.1")
def test_a_key_that_says_nothing_gets_the_defaults_of_the_configuration(gateway: Gateways) -> None:
    defaults = {
        "max_budget": 1.5,
        "budget_duration": "30d",
        "duration": "7d",
        "rpm_limit": 10,
        "models": ["fast"],
        "metadata": {"from": "config"},
    }
    at = managed(gateway, default_key_generate_params=defaults)
    info = about(at, at.key())
    assert info["max_budget"] == 1.5
    assert (info["rpm_limit"], info["models"]) == (10, ["fast"])
    assert (info["budget_duration"], info["metadata"]) == ("30d", {"from": "config"})
    assert info["budget_reset_at"]
    assert 6.9 < days_left(info) < 7.1
    own = about(at, at.key(max_budget=9, rpm_limit=99, models=["other"], budget_duration=None))
    assert (own["max_budget"], own["rpm_limit"], own["models"]) == (9, 99, ["other"])
    assert own["budget_duration"] is None


@pytest.mark.criterion("R4.1")
def test_no_key_is_made_or_changed_beyond_the_upper_bounds(gateway: Gateways) -> None:
    most = {
        "max_budget": 100,
        "budget_duration": "10d",
        "duration": "30d",
        "max_parallel_requests": 5,
        "tpm_limit": 1000,
        "rpm_limit": 100,
    }
    at = managed(gateway, upperbound_key_generate_params=most)
    info = about(at, key := at.key())
    assert {name: info[name] for name in most if name != "duration"} == {
        name: value for name, value in most.items() if name != "duration"
    }
    assert 29.9 < days_left(info) < 30.1
    for name, value in {
        **{"max_budget": 100.01, "budget_duration": "11d", "duration": "31d"},
        **{"max_parallel_requests": 6, "tpm_limit": 1001, "rpm_limit": 101},
    }.items():
        for path, named in (("/key/generate", {}), ("/key/update", {"key": key})):
            assert at.refused(path, {**named, name: value})["param"] == name
    assert about(at, at.key(max_budget=1, duration="1h"))["max_budget"] == 1
    at.ask("/key/update", {"key": key, "max_budget": None, "key_alias": "mine"})
    assert about(at, key)["max_budget"] == 100


def test_users_and_teams_get_the_defaults_of_the_configuration(gateway: Gateways) -> None:
    at = managed(
        gateway,
        default_internal_user_params={"user_role": "internal_user_viewer", "models": ["fast"]},
        max_internal_user_budget=5,
        internal_user_budget_duration="1d",
        default_team_params={
            "max_budget": 7,
            "tpm_limit": 70,
            "team_member_permissions": ["/key/generate"],
        },
    )

    def user(**asked: Any) -> dict[str, Any]:
        made: dict[str, Any] = at.ask("/user/new", {"auto_create_key": False, **asked})
        return made

    viewer, internal = user(), user(user_role="internal_user")
    assert (viewer["user_role"], viewer["models"]) == ("internal_user_viewer", ["fast"])
    assert viewer["max_budget"] is None
    assert (internal["max_budget"], internal["budget_duration"]) == (5, "1d")
    assert user(user_role="internal_user", max_budget=1)["max_budget"] == 1
    admin = user(user_role="proxy_admin")
    assert (admin["models"], admin["max_budget"]) == ([], None)
    at.ask("/user/update", {"user_id": viewer["user_id"], "user_role": "internal_user"})
    raised = at.ask("/user/info", user_id=viewer["user_id"])["user_info"]
    assert (raised["max_budget"], raised["budget_duration"]) == (5, "1d")

    team = at.ask("/team/new", {})
    assert (team["max_budget"], team["tpm_limit"]) == (7, 70)
    told = at.ask("/team/permissions_list", team_id=team["team_id"])
    assert told["team_member_permissions"] == ["/key/generate"]
    assert at.ask("/team/new", {"max_budget": 1})["max_budget"] == 1


@pytest.mark.parametrize("name", ["max_internal_user_budget", "default_max_internal_user_budget"])
def test_the_budget_of_internal_users_has_two_names(gateway: Gateways, name: str) -> None:
    at = managed(gateway, **{name: 3})
    assert at.ask("/user/new", {})["max_budget"] == 3


def test_who_makes_keys_and_what_they_say_is_set_in_the_configuration(gateway: Gateways) -> None:
    at = managed(
        gateway,
        key_generation_settings={
            "team_key_generation": {
                "allowed_team_member_roles": ["admin"],
                "required_params": ["tags"],
            },
            "personal_key_generation": {"allowed_user_roles": ["proxy_admin"]},
        },
        default_team_params={"team_member_permissions": ["/key/generate"]},
    )
    member, admin = "member", "admin"
    for name in (member, admin):
        at.ask("/user/new", {"user_id": name, "auto_create_key": False})
    roles = [{"user_id": member, "role": "user"}, {"user_id": admin, "role": "admin"}]
    team = at.ask("/team/new", {"members_with_roles": roles})["team_id"]
    of_member, of_admin = (at.having(at.key(user_id=each)) for each in (member, admin))

    refused = of_admin.refused("/key/generate", {})
    assert refused["code"] == "key_generation_restricted"
    asked = {"team_id": team, "tags": ["a"]}
    assert of_admin.ask("/key/generate", asked)["key"]
    assert of_admin.refused("/key/generate", {"team_id": team})["param"] == "tags"
    assert of_member.refused("/key/generate", asked)["code"] == "key_generation_restricted"


def chat(at: Management, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    body = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return at.http.post("/v1/chat/completions", json=body, headers=headers or {})


def test_a_call_says_whom_it_serves_where_that_is_demanded(gateway: Gateways) -> None:
    at = managed(gateway, {"enforce_user_param": True})
    refused = chat(at)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "user"
    assert chat(at, user="somebody").status_code == 200
    assert chat(at, {"x-litellm-end-user-id": "somebody"}).status_code == 200
    body = {"model": "fast", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    assert at.http.post("/v1/messages", json=body).status_code == 400
    named = {**body, "metadata": {"user_id": "somebody"}}
    assert at.http.post("/v1/messages", json=named).status_code == 200
    assert at.ask("/v1/models")


def test_calls_bring_no_tags_where_they_may_not(gateway: Gateways) -> None:
    at = managed(gateway, {"reject_clientside_metadata_tags": True})
    refused = chat(at, metadata={"tags": ["mine"]})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "metadata.tags"
    assert chat(at, {"x-litellm-tags": "mine"}).status_code == 400
    assert chat(at, metadata={"other": "x"}).status_code == 200
    tagged = at.having(at.key(tags=["its-own"]))
    assert chat(tagged).status_code == 200


def test_only_admins_use_what_is_for_them_and_nobody_what_is_not_served(gateway: Gateways) -> None:
    at = managed(
        gateway,
        {
            "admin_only_routes": ["/key/generate", "/v1/embeddings"],
            "allowed_routes": ["llm_api_routes", "/key/*", "/user/new"],
        },
    )
    _, user = at.user()
    assert user.chat().status_code == 200
    assert user.refused("/key/generate", {}, 403)["code"] == "admin_only_route"
    embedding = {"model": "fast", "input": "Hi"}
    assert user.refused("/v1/embeddings", embedding, 403)["code"] == "admin_only_route"
    assert at.ask("/key/generate", {})
    assert at.refused("/team/new", {}, 403)["code"] == "route_not_allowed"


def test_deployments_take_as_many_calls_at_once_as_the_configuration_says(
    gateway: Gateways,
) -> None:
    settings = config(max_parallel_requests=1)
    params: dict[str, Any] = {**MODEL["litellm_params"], "mock_delay": 0.4}
    settings["model_list"] = [{**MODEL, "litellm_params": params}]
    at = Management(gateway(settings).url)
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        answers = [each.result() for each in [pool.submit(at.chat) for _ in range(3)]]
    assert {each.status_code for each in answers} == {200}
    assert time.monotonic() - began >= 1.2


def test_what_a_setting_means_that_is_wrong_is_told_at_the_start(gateway: Gateways) -> None:
    bad = {**config(), "litellm_settings": {"upperbound_key_generate_params": {"duration": "x"}}}
    started = gateway(bad, ready=False)
    assert started.wait() != 0
    assert "litellm_settings.upperbound_key_generate_params.duration" in started.log()


@pytest.mark.criterion("R11.2")
def test_a_budget_is_higher_for_as_long_as_it_was_raised(gateway: Gateways) -> None:
    general = {"user_api_key_cache_ttl": 0.1}
    settings = config(**general)
    prices = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.001}
    settings["model_list"] = [{**MODEL, "model_info": prices}]
    at = Management(gateway(settings).url)
    key = at.key(max_budget=0)
    own = at.having(key)
    assert own.chat().status_code == 400
    raised = {"key": key, "temp_budget_increase": 5}
    soon = datetime.now(UTC) + timedelta(seconds=2)
    at.ask("/key/update", {**raised, "temp_budget_expiry": soon.isoformat()})
    assert own.chat().status_code == 200
    time.sleep((soon - datetime.now(UTC)).total_seconds() + 0.3)
    assert own.chat().status_code == 400

    _, user = at.user()
    mine = user.key(max_budget=1)
    later = datetime.now(UTC) + timedelta(days=1)
    asked = {"key": mine, "temp_budget_increase": 5, "temp_budget_expiry": later.isoformat()}
    assert user.refused("/key/update", asked, 403)["param"] == "temp_budget_increase"
