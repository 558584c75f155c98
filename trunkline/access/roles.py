"""Who may do what: the roles of callers, and for every path which of them it takes.

    proxy_admin            everything
    proxy_admin_viewer     sees everything, changes nothing
    internal_user          calls models; makes keys of its own; sees what is its own
    internal_user_viewer   sees what is its own
    key                    a virtual key whose owner has no role: calls models, sees itself

An administrator of a team is any of these who is so in that team: what they may do there beyond
their role, the endpoints check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from ..errors import PermissionDenied

if TYPE_CHECKING:
    from .identity import Principal


class Role(StrEnum):
    """LiteLLM's names, which stand in `users.user_role`; and `key`."""

    ADMIN = "proxy_admin"
    VIEWER = "proxy_admin_viewer"
    USER = "internal_user"
    USER_VIEWER = "internal_user_viewer"
    KEY = "key"

    @property
    def sees_all(self) -> bool:
        return self in (Role.ADMIN, Role.VIEWER)


ADMINS = frozenset({Role.ADMIN})
SEERS = frozenset({Role.ADMIN, Role.VIEWER})
USERS = frozenset({Role.ADMIN, Role.USER})
CALLERS = frozenset({Role.ADMIN, Role.USER, Role.KEY})
EVERYONE = frozenset(Role)

OPEN = frozenset(
    """
    / /docs /openapi.json /health/liveliness /health/liveness /health/readiness
    """.split()
)
"""Paths that need no key."""

_TABLE: Mapping[frozenset[Role], str] = {
    EVERYONE: """
        /key/health
        /v1/models /models /v1/models/{model:path} /models/{model:path} /model/info
        /v1/model/info /v2/model/info /model_group/info /routes
        /key/info /user/info /v2/user/info /team/info /spend/calculate /routing/strategies
        """,
    CALLERS: """
        /feedback /v1/feedback /routing/explain /search/tools /v1/search/tools
        """,
    frozenset({Role.ADMIN, Role.VIEWER, Role.USER, Role.USER_VIEWER}): """
        /key/list /key/aliases /team/list /v2/team/list /organization/info /organization/list
        /spend/logs /spend/logs/v2 /spend/keys /spend/tags
        /user/daily/activity /team/daily/activity /budget/settings
        """,
    USERS: """
        /key/generate /key/update /key/delete /key/regenerate /key/{key:path}/regenerate
        /key/block /key/unblock /key/bulk_update /key/service-account/generate
        /team/update /team/delete /team/member_add /team/member_update
        /team/member_delete /team/bulk_member_add /team/block /team/unblock
        /team/model/add /team/model/delete /team/permissions_list /team/permissions_update
        """,
    SEERS: """
        /metrics /health /health/readiness/details /cache/ping /hot-reload/status
        /user/list /user/get_users /user/available_roles
        /customer/info /customer/list /end_user/info /end_user/list
        /budget/info /budget/list /tag/info /tag/list
        /spend/users /global/spend /global/spend/report /global/spend/keys /global/spend/teams
        /global/spend/models /global/spend/provider /global/spend/tags /global/spend/logs
        /global/activity /global/activity/model
        """,
    ADMINS: """
        /user/new /user/update /user/delete /user/bulk_update
        /customer/new /customer/update /customer/delete /customer/block /customer/unblock
        /end_user/new /end_user/update /end_user/delete /end_user/block /end_user/unblock
        /budget/new /budget/update /budget/delete
        /organization/new /organization/update /organization/delete /organization/member_add
        /team/new
        /tag/new /tag/update /tag/delete
        /model/new /model/update /model/delete /model/{model_id}/update
        /model/cost_map/reload /global/spend/reset
        /cache/delete /cache/flushall /hot-reload /hot-reload/rollback
        """,
}

ROUTES: Mapping[str, frozenset[Role]] = {
    path: roles for roles, paths in _TABLE.items() for path in paths.split()
}
"""Which roles a path takes, by its template. Paths that aren't here are those of model calls."""

MODEL_CALLS = CALLERS
"""Which roles may call models, and what is passed on to providers."""

_INFORMATION: frozenset[str] = frozenset(
    path for path, roles in ROUTES.items() if roles == EVERYONE
)

_GROUPS: Mapping[str, Callable[[str], bool]] = {
    "llm_api_routes": lambda path: path not in ROUTES or path in _INFORMATION,
    "info_routes": lambda path: path in _INFORMATION,
    "management_routes": lambda path: path in ROUTES and path not in _INFORMATION,
}
"""LiteLLM's names of groups of paths, as `allowed_routes` of a key may hold them."""


KEY_PERMISSIONS = tuple(
    """
    /key/generate /key/update /key/delete /key/regenerate /key/service-account/generate
    /key/block /key/unblock /key/info /key/health /key/list /key/aliases
    """.split()
)
"""What a team may let its members do with keys of their own in it."""


def check_route(caller: Principal, path: str) -> None:
    """Whether a caller may use a path at all. Raises PermissionDenied.

    path: a template of the table, or a request's own.
    """
    if caller.role not in ROUTES.get(path, MODEL_CALLS):
        raise PermissionDenied(
            f"{path} is not for the role {caller.role}.", code="role_not_allowed"
        )
    if caller.routes and not any(covers(route, path) for route in caller.routes):
        raise PermissionDenied(
            f"The key's allowed_routes don't include {path}.", code="route_not_allowed"
        )


def names_route(caller: Principal, path: str) -> bool:
    """Whether the caller's routes include a path by itself, not as one of a group."""
    return any(route not in _GROUPS and covers(route, path) for route in caller.routes)


def covers(route: str, path: str) -> bool:
    """Whether what an `allowed_routes` holds includes a path."""
    group = _GROUPS.get(route)
    if group is not None:
        return group(path)
    if route.endswith("*"):
        return path.startswith(route[:-1])
    return path == route or path.removeprefix("/v1") == route.removeprefix("/v1")


def covers_route(routes: Iterable[str], asked: str) -> bool:
    """Whether what one key's `allowed_routes` holds includes an entry of another's."""
    if asked in _GROUPS or asked.endswith("*"):
        wide = [route for route in routes if route == asked or route.endswith("*")]
        return any(
            route == asked or (asked not in _GROUPS and asked.startswith(route[:-1]))
            for route in wide
        )
    return any(covers(route, asked) for route in routes)
