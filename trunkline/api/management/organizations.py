"""/organization/…: what holds teams, and the budget over them."""

from __future__ import annotations

from typing import Any

from ...access.management import holders
from ...access.management.records import ORGANIZATION
from ...errors import InvalidRequest, PermissionDenied
from . import views
from .bodies import (
    AddOrganizationMembers,
    ListOrganizations,
    NewOrganization,
    OneOrganization,
    OrganizationIds,
    SomeOrganizations,
    UpdateOrganization,
)
from .endpoints import Call, Endpoint


async def new_organization(call: Call[NewOrganization]) -> Any:
    held = await holders.new(call.registry, ORGANIZATION, call.body.asked(), call.by)
    return views.organization(held)


async def update_organization(call: Call[UpdateOrganization]) -> Any:
    id = call.body.organization_id
    held = await holders.update_holder(call.registry, ORGANIZATION, id, call.body.asked(), call.by)
    return views.organization(held)


async def organization_info(call: Call[OneOrganization]) -> Any:
    id = call.body.organization_id
    if not call.caller.role.sees_all and call.caller.organization_id != id:
        raise PermissionDenied("You don't belong to the organization.", param="organization_id")
    return views.organization(await holders.organization(call.registry, id))


async def organizations_info(call: Call[SomeOrganizations]) -> Any:
    if not call.caller.role.sees_all:
        raise PermissionDenied("Only proxy admins may see several organizations.")
    ids = call.body.organizations
    found = await holders.info(call.registry, ORGANIZATION, ids, "organizations")
    return [views.holder(each) for each in found]


async def list_organizations(call: Call[ListOrganizations]) -> Any:
    """All for whoever sees everything, one's own for others."""
    column, body = ORGANIZATION.table.c, call.body
    conditions = []
    if body.org_id:
        conditions.append(column.organization_id == body.org_id)
    if body.org_alias:
        conditions.append(column.organization_alias.icontains(body.org_alias, autoescape=True))
    if not call.caller.role.sees_all:
        conditions.append(column.organization_id == call.caller.organization_id)
    found = await holders.organizations(
        call.registry, *conditions, page=body.page, size=body.page_size
    )
    return [views.organization(each) for each in found]


async def delete_organizations(call: Call[OrganizationIds]) -> Any:
    gone = await holders.remove_organizations(call.registry, call.body.organization_ids)
    return [views.organization(each) for each in gone]


async def add_organization_members(call: Call[AddOrganizationMembers]) -> Any:
    body = call.body
    if (body.model_extra or {}).get("max_budget_in_organization") is not None:
        raise InvalidRequest(
            "Members have no budgets of their own in an organization: give them to users or teams.",
            param="max_budget_in_organization",
        )
    joining = [
        {"user_id": each.user_id, "user_email": each.user_email, "role": each.role}
        for each in body.member
    ]
    users, joined = await holders.join_organization(
        call.registry, body.organization_id, joining, call.by
    )
    return {
        "organization_id": body.organization_id,
        "updated_users": [views.user(each) for each in users],
        "updated_organization_memberships": [views.plain(each) for each in joined],
    }


_INFO = ("/organization/info",)

ENDPOINTS = (
    Endpoint(
        "POST", ("/organization/new",), NewOrganization, new_organization, "Make an organization"
    ),
    Endpoint(
        "PATCH",
        ("/organization/update",),
        UpdateOrganization,
        update_organization,
        "Change an organization",
    ),
    Endpoint("GET", _INFO, OneOrganization, organization_info, "About an organization"),
    Endpoint("POST", _INFO, SomeOrganizations, organizations_info, "About organizations"),
    Endpoint(
        "GET", ("/organization/list",), ListOrganizations, list_organizations, "List organizations"
    ),
    Endpoint(
        "DELETE",
        ("/organization/delete",),
        OrganizationIds,
        delete_organizations,
        "Delete organizations with their teams and keys",
    ),
    Endpoint(
        "POST",
        ("/organization/member_add",),
        AddOrganizationMembers,
        add_organization_members,
        "Add members to an organization",
    ),
)
