"""/budget/…, /customer/…, /organization/… and /tag/…, over HTTP, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.gateway import Gateways
from tests.support.management import Management, config
from trunkline.access.periods import next_reset


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def admin(request: pytest.FixtureRequest, module_gateway: Gateways) -> Management:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    return Management(module_gateway(config(url)).url)


@pytest.mark.criterion("R11.5", "R12.6", "R4.1")
@pytest.mark.parametrize("duration", ["30d", "1mo", "1w", "12h", "1d"])
def test_a_budget_begins_anew_on_the_calendar(admin, duration):
    before = next_reset(duration, datetime.now(UTC)).isoformat()
    made = admin.ask("/budget/new", {"max_budget": 5, "budget_duration": duration})
    after = next_reset(duration, datetime.now(UTC)).isoformat()
    assert before <= made["budget_reset_at"] <= after


@pytest.mark.criterion("R11.5")
def test_a_budget_is_made_changed_listed_and_deleted(admin):
    made = admin.ask("/budget/new", {"budget_id": "small", "max_budget": 0.1, "rpm_limit": 3})
    assert (made["budget_id"], made["max_budget"]) == ("small", 0.1)
    assert admin.refused("/budget/new", {"budget_id": "small"})["param"] == "budget_id"
    changed = admin.ask("/budget/update", {"budget_id": "small", "max_budget": 0.2})
    assert (changed["max_budget"], changed["rpm_limit"]) == (0.2, 3)
    assert admin.ask("/budget/info", {"budgets": ["small", "none"]}) == [changed]
    assert "small" in [each["budget_id"] for each in admin.ask("/budget/list")]
    settings = {
        each["field_name"]: each["field_value"]
        for each in admin.ask("/budget/settings", budget_id="small")
    }
    assert settings["max_budget"] == 0.2
    key = admin.key(budget_id="small")
    assert admin.ask("/budget/delete", {"id": "small"})["budget_id"] == "small"
    assert admin.ask("/key/info", key=key)["info"]["budget_id"] is None
    assert admin.refused("/budget/delete", {"id": "small"}, 404)["param"] == "id"
    assert admin.refused("/budget/update", {"budget_id": "small"}, 404)["param"] == "budget_id"


@pytest.mark.criterion("R11.5")
def test_whoever_shares_a_budget_begins_anew_with_it(admin):
    admin.ask("/budget/new", {"budget_id": "shared", "max_budget": 5, "budget_duration": "1d"})
    key = admin.key(budget_id="shared")
    changed = admin.ask("/budget/update", {"budget_id": "shared", "budget_duration": "1mo"})
    told = admin.ask("/key/info", key=key)["info"]
    assert told["budget_reset_at"] == changed["budget_reset_at"]


@pytest.mark.parametrize("prefix", ["/customer", "/end_user"])
def test_a_customer_is_made_changed_blocked_and_deleted(admin, prefix):
    id = f"of{prefix}"
    made = admin.ask(
        f"{prefix}/new", {"user_id": id, "alias": "A", "max_budget": 3, "budget_duration": "1d"}
    )
    assert made["litellm_budget_table"]["max_budget"] == 3.0
    assert made["blocked"] is False
    assert admin.refused(f"{prefix}/new", {"user_id": id})["param"] == "user_id"
    changed = admin.ask(f"{prefix}/update", {"user_id": id, "max_budget": 4, "alias": "B"})
    assert (changed["alias"], changed["litellm_budget_table"]["max_budget"]) == ("B", 4.0)
    assert changed["litellm_budget_table"]["budget_duration"] == "1d"
    assert admin.ask(f"{prefix}/info", end_user_id=id)["alias"] == "B"
    assert id in [each["user_id"] for each in admin.ask(f"{prefix}/list")]
    blocked = admin.ask(f"{prefix}/block", {"user_ids": [id, f"new {id}"]})["blocked_users"]
    assert all(each["blocked"] for each in blocked)
    admin.ask(f"{prefix}/unblock", {"user_ids": [id]})
    assert admin.ask(f"{prefix}/info", end_user_id=id)["blocked"] is False
    gone = admin.ask(f"{prefix}/delete", {"user_ids": [id, f"new {id}"]})
    assert gone["deleted_customers"] == 2
    assert admin.refused(f"{prefix}/delete", {"user_ids": [id]}, 404)["param"] == "user_ids"
    assert admin.refused(f"{prefix}/info", status=404, end_user_id=id)["param"] == "end_user_id"
    assert admin.refused(f"{prefix}/update", {"user_id": id}, 404)["param"] == "user_id"


def test_a_customer_has_limits_or_a_shared_budget_not_both(admin):
    admin.ask("/budget/new", {"budget_id": "for customers", "max_budget": 1})
    both = {"user_id": "both", "budget_id": "for customers", "max_budget": 2}
    assert admin.refused("/customer/new", both)["param"] == "budget_id"
    made = admin.ask("/customer/new", {"user_id": "one", "budget_id": "for customers"})
    assert made["litellm_budget_table"]["max_budget"] == 1.0
    none = {"user_id": "two", "budget_id": "none"}
    assert admin.refused("/customer/new", none, 404)["param"] == "budget_id"


@pytest.mark.criterion("R11.3")
def test_an_organization_holds_teams_members_and_a_budget(admin):
    made = admin.ask(
        "/organization/new",
        {"organization_alias": "Acme", "models": ["fast"], "max_budget": 50, "rpm_limit": 9},
    )
    id = made["organization_id"]
    assert made["litellm_budget_table"]["max_budget"] == 50.0
    team = admin.ask("/team/new", {"organization_id": id})["team_id"]
    key = admin.ask("/key/generate", {"team_id": team})
    assert key["organization_id"] == id
    joined = admin.ask(
        "/organization/member_add",
        {"organization_id": id, "member": {"role": "org_admin", "user_email": "o@acme.org"}},
    )
    assert joined["updated_organization_memberships"][0]["user_role"] == "org_admin"
    told = admin.ask("/organization/info", organization_id=id)
    assert [each["team_id"] for each in told["teams"]] == [team]
    assert len(told["members"]) == 1
    changed = admin.ask(
        "/organization/update", {"organization_id": id, "max_budget": 60}, method="PATCH"
    )
    assert changed["litellm_budget_table"]["max_budget"] == 60.0
    assert changed["litellm_budget_table"]["rpm_limit"] == 9
    listed = admin.ask("/organization/list", org_alias="aCM")
    assert [each["organization_id"] for each in listed] == [id]
    several = admin.ask("/organization/info", {"organizations": [id]})
    assert several[0]["organization_alias"] == "Acme"
    member = admin.having(key["key"])
    assert member.refused("/organization/info", status=403, organization_id=id)
    gone = {"organization_ids": [id]}
    assert admin.ask("/organization/delete", gone, method="DELETE")[0]["organization_id"] == id
    assert member.chat().status_code == 401
    assert admin.refused("/organization/delete", gone, 404, method="DELETE")
    assert admin.refused("/organization/info", status=404, organization_id=id)
    assert admin.refused("/organization/new", {})["param"] == "organization_alias"
    assert admin.refused("/team/new", {"organization_id": id}, 404)["param"] == "organization_id"


def test_an_internal_user_sees_the_organization_of_their_key_only(admin):
    ids = [
        admin.ask("/organization/new", {"organization_alias": name})["organization_id"]
        for name in ("own", "other")
    ]
    user_id, _ = admin.user()
    own = admin.having(admin.key(user_id=user_id, organization_id=ids[0]))
    assert [each["organization_id"] for each in own.ask("/organization/list")] == ids[:1]
    assert own.ask("/organization/info", organization_id=ids[0])
    assert own.refused("/organization/info", status=403, organization_id=ids[1])


def test_a_tag_has_a_budget(admin):
    made = admin.ask("/tag/new", {"name": "batch", "description": "at night", "max_budget": 2})
    assert made["tag"]["litellm_budget_table"]["max_budget"] == 2.0
    assert admin.refused("/tag/new", {"name": "batch"})["param"] == "name"
    admin.ask("/tag/update", {"name": "batch", "max_budget": 3, "budget_duration": "1d"})
    told = admin.ask("/tag/info", {"names": ["batch"]})
    assert told["batch"]["litellm_budget_table"]["max_budget"] == 3.0
    assert told["batch"]["description"] == "at night"
    assert "batch" in [each["name"] for each in admin.ask("/tag/list")]
    assert admin.ask("/tag/delete", {"name": "batch"})["message"]
    assert admin.refused("/tag/delete", {"name": "batch"}, 404)["param"] == "name"
    assert admin.refused("/tag/info", {"names": ["batch"]}, 404)["param"] == "names"
    assert admin.refused("/tag/update", {"name": "batch"}, 404)["param"] == "name"
