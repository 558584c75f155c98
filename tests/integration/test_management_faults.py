"""What no management request may do: break the gateway, or leave a fault unnamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.gateway import Gateways
from tests.support.management import MODEL, Management, config
from trunkline.api.management import TABLES
from trunkline.api.management.endpoints import Endpoint

ENDPOINTS = [endpoint for table in TABLES.values() for endpoint in table]
DEEP: Any = 1
for _ in range(200):
    DEEP = [DEEP]

VALUES: dict[str, Any] = {
    "null": None,
    "a truth": True,
    "a number": -1,
    "a fraction": 0.5,
    "a huge number": 10**30,
    "a huge fraction": 1e300,
    "a text": "\u00e4 \u4f60\u597d \U0001f600 ' OR 1=1 --",
    "a null character": "a\x00b",
    "half a character": "a\ud800",
    "a huge text": "x" * 100_000,
    "a list": [1, None, {"a": []}],
    "an object": {"a\x00": {"b": 1}, "c": float(2**63)},
    "an object of strange limits": {"fast": -1, "b": "x", "c": 10**30},
    "something deep": DEEP,
}
NEEDED = {
    "team_id": "team",
    "user_id": "user",
    "key": "sk-some-key-or-other",
    "keys": ["sk-some-key-or-other"],
    "member": {"role": "user", "user_id": "user"},
    "models": ["fast"],
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def admin(request: pytest.FixtureRequest, module_gateway: Gateways) -> Management:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    return Management(module_gateway(config(url)).url)


def broken(answer: Any) -> str:
    """What is wrong with an answer; nothing where it is as it may be."""
    if answer.status_code == 200:
        return ""
    if answer.status_code not in (400, 404, 409):
        return f"{answer.status_code} {answer.text[:200]}"
    error = answer.json()["error"]
    return "" if error["message"] and "Traceback" not in answer.text else answer.text[:200]


def send(admin: Management, endpoint: Endpoint[Any], fields: dict[str, Any]) -> Any:
    path = endpoint.paths[0]
    if endpoint.as_query():
        query = {name: value for name, value in fields.items() if isinstance(value, str | int)}
        query = {n: str(v)[:20_000] for n, v in query.items() if "\ud800" not in str(v)}
        return admin.http.request("GET", path, params=query)
    body = json.dumps(fields).encode()
    return admin.http.request(endpoint.method, path, content=body)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.paths[0]}")
def test_no_value_of_any_field_breaks_an_endpoint(admin, endpoint):
    fields = endpoint.body.model_fields
    needed = {name: value for name, value in NEEDED.items() if name in fields}
    wrong = []
    for name in (*fields, "tags", "guardrails"):
        for words, value in VALUES.items():
            fault = broken(send(admin, endpoint, {**needed, name: value}))
            if fault:
                wrong.append((name, words, fault))
    assert not wrong


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"a": NaN}', b"1" * 5000]
)
def test_no_body_breaks_an_endpoint(admin, body):
    for endpoint in ENDPOINTS:
        if not endpoint.as_query():
            answer = admin.http.request(endpoint.method, endpoint.paths[0], content=body)
            assert not broken(answer), (endpoint.paths, answer.text)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/key/generate", {"max_budget": -1}, "max_budget"),
        ("/key/generate", {"max_budget": "1e400"}, "max_budget"),
        ("/key/generate", {"max_budget": "NaN"}, "max_budget"),
        ("/key/generate", {"max_budget": 1_000_000_001}, "max_budget"),
        ("/key/generate", {"rpm_limit": 1.5}, "rpm_limit"),
        ("/key/generate", {"rpm_limit": 2**63}, "rpm_limit"),
        ("/key/generate", {"duration": "1 year"}, "duration"),
        ("/key/generate", {"budget_duration": "0d"}, "budget_duration"),
        ("/key/generate", {"models": "fast"}, "models"),
        ("/key/generate", {"key_alias": "x" * 257}, "key_alias"),
        ("/key/generate", {"metadata": {"a": "\x00"}}, "metadata"),
        ("/key/generate", {"tags": [1]}, "tags.0"),
        ("/key/generate", {"model_max_budget": {"a": {"time_period": "1d"}}}, "model_max_budget"),
        ("/key/generate", {"model_rpm_limit": {"a": -1}}, "model_rpm_limit.a"),
        ("/key/generate", {"metadata": {"model_rpm_limit": {"a": -1}}}, "model_rpm_limit.a"),
        ("/key/update", {"key": "x", "temp_budget_increase": 1, "temp_budget_expiry": "soon"},
         "temp_budget_expiry"),
        ("/user/new", {"user_role": "key"}, "user_role"),
        ("/team/member_add", {"team_id": "t", "member": {"role": "king", "user_id": "u"}},
         "member.0.role"),
        ("/budget/new", {"soft_budget": "x"}, "soft_budget"),
        ("/customer/new", {}, "user_id"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(admin, path, body, param):
    assert admin.refused(path, body)["param"] == param


def test_what_is_not_known_is_ignored(admin):
    assert admin.key(unheard_of=1, rpm_limit="5")


def test_money_is_kept_to_the_nano_dollar(admin):
    for dollars in (0.1, 0.000000001, 999_999_999.999999, 1e-12, 0):
        key = admin.key(max_budget=dollars)
        told = admin.ask("/key/info", key=key)["info"]["max_budget"]
        assert told == pytest.approx(dollars, abs=0.5e-9)
    assert admin.ask("/key/info", key=admin.key(max_budget=""))["info"]["max_budget"] is None


def test_without_a_database_the_api_says_so(gateway):
    alone = Management(gateway({"model_list": [MODEL]}).url)
    assert alone.refused("/key/generate", {})["code"] == "no_database"
