"""Nobody can grant what they lack: every rule, case by case."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trunkline.access import granting
from trunkline.access.granting import Ceiling, Grantor, model_allowed
from trunkline.access.roles import Role, covers_route
from trunkline.errors import PermissionDenied

SOON, LATE = datetime(2030, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
DOLLAR = 10**9

TEAM = {
    "team_id": "red",
    "organization_id": "org",
    "models": ["gpt-*", "claude"],
    "permissions": ["/key/generate", "/key/regenerate"],
    "max_budget": 10 * DOLLAR,
    "rpm_limit": 100,
    "tpm_limit": None,
    "max_parallel_requests": None,
    "budget_duration": "30d",
    "model_rpm_limit": {},
    "model_tpm_limit": {},
    "model_max_budget": {},
    "blocked": False,
    "blocked_by": "",
    "spend": 0,
}
CLOSED = {**TEAM, "team_id": "blue", "permissions": []}
KEY = {
    **dict.fromkeys(("max_budget", "rpm_limit", "tpm_limit", "budget_duration")),
    **{"token": "h", "user_id": "ann", "team_id": None, "organization_id": None, "expires": None},
    **{"models": [], "allowed_routes": [], "metadata": {}, "blocked": False, "blocked_by": ""},
    **{"spend": 5, "permissions": {}, "budget_id": None},
}

ADMIN = Grantor(Role.ADMIN, "root")
ANN = Grantor(Role.USER, "ann", teams={"red": "user", "blue": "user"})
BOSS = Grantor(Role.USER, "boss", teams={"red": "admin"})
POOR = Grantor(
    Role.USER,
    "ann",
    key=Ceiling(
        "your key",
        models=("gpt-*",),
        limits={"max_budget": DOLLAR, "rpm_limit": 10},
        by_model={"model_rpm_limit": {"gpt-4o": 5}},
        budget_duration="30d",
        expires=SOON,
    ),
)
CAPPED = Grantor(Role.USER, "ann", user=Ceiling("your user", ("gpt-*",), {"max_budget": DOLLAR}))
TEAM_KEY = Grantor(Role.USER, "ann", key_team="red", teams={"red": "admin", "blue": "admin"})
NARROW = Grantor(Role.ADMIN, "root", routes=("/key/*", "llm_api_routes"))

OWN = {"user_id": "ann"}
OK = ""

NEW_KEYS = [
    ("an admin may grant anything", ADMIN, {"spend": 5, "permissions": {"a": 1}}, None, OK),
    ("for oneself", ANN, OWN, None, OK),
    ("for another", ANN, {"user_id": "bob"}, None, "user_id"),
    ("for nobody", ANN, {"user_id": None}, None, "user_id"),
    ("with spend", ANN, {**OWN, "spend": 5}, None, "spend"),
    ("with no spend", ANN, {**OWN, "spend": 0, "permissions": {}}, None, OK),
    ("with permissions", ANN, {**OWN, "permissions": {"a": True}}, None, "permissions"),
    ("with a shared budget", ANN, {**OWN, "budget_id": "b"}, None, "budget_id"),
    (
        "without guardrails",
        ANN,
        {**OWN, "metadata": {"disable_global_guardrails": True}},
        None,
        "disable_global_guardrails",
    ),
    ("of an organization", ANN, {**OWN, "organization_id": "org"}, None, "organization_id"),
    ("in a team that lets one", ANN, {**OWN, "organization_id": "org"}, TEAM, OK),
    ("in a team that doesn't", ANN, OWN, CLOSED, "team_id"),
    ("in a team of others", ANN, OWN, {**TEAM, "team_id": "green"}, "team_id"),
    ("for nobody in a team", ANN, {"user_id": None}, TEAM, "user_id"),
    ("for nobody in one's team", BOSS, {"user_id": None}, TEAM, OK),
    ("for a member of one's team", BOSS, {"user_id": "ann"}, TEAM, "user_id"),
    ("of one's team in another organization", BOSS,
     {"user_id": "boss", "organization_id": "other"}, TEAM, "organization_id"),
    ("with models of the team", ANN, {**OWN, "models": ["gpt-4o", "claude"]}, TEAM, OK),
    ("with all models of the team", ANN, {**OWN, "models": ["all-team-models"]}, TEAM, OK),
    ("with other models", ANN, {**OWN, "models": ["gpt-4o", "opus"]}, TEAM, "models"),
    ("with every model", ANN, {**OWN, "models": ["*"]}, TEAM, "models"),
    ("with an alias of another model", ANN, {**OWN, "aliases": {"a": "opus"}}, TEAM, "models"),
    ("with a team's models and no team", ANN, {**OWN, "models": ["all-team-models"]}, None,
     "models"),
    ("with more than the team", ANN, {**OWN, "max_budget": 11 * DOLLAR}, TEAM, "max_budget"),
    ("with less than the team", ANN, {**OWN, "max_budget": 9 * DOLLAR}, TEAM, OK),
    ("with more requests than the team", ANN, {**OWN, "rpm_limit": 101}, TEAM, "rpm_limit"),
    ("with more than one's user", CAPPED, {**OWN, "max_budget": 2 * DOLLAR}, None, "max_budget"),
    ("with no budget beside the user's", CAPPED, OWN, None, OK),
    ("with other models than the user", CAPPED, {**OWN, "models": ["opus"]}, None, "models"),
    ("by a poor key, saying nothing", POOR, OWN, None, OK),
    ("by a poor key, with more money", POOR, {**OWN, "max_budget": 2 * DOLLAR}, None,
     "max_budget"),
    ("by a poor key, with money for a shorter time", POOR,
     {**OWN, "max_budget": DOLLAR, "budget_duration": "1d"}, None, "budget_duration"),
    ("by a poor key, with more of a model", POOR, {**OWN, "model_rpm_limit": {"gpt-4o": 6}}, None,
     "model_rpm_limit"),
    ("by a poor key, for longer", POOR, {**OWN, "expires": LATE}, None, "duration"),
    ("by a poor key, with another model", POOR, {**OWN, "models": ["claude"]}, None, "models"),
    ("by a poor key, with an alias", POOR, {**OWN, "models": [], "aliases": {"a": "opus"}}, None,
     "models"),
    ("by a key of a team, in the team", TEAM_KEY, OWN, TEAM, OK),
    ("by a key of a team, elsewhere", TEAM_KEY, OWN, None, "team_id"),
    ("by a key of a team, in another team", TEAM_KEY, OWN, CLOSED, "team_id"),
    ("by a narrow key, saying nothing", NARROW, {}, None, OK),
    ("by a narrow key, narrower", NARROW, {"allowed_routes": ["/key/info"]}, None, OK),
    ("by a narrow key, wider", NARROW, {"allowed_routes": ["/user/new"]}, None, "allowed_routes"),
    ("by a narrow key, all routes", NARROW, {"allowed_routes": ["/*"]}, None, "allowed_routes"),
]  # fmt: skip


def refused(check, *arguments) -> str:
    """The parameter that was refused; nothing where all is allowed."""
    try:
        check(*arguments)
    except PermissionDenied as error:
        return error.param or "?"
    return OK


@pytest.mark.criterion("R11.2")
@pytest.mark.parametrize(
    ("grantor", "asked", "team", "param"),
    [case[1:] for case in NEW_KEYS],
    ids=[case[0] for case in NEW_KEYS],
)
def test_a_new_key_has_nothing_that_its_maker_lacks(grantor, asked, team, param):
    wanted = granting.inherited(grantor, asked)
    assert refused(granting.check_new_key, grantor, wanted, team, "/key/generate") == param


def test_a_new_key_is_limited_as_the_key_that_makes_it():
    wanted = granting.inherited(POOR, {"models": [], "rpm_limit": 3})
    assert wanted["models"] == ["gpt-*"]
    assert wanted["rpm_limit"] == 3
    assert wanted["max_budget"] == DOLLAR
    assert wanted["budget_duration"] == "30d"
    assert wanted["model_rpm_limit"] == {"gpt-4o": 5}
    assert wanted["expires"] == SOON


CHANGES = [
    ("a name", ANN, {"key_alias": "x"}, KEY, None, OK),
    ("its spend", ANN, {"spend": 0}, KEY, None, "spend"),
    ("its permissions to the same", ANN, {"permissions": {}}, KEY, None, OK),
    ("its shared budget to none", ANN, {"budget_id": None}, {**KEY, "budget_id": "b"}, None,
     "budget_id"),
    ("its owner", ANN, {"user_id": "bob"}, KEY, None, "user_id"),
    ("its owner to nobody", ANN, {"user_id": None}, KEY, None, "user_id"),
    ("its team", ANN, {"team_id": "red"}, KEY, TEAM, "team_id"),
    ("its team to one's own", BOSS, {"team_id": "red"}, {**KEY, "user_id": "boss"}, TEAM, OK),
    ("the team of a key of nobody to none", BOSS, {"team_id": None},
     {**KEY, "team_id": "red", "user_id": None}, None, "team_id"),
    ("a block of one's own", ANN, {"blocked": False}, {**KEY, "blocked": True,
     "blocked_by": "ann"}, None, OK),
    ("a block of another", ANN, {"blocked": False}, {**KEY, "blocked": True, "blocked_by": "root"},
     None, "blocked"),
    ("a block of the master key", ANN, {"blocked": False}, {**KEY, "blocked": True}, None,
     "blocked"),
    ("its limit away", POOR, {"rpm_limit": None}, KEY, None, "rpm_limit"),
    ("its models to all", POOR, {"models": []}, KEY, None, "models"),
    ("its end away", POOR, {"expires": None}, KEY, None, "duration"),
    ("its limits by model away", POOR, {"model_rpm_limit": {}}, KEY, None, "model_rpm_limit"),
    ("routes that it had", NARROW, {"allowed_routes": ["/user/new"]},
     {**KEY, "allowed_routes": ["/user/new"]}, None, OK),
    ("anything, by an admin", ADMIN, {"spend": 0, "user_id": None, "blocked": False}, KEY, None,
     OK),
]  # fmt: skip


@pytest.mark.criterion("R11.2")
@pytest.mark.parametrize(
    ("grantor", "asked", "key", "team", "param"),
    [case[1:] for case in CHANGES],
    ids=[case[0] for case in CHANGES],
)
def test_a_key_is_changed_within_what_its_owner_has(grantor, asked, key, team, param):
    assert refused(granting.check_key_change, grantor, asked, key, team, "/key/update") == param


IN_TEAM = {**KEY, "team_id": "red"}
USES = [
    ("one's own", ANN, KEY, None, "/key/update", OK),
    ("another's", ANN, {**KEY, "user_id": "bob"}, None, "/key/update", "key"),
    ("nobody's", ANN, {**KEY, "user_id": None}, None, "/key/update", "key"),
    ("one's own in a team that lets one", ANN, IN_TEAM, TEAM, "/key/x/regenerate", OK),
    ("one's own in a team that doesn't", ANN, IN_TEAM, TEAM, "/key/update", "key"),
    ("one's own in a team, to give it up", ANN, IN_TEAM, TEAM, "/key/delete", OK),
    ("one's own in a team that one left", Grantor(Role.USER, "ann"), IN_TEAM, TEAM,
     "/key/regenerate", "key"),
    ("a member's in one's team", BOSS, IN_TEAM, TEAM, "/key/update", OK),
    ("one's own outside, with a key of a team", TEAM_KEY, KEY, None, "/key/delete", "key"),
    ("anybody's, by an admin", ADMIN, {**KEY, "user_id": "bob"}, None, "/key/update", OK),
]  # fmt: skip


@pytest.mark.criterion("R11.2", "R11.3")
@pytest.mark.parametrize(
    ("grantor", "key", "team", "path", "param"),
    [case[1:] for case in USES],
    ids=[case[0] for case in USES],
)
def test_keys_are_managed_by_whom_they_belong_to(grantor, key, team, path, param):
    assert refused(granting.check_key_use, grantor, key, team, path) == param


TEAM_CHANGES = [
    ("a name", BOSS, {"team_alias": "x"}, OK),
    ("fewer models", BOSS, {"models": ["gpt-4o"]}, OK),
    ("more models", BOSS, {"models": ["gpt-*", "opus"]}, "models"),
    ("all models", BOSS, {"models": []}, "models"),
    ("an alias of another model", BOSS, {"model_aliases": {"a": "opus"}}, "models"),
    ("less money", BOSS, {"max_budget": DOLLAR}, OK),
    ("more money", BOSS, {"max_budget": 11 * DOLLAR}, "max_budget"),
    ("money without end", BOSS, {"max_budget": None}, "max_budget"),
    ("money more often", BOSS, {"budget_duration": "1d"}, "budget_duration"),
    ("its spend", BOSS, {"spend": 0}, OK),
    ("its spend to less", BOSS, {"spend": -1}, "spend"),
    ("another organization", BOSS, {"organization_id": "x"}, "organization_id"),
    ("more for each member than for all", BOSS, {"team_member_budget": 11 * DOLLAR}, "max_budget"),
    ("by a member", ANN, {"team_alias": "x"}, "team_id"),
    ("by an admin", ADMIN, {"max_budget": None, "models": []}, OK),
]  # fmt: skip


@pytest.mark.criterion("R11.3")
@pytest.mark.parametrize(
    ("grantor", "asked", "param"),
    [case[1:] for case in TEAM_CHANGES],
    ids=[case[0] for case in TEAM_CHANGES],
)
def test_the_admins_of_a_team_lower_its_limits_and_proxy_admins_raise_them(grantor, asked, param):
    assert refused(granting.check_team_change, grantor, asked, TEAM) == param


@pytest.mark.parametrize(
    ("asked", "allowed", "within"),
    [
        ("gpt-4o", ["gpt-4o"], True),
        ("gpt-4o", ["gpt-*"], True),
        ("gpt-4*", ["gpt-*"], True),
        ("gpt-*", ["gpt-4*"], False),
        ("*", ["gpt-*"], False),
        ("all-proxy-models", ["*"], True),
        ("all-proxy-models", ["a*"], False),
        ("no-default-models", ["a"], True),
        ("a.b", ["a*c"], False),
        ("axb", ["a.b"], False),
    ],
)
def test_a_pattern_of_models_is_within_another(asked, allowed, within):
    assert model_allowed(asked, allowed) is within


@pytest.mark.parametrize(
    ("routes", "asked", "within"),
    [
        (["/key/*"], "/key/info", True),
        (["/key/*"], "/key/x/*", True),
        (["/key/*"], "/*", False),
        (["/key/info"], "/key/*", False),
        (["llm_api_routes"], "/v1/chat/completions", True),
        (["llm_api_routes"], "/user/new", False),
        (["llm_api_routes"], "llm_api_routes", True),
        (["info_routes"], "management_routes", False),
        (["/*"], "management_routes", False),
    ],
)
def test_routes_of_a_key_are_within_those_of_another(routes, asked, within):
    assert covers_route(routes, asked) is within


def test_only_a_proxy_admin_takes_guardrails_off_a_key():
    old = {"guardrails": ["pii"], "note": "a"}
    assert granting.kept_metadata(ANN, old, {"note": "b"}) == {"guardrails": ["pii"], "note": "b"}
    assert granting.kept_metadata(ADMIN, old, {"note": "b"}) == {"note": "b"}
