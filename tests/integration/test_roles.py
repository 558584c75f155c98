"""Which role may use which path: every route that is served, tried with every role."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.gateway import Gateway, Gateways
from tests.support.management import Management, config
from trunkline.access.roles import MODEL_CALLS, OPEN, ROUTES, Role
from trunkline.api import realtime_http
from trunkline.operations import OPERATIONS
from trunkline.providers.passthrough.table import BY_PREFIX

CALLS = {
    re.sub(r":[\w|]+\}", "}", path)
    for operation in (*OPERATIONS, *realtime_http.OPERATIONS)
    for path in operation.paths
}
PASSED_ON = {f"/{prefix}/{{path}}" for prefix in BY_PREFIX}
DECLARED = {re.sub(r":path\}", "}", path): roles for path, roles in ROUTES.items()}
SLOW = {"/health"}


@pytest.fixture(scope="module")
def server(module_gateway: Gateways) -> Gateway:
    return module_gateway(config())


@pytest.fixture(scope="module")
def admin(server: Gateway) -> Management:
    return Management(server.url)


@pytest.fixture(scope="module")
def routes(admin: Management) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = admin.ask("/routes")["routes"]
    return listed


@pytest.fixture(scope="module")
def callers(admin: Management) -> dict[Role, Management]:
    users = [role for role in Role if role is not Role.KEY]
    made = {role: admin.user(role)[1] for role in users}
    return {**made, Role.KEY: admin.having(admin.key())}


@pytest.mark.criterion("R11.1")
def test_every_route_that_is_served_declares_who_may_use_it(routes):
    served = {route["path"] for route in routes}
    assert {"/key/generate", "/team/member_add", "/v1/chat/completions"} <= served
    undeclared = served - DECLARED.keys() - CALLS - PASSED_ON - OPEN
    assert not undeclared


@pytest.mark.criterion("R11.1", "R11.3")
@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_use_exactly_the_routes_that_are_declared_for_it(routes, callers, role):
    wrong = []
    for route in routes:
        path = route["path"]
        if path in OPEN or path in PASSED_ON or path in SLOW:
            continue
        allowed = role in DECLARED.get(path, MODEL_CALLS)
        for method in route["methods"]:
            answer = callers[role].http.request(method, _asked(path))
            refused = answer.status_code == 403 and _for_the_role(answer.json()["error"])
            if refused is allowed or answer.status_code in (401, 500):
                wrong.append((method, path, answer.status_code, answer.text[:200]))
    assert not wrong


def _asked(path: str) -> str:
    return re.sub(r"\{\w+\}", "x", path.replace("{provider}", "openai"))


def _for_the_role(error: dict[str, Any]) -> bool:
    """Anthropic's and Google's have no such code; their endpoints refuse for nothing else."""
    return error.get("code") in (None, 403, "role_not_allowed")


@pytest.mark.criterion("R11.1")
def test_a_key_that_nobody_made_may_use_nothing(admin, routes):
    stranger = admin.having("sk-of-nobody-at-all")
    for route in routes:
        if route["path"] in OPEN:
            continue
        asked = _asked(route["path"])
        for method in route["methods"]:
            assert stranger.http.request(method, asked).status_code == 401, (method, asked)


@pytest.mark.criterion("R11.2")
def test_a_key_may_use_no_more_than_its_allowed_routes(admin):
    narrow = admin.having(admin.key(allowed_routes=["/key/info"]))
    narrow.ask("/key/info")
    assert narrow.refused("/v1/models", status=403)["code"] == "route_not_allowed"
    assert narrow.chat().status_code == 403
    calls = admin.having(admin.key(key_type="llm_api"))
    assert calls.chat().status_code == 200
