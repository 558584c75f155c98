"""/user/…: people and services who own keys."""

from __future__ import annotations

import math
from typing import Any

from ...access.management import users
from ...access.management.users import Joining
from ...errors import GatewayError, InvalidRequest
from . import views
from .bodies import ListUsers, MaybeUser, NewUser, UpdateUser, UpdateUsers, UserIds
from .endpoints import Call, Endpoint, Nothing

_OF_KEY = frozenset(
    {"key_alias", "duration", "aliases", "config", "permissions", "blocked", "allowed_routes"}
)
_NO_COLUMNS = frozenset({"teams", "team_id", "auto_create_key"})

MOST_AT_ONCE = 500

ROLES = {
    "proxy_admin": ("Changes and sees everything", "Admin (All Permissions)"),
    "proxy_admin_viewer": ("Sees everything, changes nothing", "Admin (View Only)"),
    "internal_user": ("Makes keys of its own, sees what is its own", "Internal User"),
    "internal_user_viewer": ("Sees what is its own", "Internal Viewer"),
}


async def new_user(call: Call[NewUser]) -> Any:
    body = call.body
    asked = body.asked()
    joining = [
        Joining(each.team_id, each.user_role, each.max_budget_in_team) for each in body.teams
    ]
    key_asked = {name: asked.pop(name) for name in _OF_KEY & asked.keys()}
    if body.team_id:
        joining.append(Joining(body.team_id))
        key_asked["team_id"] = body.team_id
    made = await users.new(
        call.registry,
        call.caller,
        {name: value for name, value in asked.items() if name not in _NO_COLUMNS},
        joining,
        key_asked if body.auto_create_key else None,
    )
    answer = views.user(made.row, made.teams)
    if made.key_row is None:
        return {**answer, "key": ""}
    about_key = {
        name: views.key(made.key_row)[name] for name in ("key_name", "key_alias", "expires")
    }
    return {**answer, **about_key, "key": made.key, "token_id": made.key_row["token"]}


async def update_user(call: Call[UpdateUser]) -> Any:
    row = await users.update(call.registry, call.caller, call.body.asked())
    return {"user_id": row["user_id"], "data": views.plain(row)}


async def update_users(call: Call[UpdateUsers]) -> Any:
    """Several at once, each by itself: one that fails keeps none of the others."""
    body = call.body
    if body.all_users and body.user_updates is not None:
        changes = body.user_updates.asked()
        ids = await users.all_ids(call.registry, MOST_AT_ONCE)
        asked = [{"user_id": id, **changes} for id in ids]
    else:
        asked = [each.asked() for each in body.users or ()]
    results = [await _updated(call, each) for each in asked]
    good = sum(each["success"] for each in results)
    return {
        "results": results,
        "total_requested": len(results),
        "successful_updates": good,
        "failed_updates": len(results) - good,
    }


async def _updated(call: Call[Any], asked: dict[str, Any]) -> dict[str, Any]:
    named = {name: asked.get(name) for name in ("user_id", "user_email")}
    try:
        row = await users.update(call.registry, call.caller, asked)
    except GatewayError as error:
        if error.status >= 500:
            raise
        return {**named, "success": False, "error": error.message, "updated_user": None}
    told = {"user_id": row["user_id"], "data": views.plain(row)}
    named["user_id"] = row["user_id"]
    return {**named, "success": True, "error": None, "updated_user": told}


async def delete_users(call: Call[UserIds]) -> Any:
    """How many there were."""
    return await users.remove_users(call.registry, call.body.user_ids)


async def user_info(call: Call[MaybeUser]) -> Any:
    user_id = call.body.user_id or (None if call.caller.role.sees_all else call.caller.user_id)
    if user_id:
        return views.about_user(await users.info(call.registry, call.caller, user_id))
    if not call.caller.role.sees_all:
        raise InvalidRequest("'user_id' must be given: your key is nobody's.", param="user_id")
    return views.about_user(await users.nobody(call.registry))


async def user_info_alone(call: Call[MaybeUser]) -> Any:
    """Without keys, and of teams the ids."""
    user_id = call.body.user_id or call.caller.user_id
    if not user_id:
        raise InvalidRequest("'user_id' must be given: your key is nobody's.", param="user_id")
    about = await users.info(call.registry, call.caller, user_id)
    assert about.row is not None
    return views.user(about.row, [row["team_id"] for row in about.teams])


async def list_users(call: Call[ListUsers]) -> Any:
    body = call.body
    if body.sort_by and body.sort_by not in users.SORTED_BY:
        raise InvalidRequest("Users can't be sorted by that.", param="sort_by")
    conditions = users.matching(
        {"user_role": body.role} if body.role else {},
        ids=_split(body.user_ids),
        sso_ids=_split(body.sso_user_ids),
        email=body.user_email or "",
        team=body.team or "",
    )
    order = users.ordered(
        body.sort_by or "", ascending=bool(body.sort_by) and body.sort_order == "asc"
    )
    rows, counts, teams, total = await users.page(
        call.registry, conditions, order, body.page, body.page_size
    )
    return {
        "users": [
            {
                **views.user(row, teams[row["user_id"]]),
                "key_count": counts.get(row["user_id"], 0),
            }
            for row in rows
        ],
        "total": total,
        "page": body.page,
        "page_size": body.page_size,
        "total_pages": math.ceil(total / body.page_size),
    }


def _split(ids: str | None) -> list[str]:
    return [each.strip() for each in (ids or "").split(",") if each.strip()]


async def available_roles(call: Call[Nothing]) -> Any:
    return {
        role: {"description": description, "ui_label": label}
        for role, (description, label) in ROLES.items()
    }


ENDPOINTS = (
    Endpoint("POST", ("/user/new",), NewUser, new_user, "Make a user, and a key for them"),
    Endpoint("POST", ("/user/update",), UpdateUser, update_user, "Change a user"),
    Endpoint("POST", ("/user/bulk_update",), UpdateUsers, update_users, "Change several users"),
    Endpoint("POST", ("/user/delete",), UserIds, delete_users, "Delete users and their keys"),
    Endpoint("GET", ("/user/info",), MaybeUser, user_info, "About a user, with keys and teams"),
    Endpoint("GET", ("/v2/user/info",), MaybeUser, user_info_alone, "About a user"),
    Endpoint("GET", ("/user/list", "/user/get_users"), ListUsers, list_users, "List users"),
    Endpoint(
        "GET", ("/user/available_roles",), Nothing, available_roles, "The roles that users have"
    ),
)
