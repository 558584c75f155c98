"""/user/… and /team/…, over HTTP, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.gateway import Gateways
from tests.support.management import MASTER, Management, config


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def admin(request: pytest.FixtureRequest, module_gateway: Gateways) -> Management:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    return Management(module_gateway(config(url)).url)


def members(team: dict) -> dict[str, str]:
    return {each["user_id"]: each["role"] for each in team["members_with_roles"]}


@pytest.mark.criterion("R11.2", "R11.4", "R4.1")
def test_a_new_user_gets_a_key_of_their_own(admin):
    made = admin.ask(
        "/user/new",
        {
            "user_email": " Ann@Example.com ",
            "user_alias": "Ann",
            "user_role": "internal_user",
            "max_budget": 10,
            "budget_duration": "1mo",
            "models": ["fast"],
            "metadata": {"a": 1},
            "key_alias": "anns",
            "duration": "1d",
        },
    )
    assert made["user_email"] == "ann@example.com"
    assert made["max_budget"] == 10.0
    owner = admin.having(made["key"])
    assert owner.chat().status_code == 200
    told = owner.ask("/user/info")
    assert told["user_id"] == made["user_id"]
    assert told["user_info"]["user_role"] == "internal_user"
    assert told["keys"][0]["key_alias"] == "anns"
    assert told["keys"][0]["models"] == ["fast"]
    alone = owner.ask("/v2/user/info")
    assert (alone["user_id"], alone["teams"]) == (made["user_id"], [])
    assert admin.refused("/user/info", status=404, user_id="nobody")["param"] == "user_id"
    assert admin.ask("/user/info")["user_info"] is None


def test_a_user_may_be_made_without_a_key(admin):
    made = admin.ask("/user/new", {"auto_create_key": False})
    assert made["key"] == ""
    assert admin.ask("/user/info", user_id=made["user_id"])["keys"] == []


def test_an_id_and_an_email_belong_to_one_user_each(admin):
    admin.ask("/user/new", {"user_id": "bob", "user_email": "bob@example.com"})
    assert admin.refused("/user/new", {"user_id": "bob"}, 409)["param"] == "user_id"
    email = {"user_email": "BOB@example.com"}
    assert admin.refused("/user/new", email, 409)["param"] == "user_email"
    other = admin.ask("/user/new", {})["user_id"]
    taken = {"user_id": other, "user_email": "bob@example.com"}
    assert admin.refused("/user/update", taken, 409)["param"] == "user_email"


@pytest.mark.criterion("R11.2")
def test_a_user_is_updated_by_id_or_by_email(admin):
    made = admin.ask("/user/new", {"user_email": "cy@example.com", "rpm_limit": 3})
    changed = admin.ask("/user/update", {"user_id": made["user_id"], "max_budget": 7})
    assert changed["user_id"] == made["user_id"]
    assert (changed["data"]["max_budget"], changed["data"]["rpm_limit"]) == (7.0, 3)
    admin.ask("/user/update", {"user_email": "cy@example.com", "user_role": "proxy_admin_viewer"})
    viewer = admin.having(made["key"])
    assert viewer.ask("/user/list")["total"] >= 1
    assert viewer.refused("/key/generate", {}, 403)["code"] == "role_not_allowed"
    assert admin.refused("/user/update", {"user_id": "nobody"}, 404)["param"] == "user_id"
    assert admin.refused("/user/update", {"max_budget": 1})
    wrong = {"user_id": made["user_id"], "user_role": "king"}
    assert admin.refused("/user/update", wrong)["param"] == "user_role"


@pytest.mark.criterion("R11.2")
def test_deleting_users_ends_their_keys_and_memberships(admin):
    user_id, user = admin.user()
    team = admin.ask("/team/new", {"members_with_roles": [{"user_id": user_id, "role": "user"}]})
    assert user.chat().status_code == 200
    assert admin.refused("/user/delete", {"user_ids": [user_id, "nobody"]}, 404)
    assert admin.ask("/user/delete", {"user_ids": [user_id]}) == 1
    assert user.chat().status_code == 401
    assert members(admin.ask("/team/info", team_id=team["team_id"])["team_info"]) == {}


def test_users_are_listed_by_pages_and_filters(admin):
    team = admin.ask("/team/new", {})["team_id"]
    made = [
        admin.ask(
            "/user/new",
            {"user_email": f"u{n}@listed.org", "teams": [team], "spend": n},
        )["user_id"]
        for n in range(3)
    ]
    page = admin.ask("/user/list", user_email="LISTED.org", page_size=2)
    assert [each["user_id"] for each in page["users"]] == made[:0:-1]
    assert (page["total"], page["total_pages"], page["page"]) == (3, 2, 1)
    assert page["users"][0]["key_count"] == 1
    assert page["users"][0]["teams"] == [team]
    by_spend = admin.ask("/user/get_users", team=team, sort_by="spend", sort_order="asc")
    assert [each["user_id"] for each in by_spend["users"]] == made
    some = admin.ask("/user/list", user_ids=f"{made[0]}, {made[2]}")
    assert {each["user_id"] for each in some["users"]} == {made[0], made[2]}
    assert admin.ask("/user/list", role="proxy_admin")["users"] == []
    assert "internal_user" in admin.ask("/user/available_roles")


@pytest.mark.criterion("R11.3", "R11.4", "R4.1")
def test_a_team_has_settings_members_and_keys_of_its_own(admin):
    made = admin.ask(
        "/team/new",
        {
            "team_id": "red",
            "team_alias": "Red",
            "models": ["fast"],
            "max_budget": 20,
            "budget_duration": "7d",
            "rpm_limit": 50,
            "metadata": {"a": 1},
            "tags": ["t"],
            "model_aliases": {"quick": "fast"},
            "members_with_roles": [{"role": "admin", "user_id": "ann"}],
            "team_member_budget": 2,
        },
    )
    assert members(made) == {"ann": "admin"}
    assert made["metadata"] == {"a": 1, "tags": ["t"]}
    assert made["budget_reset_at"]
    key = admin.key(team_id="red", models=["all-team-models"])
    assert admin.having(key).chat().status_code == 200
    told = admin.ask("/team/info", team_id="red")
    assert told["team_info"]["max_budget"] == 20.0
    assert told["team_info"]["team_member_budget_table"]["max_budget"] == 2.0
    assert told["team_memberships"][0]["litellm_budget_table"]["max_budget"] == 2.0
    assert [each["team_id"] for each in told["keys"]] == ["red"]
    assert admin.refused("/team/new", {"team_id": "red"})["param"] == "team_id"
    assert admin.refused("/team/info", status=404, team_id="nobody")["param"] == "team_id"
    assert admin.refused("/key/generate", {"team_id": "nobody"}, 404)["param"] == "team_id"
    changed = admin.ask("/team/update", {"team_id": "red", "models": ["other"]})
    assert changed["data"]["models"] == ["other"]
    assert admin.having(key).chat().status_code in (401, 403)
    admin.ask("/team/model/add", {"team_id": "red", "models": ["fast", "other"]})
    assert admin.having(key).chat().status_code == 200
    left = admin.ask("/team/model/delete", {"team_id": "red", "models": ["fast", "other"]})
    assert left["models"] == ["no-default-models"]


@pytest.mark.criterion("R11.3")
def test_a_blocked_teams_keys_cannot_call(admin):
    team = admin.ask("/team/new", {})["team_id"]
    owner = admin.having(admin.key(team_id=team))
    assert owner.chat().status_code == 200
    assert admin.ask("/team/block", {"team_id": team})["blocked"] is True
    assert owner.chat().status_code in (401, 403)
    admin.ask("/team/unblock", {"team_id": team})
    assert owner.chat().status_code == 200
    assert admin.refused("/team/block", {"team_id": "nobody"}, 404)["param"] == "team_id"
    admin.ask("/team/delete", {"team_ids": [team]})
    assert owner.chat().status_code == 401
    assert admin.refused("/team/delete", {"team_ids": [team]}, 404)["param"] == "team_ids"


@pytest.mark.criterion("R11.3")
def test_members_join_change_and_leave_a_team(admin):
    team = admin.ask("/team/new", {})["team_id"]
    known = admin.ask("/user/new", {"user_email": "known@members.org"})["user_id"]
    joined = admin.ask(
        "/team/member_add",
        {
            "team_id": team,
            "member": [
                {"role": "user", "user_email": "known@members.org"},
                {"role": "user", "user_email": "new@members.org"},
                {"role": "admin", "user_id": "dora"},
            ],
            "max_budget_in_team": 5,
            "budget_duration": "1d",
        },
    )
    assert members(joined)[known] == "user"
    assert members(joined)["dora"] == "admin"
    assert len(joined["updated_users"]) == len(joined["updated_team_memberships"]) == 3
    again = {"team_id": team, "member": {"role": "user", "user_id": "dora"}}
    assert admin.refused("/team/member_add", again)["param"] == "member"
    changed = admin.ask(
        "/team/member_update",
        {"team_id": team, "user_id": "dora", "role": "user", "max_budget_in_team": 7},
    )
    assert (changed["max_budget_in_team"], changed["budget_duration"]) == (7.0, "1d")
    told = admin.ask("/team/info", team_id=team)
    budgets = {
        each["user_id"]: each["litellm_budget_table"]["max_budget"]
        for each in told["team_memberships"]
    }
    assert (budgets["dora"], budgets[known]) == (7.0, 5.0)
    key = admin.having(admin.key(team_id=team, user_id="dora"))
    assert key.chat().status_code == 200
    left = admin.ask("/team/member_delete", {"team_id": team, "user_id": "dora"})
    assert "dora" not in members(left)
    assert key.chat().status_code == 401
    gone = {"team_id": team, "user_id": "dora"}
    assert admin.refused("/team/member_delete", gone)["param"] == "user_id"
    assert admin.refused("/team/member_update", gone)["param"] == "user_id"
    assert admin.refused("/team/member_add", {"team_id": team, "member": {"role": "user"}})
    mixed = {"role": "user", "user_id": known, "user_email": "new@members.org"}
    assert admin.refused("/team/member_add", {"team_id": team, "member": mixed})


@pytest.mark.criterion("R11.3")
def test_a_budget_for_members_reaches_those_who_have_none(admin):
    team = admin.ask("/team/new", {"members_with_roles": [{"role": "user", "user_id": "eve"}]})
    changed = {"team_id": team["team_id"], "team_member_budget": 3, "team_member_rpm_limit": 4}
    admin.ask("/team/update", changed)
    told = admin.ask("/team/info", team_id=team["team_id"])["team_memberships"]
    assert told[0]["litellm_budget_table"]["max_budget"] == 3.0
    raised = {"team_id": team["team_id"], "user_id": "eve", "max_budget_in_team": 9}
    admin.ask("/team/member_update", raised)
    told = admin.ask("/team/info", team_id=team["team_id"])
    assert told["team_info"]["team_member_budget_table"]["max_budget"] == 3.0
    own = told["team_memberships"][0]["litellm_budget_table"]
    assert (own["max_budget"], own["rpm_limit"]) == (9.0, 4)


def test_teams_are_listed_by_pages_and_filters(admin):
    for n in range(3):
        admin.ask(
            "/team/new",
            {"team_alias": f"Page {n}", "members_with_roles": [{"role": "user", "user_id": "fay"}]},
        )
    page = admin.ask("/v2/team/list", user_id="fay", page_size=2, sort_by="team_alias")
    assert [each["team_alias"] for each in page["teams"]] == ["Page 0", "Page 1"]
    assert (page["total"], page["total_pages"]) == (3, 2)
    assert {each["team_alias"] for each in admin.ask("/team/list", user_id="fay")} == {
        "Page 0", "Page 1", "Page 2"
    }  # fmt: skip
    assert len(admin.ask("/v2/team/list", team_alias="pAGE 1")["teams"]) == 1
    assert admin.refused("/v2/team/list", sort_by="x")["param"] == "sort_by"


def test_one_of_those_who_add_a_member_at_once_does(admin):
    team = admin.ask("/team/new", {})["team_id"]
    asked = {"team_id": team, "member": {"role": "user", "user_email": "all@once.org"}}

    def ask(_: int) -> int:
        return admin.having(MASTER).send("/team/member_add", asked).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(ask, range(8)))
    assert statuses == [200] + 7 * [400]
    assert len(members(admin.ask("/team/info", team_id=team)["team_info"])) == 1


@pytest.mark.criterion("R11.3")
def test_the_admin_of_a_team_manages_it_and_no_other(admin):
    boss_id, boss = admin.user()
    team = admin.ask(
        "/team/new",
        {
            "models": ["fast"],
            "max_budget": 10,
            "rpm_limit": 100,
            "members_with_roles": [{"role": "admin", "user_id": boss_id}],
        },
    )["team_id"]
    other = admin.ask("/team/new", {})["team_id"]
    boss.ask("/team/member_add", {"team_id": team, "member": {"role": "user", "user_id": "gus"}})
    boss.ask("/team/update", {"team_id": team, "team_alias": "mine", "rpm_limit": 50})
    boss.ask("/team/info", team_id=team)
    assert [each["team_id"] for each in boss.ask("/team/list")] == [team]
    made = boss.ask("/key/generate", {"team_id": team, "user_id": None, "models": ["fast"]})
    assert made["team_id"] == team
    assert made["token_id"] in boss.ask("/key/list", include_team_keys=True)["keys"]
    for asked in (
        {"max_budget": 11},
        {"max_budget": None},
        {"rpm_limit": 51},
        {"models": ["fast", "other"]},
        {"budget_duration": "1d"},
        {"organization_id": "x"},
    ):
        refused = boss.refused("/team/update", {"team_id": team, **asked}, 403)
        assert refused["param"] == next(iter(asked))
    assert boss.refused("/team/update", {"team_id": other, "team_alias": "x"}, 403)
    assert boss.refused("/team/info", status=403, team_id=other)
    assert boss.refused("/team/new", {}, 403)
    for_another = {"team_id": team, "user_id": "gus"}
    assert boss.refused("/key/generate", for_another, 403)["param"] == "user_id"
    too_much = {"team_id": team, "user_id": "gus", "max_budget_in_team": 11}
    assert boss.refused("/team/member_update", too_much, 403)["param"] == "max_budget"
    admin.ask("/team/block", {"team_id": team})
    assert boss.refused("/team/unblock", {"team_id": team}, 403)["param"] == "blocked"


@pytest.mark.criterion("R11.3")
def test_a_team_says_what_its_members_may_do_with_keys(admin):
    user_id, user = admin.user()
    team = admin.ask("/team/new", {"members_with_roles": [{"role": "user", "user_id": user_id}]})[
        "team_id"
    ]
    assert user.refused("/key/generate", {"team_id": team}, 403)["param"] == "team_id"
    allowed = {"team_id": team, "team_member_permissions": ["/key/generate"]}
    assert user.refused("/team/permissions_update", allowed, 403)
    admin.ask("/team/permissions_update", allowed)
    listed = user.ask("/team/permissions_list", team_id=team)
    assert listed["team_member_permissions"] == ["/key/generate"]
    made = user.ask("/key/generate", {"team_id": team})
    assert (made["team_id"], made["user_id"]) == (team, user_id)
    update = {"key": made["token_id"], "rpm_limit": 4}
    assert user.refused("/key/update", update, 403)
    user.ask("/key/delete", {"keys": [made["token_id"]]})
    unknown = {"team_id": team, "team_member_permissions": ["/user/new"]}
    assert admin.refused("/team/permissions_update", unknown)["param"] == "team_member_permissions"


@pytest.mark.criterion("R11.3")
def test_a_key_of_a_team_acts_in_that_team_alone(admin):
    user_id, user = admin.user()
    mine = [
        admin.ask("/team/new", {"members_with_roles": [{"role": "admin", "user_id": user_id}]})[
            "team_id"
        ]
        for _ in range(2)
    ]
    inside = admin.having(admin.key(team_id=mine[0], user_id=user_id))
    personal = user.ask("/key/generate", {})
    inside.ask("/team/update", {"team_id": mine[0], "team_alias": "a"})
    assert inside.refused("/team/update", {"team_id": mine[1], "team_alias": "a"}, 403)
    assert inside.refused("/key/generate", {}, 403)["param"] == "team_id"
    assert inside.refused("/key/regenerate", {"key": personal["token_id"]}, 403)
    user.ask("/team/update", {"team_id": mine[1], "team_alias": "a"})
