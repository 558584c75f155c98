"""/team/…: teams and their members."""

from __future__ import annotations

import math
from typing import Any

from ...access.management import teams
from ...access.management.teams import Member
from ...access.management.users import all_ids
from ...access.money import dollars
from ...access.roles import KEY_PERMISSIONS, Role
from ...errors import InvalidRequest, PermissionDenied
from . import views
from .bodies import (
    AddManyMembers,
    AddMembers,
    ListTeams,
    Named,
    NewTeam,
    OneTeam,
    RemoveMember,
    TeamIds,
    TeamModels,
    TeamPermissions,
    UpdateMember,
    UpdateTeam,
)
from .endpoints import Call, Endpoint

MOST_AT_ONCE = 500
_ALL = 10_000
"""Teams that the list without pages tells at most."""


async def new_team(call: Call[NewTeam]) -> Any:
    asked = call.body.asked()
    asked.pop("members_with_roles", None)
    joining = [_member(each, each.role) for each in call.body.members_with_roles]
    return views.team(await teams.new(call.registry, call.caller, asked, joining))


async def update_team(call: Call[UpdateTeam]) -> Any:
    team_id = call.body.team_id
    team = await teams.change_team(call.registry, call.caller, team_id, call.body.asked())
    return {"team_id": team_id, "data": views.team(team)}


async def delete_teams(call: Call[TeamIds]) -> Any:
    await teams.remove_teams(call.registry, call.caller, call.body.team_ids)
    return {"deleted_teams": call.body.team_ids}


async def team_info(call: Call[OneTeam]) -> Any:
    return views.about_team(await teams.info(call.registry, call.caller, call.body.team_id))


async def list_teams(call: Call[ListTeams]) -> Any:
    found, _ = await _page(call, page=1, size=_ALL)
    return [{**views.team(each), "team_memberships": [], "keys": []} for each in found]


async def list_teams_by_page(call: Call[ListTeams]) -> Any:
    body = call.body
    found, total = await _page(call, page=body.page, size=body.page_size)
    return {
        "teams": [views.team(each) for each in found],
        "total": total,
        "page": body.page,
        "page_size": body.page_size,
        "total_pages": math.ceil(total / body.page_size),
    }


async def _page(call: Call[ListTeams], *, page: int, size: int) -> tuple[list[teams.Team], int]:
    body = call.body
    if body.sort_by and body.sort_by not in teams.SORTED_BY:
        raise InvalidRequest("Teams can't be sorted by that.", param="sort_by")
    given = {"organization_id": body.organization_id, "team_id": body.team_id}
    return await teams.page(
        call.registry,
        call.caller,
        {name: value for name, value in given.items() if value},
        alias=body.team_alias or "",
        user_id=body.user_id or "",
        order=teams.ordered(
            body.sort_by or "", ascending=bool(body.sort_by) and body.sort_order == "asc"
        ),
        page=page,
        size=size,
    )


async def block_team(call: Call[OneTeam]) -> Any:
    team_id = call.body.team_id
    return views.team(await teams.block(call.registry, call.caller, team_id, blocked=True))


async def unblock_team(call: Call[OneTeam]) -> Any:
    team_id = call.body.team_id
    return views.team(await teams.block(call.registry, call.caller, team_id, blocked=False))


async def add_members(call: Call[AddMembers]) -> Any:
    body = call.body
    joining = [_member(each, each.role) for each in body.member]
    team, users = await teams.add_members(
        call.registry, call.caller, body.team_id, joining, _limits(body)
    )
    joined = {user["user_id"] for user in users}
    return {
        **views.team(team),
        "updated_users": [views.user(each) for each in users],
        "updated_team_memberships": [
            views.membership(each, team.budgets)
            for each in team.members
            if each["user_id"] in joined
        ],
    }


async def add_many_members(call: Call[AddManyMembers]) -> Any:
    """All of them, or none; whoever fails, as with LiteLLM, fails all in a good answer."""
    body = call.body
    if body.all_users:
        if call.caller.role is not Role.ADMIN:
            raise PermissionDenied("Only proxy admins may add all users.", param="all_users")
        ids = await all_ids(call.registry, MOST_AT_ONCE)
        joining = [Member("user", id) for id in ids]
    else:
        joining = [_member(each, each.role) for each in body.members or ()]
    limits = {} if body.max_budget_in_team is None else {"max_budget": body.max_budget_in_team}
    team, error = None, None
    try:
        team, _ = await teams.add_members(call.registry, call.caller, body.team_id, joining, limits)
    except InvalidRequest as refusal:
        error = refusal.message
    results = [
        {
            **{"user_id": each.user_id, "user_email": each.user_email},
            **{"success": team is not None, "error": error},
        }
        for each in joining
    ]
    return {
        "team_id": body.team_id,
        "results": results,
        "total_requested": len(results),
        "successful_additions": len(results) if team is not None else 0,
        "failed_additions": 0 if team is not None else len(results),
        "updated_team": views.team(team) if team is not None else None,
    }


async def update_member(call: Call[UpdateMember]) -> Any:
    body = call.body
    member = _member(body, body.role or "")
    user, budget = await teams.change_member(
        call.registry, call.caller, body.team_id, member, _limits(body)
    )
    most = budget.get("max_budget")
    return {
        "team_id": body.team_id,
        "user_id": user["user_id"],
        "user_email": user["user_email"],
        "max_budget_in_team": dollars(most) if most is not None else None,
        "budget_duration": budget.get("budget_duration"),
        "rpm_limit": budget.get("rpm_limit"),
        "tpm_limit": budget.get("tpm_limit"),
    }


async def delete_member(call: Call[RemoveMember]) -> Any:
    body = call.body
    left = await teams.remove_member(call.registry, call.caller, body.team_id, _member(body, ""))
    return views.team(left)


def _member(named: Named, role: str) -> Member:
    return Member(role, named.user_id or None, named.user_email or None)


def _limits(body: AddMembers | UpdateMember) -> dict[str, Any]:
    """Limits of a member, by the names of a budget's columns."""
    asked = body.asked()
    names = {
        "max_budget_in_team": "max_budget",
        **{name: name for name in ("budget_duration", "rpm_limit", "tpm_limit")},
    }
    return {own: asked[name] for name, own in names.items() if name in asked}


async def add_models(call: Call[TeamModels]) -> Any:
    return await _models(call, add=True)


async def delete_models(call: Call[TeamModels]) -> Any:
    return await _models(call, add=False)


async def _models(call: Call[TeamModels], *, add: bool) -> Any:
    body = call.body
    team = await teams.change_models(call.registry, call.caller, body.team_id, body.models, add=add)
    return views.team(team)


async def list_permissions(call: Call[OneTeam]) -> Any:
    row = await teams.permissions(call.registry, call.caller, call.body.team_id)
    return {
        "team_id": row["team_id"],
        "team_member_permissions": row["permissions"],
        "all_available_permissions": list(KEY_PERMISSIONS),
    }


async def update_permissions(call: Call[TeamPermissions]) -> Any:
    body = call.body
    unknown = sorted(set(body.team_member_permissions) - set(KEY_PERMISSIONS))
    if unknown:
        raise InvalidRequest(
            f"There is no permission '{unknown[0][:100]}'.", param="team_member_permissions"
        )
    asked = {"permissions": body.team_member_permissions}
    return views.team(await teams.change_team(call.registry, call.caller, body.team_id, asked))


ENDPOINTS = (
    Endpoint("POST", ("/team/new",), NewTeam, new_team, "Make a team"),
    Endpoint("POST", ("/team/update",), UpdateTeam, update_team, "Change a team"),
    Endpoint("POST", ("/team/delete",), TeamIds, delete_teams, "Delete teams and their keys"),
    Endpoint("GET", ("/team/info",), OneTeam, team_info, "About a team"),
    Endpoint("GET", ("/team/list",), ListTeams, list_teams, "List teams"),
    Endpoint("GET", ("/v2/team/list",), ListTeams, list_teams_by_page, "List teams by pages"),
    Endpoint("POST", ("/team/block",), OneTeam, block_team, "Block a team"),
    Endpoint("POST", ("/team/unblock",), OneTeam, unblock_team, "Let a team call again"),
    Endpoint("POST", ("/team/member_add",), AddMembers, add_members, "Add members to a team"),
    Endpoint(
        *("POST", ("/team/bulk_member_add",), AddManyMembers, add_many_members),
        "Add many members to a team",
    ),
    Endpoint("POST", ("/team/member_update",), UpdateMember, update_member, "Change a member"),
    Endpoint("POST", ("/team/member_delete",), RemoveMember, delete_member, "Remove a member"),
    Endpoint("POST", ("/team/model/add",), TeamModels, add_models, "Let a team use models"),
    Endpoint("POST", ("/team/model/delete",), TeamModels, delete_models, "Take models from a team"),
    Endpoint("GET", ("/team/permissions_list",), OneTeam, list_permissions, "What members may do"),
    Endpoint(
        "POST",
        ("/team/permissions_update",),
        TeamPermissions,
        update_permissions,
        "Say what members may do",
    ),
)
