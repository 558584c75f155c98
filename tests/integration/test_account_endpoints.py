"""Keys that are replaced with a grace, several users or members at once, spend begun anew."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.fakes import FakeOpenAI
from tests.support.accounts import Fleet, price_of_one, statuses
from tests.support.accounts import config as charged
from tests.support.gateway import Gateways
from tests.support.management import Management, config
from tests.support.providers import Providers
from trunkline.access.roles import ROUTES


@pytest.fixture
def admin(gateway: Gateways, database_url: str) -> Management:
    return Management(gateway(config(database_url)).url)


def anew(at: Management, key: str, **asked: Any) -> str:
    made: str = at.ask("/key/regenerate", {"key": key, **asked})["key"]
    return made


@pytest.mark.criterion("R4.1")
def test_a_key_that_was_replaced_is_good_until_its_grace_is_over(admin: Management) -> None:
    old = admin.key(models=["fast"])
    new = anew(admin, old, grace_period="2s")
    began = time.monotonic()
    assert admin.having(old).chat().status_code == 200
    assert admin.having(new).chat().status_code == 200
    while admin.having(old).chat().status_code == 200:
        assert time.monotonic() - began < 5
        time.sleep(0.1)
    assert time.monotonic() - began > 1.5
    assert admin.having(old).chat().status_code == 401
    assert admin.having(new).chat().status_code == 200
    assert admin.refused("/key/regenerate", {"key": new, "grace_period": "soon"})["param"]


def test_a_replaced_key_follows_the_one_in_its_place_and_ends_with_it(admin: Management) -> None:
    first = admin.key()
    second = anew(admin, first, grace_period="1h")
    third = anew(admin, second, grace_period="1h")
    for key in (first, second, third):
        assert admin.having(key).chat().status_code == 200
    admin.ask("/key/block", {"key": third})
    assert admin.having(first).chat().status_code == 401
    admin.ask("/key/unblock", {"key": third})
    assert admin.having(first).chat().status_code == 200
    fourth = anew(admin, third)
    for key in (first, second, third):
        assert admin.having(key).chat().status_code == 401
    assert admin.having(fourth).chat().status_code == 200
    fifth = anew(admin, fourth, grace_period="1h")
    assert admin.having(fourth).chat().status_code == 200
    admin.ask("/key/delete", {"keys": [fifth]})
    assert admin.having(fourth).chat().status_code == 401


def test_several_users_change_at_once_each_by_itself(admin: Management) -> None:
    one, other = (admin.user(user_email=f"{name}@x.org")[0] for name in ("a", "b"))
    changes = [
        {"user_id": one, "max_budget": 5},
        {"user_email": "b@x.org", "user_alias": "B"},
        {"user_id": "nobody", "max_budget": 1},
    ]
    told = admin.ask("/user/bulk_update", {"users": changes})
    counts = (told["total_requested"], told["successful_updates"], told["failed_updates"])
    assert counts == (3, 2, 1)
    assert [each["success"] for each in told["results"]] == [True, True, False]
    assert told["results"][1]["user_id"] == other
    assert told["results"][2]["error"]
    assert admin.ask("/user/info", user_id=one)["user_info"]["max_budget"] == 5
    changed = {"all_users": True, "user_updates": {"max_budget": 9, "user_id": one}}
    assert admin.ask("/user/bulk_update", changed)["successful_updates"] == 2
    assert admin.ask("/user/info", user_id=other)["user_info"]["max_budget"] == 9
    admin.refused("/user/bulk_update", {"all_users": True})
    _, user = admin.user()
    user.refused("/user/bulk_update", changed, 403)


def test_many_members_join_a_team_together_or_not_at_all(admin: Management) -> None:
    team = admin.ask("/team/new", {})["team_id"]
    members = [{"user_id": "a", "role": "user"}, {"user_email": "b@x.org", "role": "admin"}]
    asked = {"team_id": team, "members": members, "max_budget_in_team": 3}
    told = admin.ask("/team/bulk_member_add", asked)
    assert (told["successful_additions"], told["failed_additions"]) == (2, 0)
    assert len(told["updated_team"]["members_with_roles"]) == 2
    again = admin.ask("/team/bulk_member_add", asked)
    assert (again["successful_additions"], again["failed_additions"]) == (0, 2)
    assert all(each["error"] for each in again["results"])
    _, user = admin.user(user_id="c")
    user.refused("/team/bulk_member_add", asked, 403)
    whole = admin.ask("/team/new", {})["team_id"]
    everybody = {"team_id": whole, "all_users": True}
    user.refused("/team/bulk_member_add", everybody, 403)
    assert admin.ask("/team/bulk_member_add", everybody)["successful_additions"] == 3


@pytest.mark.criterion("R11.2")
def test_what_keys_have_spent_begins_anew_when_that_is_asked_for(
    gateway: Gateways, fakes: Providers, database_url: str
) -> None:
    settings = charged(fakes(FakeOpenAI), general_settings={"database_url": database_url})
    fleet = Fleet([gateway(settings)], database_url)
    price = price_of_one(fleet)
    key = fleet.admin.key(max_budget=price / 1e9 * 1.5)
    answers = fleet.ask(key, max_tokens=1, count=1)
    while statuses(more := fleet.ask(key, count=1))[200]:
        answers += more
    fleet.rows_of(answers)
    refused = fleet.one(key)
    assert refused.status == 400
    fleet.admin.ask("/global/spend/reset", {})
    assert fleet.one(key).status == 200
    _, user = fleet.admin.user()
    user.refused("/global/spend/reset", {}, 403)


def test_every_route_that_has_a_role_is_served(admin: Management) -> None:
    served = {each["path"] for each in admin.ask("/routes")["routes"]}
    declared = {re.sub(r":path\}", "}", path) for path in ROUTES}
    assert declared - served == set()
