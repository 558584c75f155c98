"""What management requests hold, under LiteLLM's names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ...access.granting import BY_MODEL
from .endpoints import Body
from .fields import (
    Aliases,
    Count,
    CountsByModel,
    Duration,
    Id,
    Ids,
    ModelBudgets,
    Moment,
    Money,
    Name,
    Names,
    Object,
    Period,
    Text,
)

UserRole = Literal["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"]
TeamRole = Literal["admin", "user"]
Page = Annotated[int, Field(ge=1, le=10**7)]
Size = Annotated[int, Field(ge=1, le=100)]
Order = Literal["asc", "desc"]


def _email(value: Any) -> Any:
    return value.strip().lower() or None if isinstance(value, str) else value


Email = Annotated[Name, BeforeValidator(_email)]


class Limits(Body):
    max_budget: Money = None
    soft_budget: Money = None
    budget_duration: Period = None
    rpm_limit: Count = None
    tpm_limit: Count = None
    max_parallel_requests: Count = None
    model_max_budget: ModelBudgets = Field(default_factory=dict)


class WithModels(Limits):
    """Of keys and teams. Limits by model may stand in the metadata, where LiteLLM keeps them."""

    models: Names = Field(default_factory=list)
    metadata: Object = Field(default_factory=dict)
    model_rpm_limit: CountsByModel = Field(default_factory=dict)
    model_tpm_limit: CountsByModel = Field(default_factory=dict)
    tags: Names | None = None
    spend: Money = None
    blocked: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_metadata(cls, fields: Any) -> Any:
        metadata = fields.get("metadata") if isinstance(fields, dict) else None
        if not isinstance(metadata, dict):
            return fields
        moved = {name: metadata[name] for name in BY_MODEL[:2] if name in metadata}
        rest = {name: value for name, value in metadata.items() if name not in moved}
        return {**moved, **fields, "metadata": rest}


class KeyFields(WithModels):
    key_alias: Name = None
    user_id: Name = None
    team_id: Name = None
    organization_id: Name = None
    budget_id: Name = None
    duration: Duration = None
    aliases: Aliases = Field(default_factory=dict)
    config: Object = Field(default_factory=dict)
    permissions: Object = Field(default_factory=dict)
    allowed_routes: Names = Field(default_factory=list)
    temp_budget_increase: Money = None
    temp_budget_expiry: Moment = None

    @model_validator(mode="after")
    def _temporary_budget(self) -> KeyFields:
        if (self.temp_budget_increase is None) != (self.temp_budget_expiry is None):
            raise ValueError("temp_budget_increase and temp_budget_expiry go together")
        return self


KEY_TYPES = {
    "llm_api": ["llm_api_routes"],
    "management": ["management_routes"],
    "read_only": ["info_routes"],
}


class GenerateKey(KeyFields):
    key: Name = None
    key_type: Literal["default", "llm_api", "management", "read_only"] | None = None

    def asked(self) -> dict[str, Any]:
        asked = super().asked()
        kind = asked.pop("key_type", None)
        if kind in KEY_TYPES:
            asked["allowed_routes"] = KEY_TYPES[kind]
        return asked


class ServiceAccountKey(GenerateKey):
    team_id: Id


class UpdateKey(KeyFields):
    key: Name = None

    @model_validator(mode="after")
    def _named(self) -> UpdateKey:
        if not self.key and not self.key_alias:
            raise ValueError("either key or key_alias must be given")
        return self


class RegenerateKey(KeyFields):
    key: Name = None
    new_key: Name = None
    grace_period: Period = None


class UpdateKeys(Body):
    keys: Annotated[list[UpdateKey], Field(min_length=1, max_length=500)]


class DeleteKeys(Body):
    keys: Ids | None = None
    key_aliases: Ids | None = None

    @model_validator(mode="after")
    def _some(self) -> DeleteKeys:
        if not self.keys and not self.key_aliases:
            raise ValueError("keys or key_aliases must be given")
        return self


class OneKey(Body):
    key: Id


class MaybeKey(Body):
    key: Name = None


class ListKeys(Body):
    page: Page = 1
    size: Size = 10
    user_id: Name = None
    team_id: Name = None
    organization_id: Name = None
    key_hash: Name = None
    key_alias: Name = None
    return_full_object: bool = False
    include_team_keys: bool = False
    sort_by: Name = None
    sort_order: Order = "desc"
    status: Literal["active", "blocked", "expired"] | None = None


class KeyAliases(Body):
    page: Page = 1
    size: Size = 50
    search: Name = None
    team_id: Name = None


class Joining(Body):
    team_id: Id
    max_budget_in_team: Money = None
    user_role: TeamRole = "user"


class UserFields(Limits):
    user_id: Name = None
    user_email: Email = None
    user_alias: Name = None
    user_role: UserRole | None = None
    models: Names = Field(default_factory=list)
    metadata: Object = Field(default_factory=dict)
    sso_user_id: Name = None
    spend: Money = None


class NewUser(UserFields):
    teams: Annotated[list[Joining], Field(max_length=500)] = Field(default_factory=list)
    team_id: Name = None
    auto_create_key: bool = True
    key_alias: Name = None
    duration: Duration = None
    aliases: Aliases = Field(default_factory=dict)
    config: Object = Field(default_factory=dict)
    permissions: Object = Field(default_factory=dict)
    blocked: bool | None = None
    allowed_routes: Names = Field(default_factory=list)

    @field_validator("teams", mode="before")
    @classmethod
    def _by_id(cls, teams: Any) -> Any:
        if not isinstance(teams, list):
            return [] if teams is None else teams
        return [{"team_id": each} if isinstance(each, str) else each for each in teams]


class UpdateUser(UserFields):
    @model_validator(mode="after")
    def _named(self) -> UpdateUser:
        if not self.user_id and not self.user_email:
            raise ValueError("either user_id or user_email must be given")
        return self


class UserUpdates(UserFields):
    """Of all users. What says who it is of is left out."""

    def asked(self) -> dict[str, Any]:
        own = ("user_id", "user_email", "sso_user_id")
        return {name: value for name, value in super().asked().items() if name not in own}


class UpdateUsers(Body):
    users: Annotated[list[UpdateUser], Field(max_length=500)] | None = None
    all_users: bool | None = None
    user_updates: UserUpdates | None = None

    @model_validator(mode="after")
    def _some(self) -> UpdateUsers:
        if not self.users and not (self.all_users and self.user_updates):
            raise ValueError("either users, or all_users with user_updates must be given")
        return self


class UserIds(Body):
    user_ids: Ids


class MaybeUser(Body):
    user_id: Name = None


class ListUsers(Body):
    page: Page = 1
    page_size: Size = 25
    role: UserRole | None = None
    user_ids: Text = None
    sso_user_ids: Text = None
    user_email: Name = None
    team: Name = None
    sort_by: Name = None
    sort_order: Order = "asc"


class Named(Body):
    """A user, by id or by email."""

    user_id: Name = None
    user_email: Email = None

    @model_validator(mode="after")
    def _somebody(self) -> Named:
        if not self.user_id and not self.user_email:
            raise ValueError("either user_id or user_email must be given")
        return self


class TeamMember(Named):
    role: TeamRole


class TeamFields(WithModels):
    team_alias: Name = None
    organization_id: Name = None
    model_aliases: Aliases = Field(default_factory=dict)
    team_member_budget: Money = None
    team_member_budget_duration: Period = None
    team_member_rpm_limit: Count = None
    team_member_tpm_limit: Count = None
    team_member_permissions: Names = Field(default_factory=list)

    def asked(self) -> dict[str, Any]:
        asked = super().asked()
        if "team_member_permissions" in asked:
            asked["permissions"] = asked.pop("team_member_permissions")
        return asked


class NewTeam(TeamFields):
    team_id: Name = None
    members_with_roles: Annotated[list[TeamMember], Field(max_length=500)] = Field(
        default_factory=list
    )


class UpdateTeam(TeamFields):
    team_id: Id


class TeamIds(Body):
    team_ids: Ids


class OneTeam(Body):
    team_id: Id


class ListTeams(Body):
    user_id: Name = None
    organization_id: Name = None
    team_id: Name = None
    team_alias: Name = None
    page: Page = 1
    page_size: Size = 10
    sort_by: Name = None
    sort_order: Order = "asc"


class AddMembers(Body):
    team_id: Id
    member: Annotated[list[TeamMember], Field(min_length=1, max_length=500)]
    max_budget_in_team: Money = None
    budget_duration: Period = None

    @field_validator("member", mode="before")
    @classmethod
    def _several(cls, member: Any) -> Any:
        return [member] if isinstance(member, dict) else member


class AddManyMembers(Body):
    team_id: Id
    members: Annotated[list[TeamMember], Field(max_length=500)] | None = None
    all_users: bool | None = None
    max_budget_in_team: Money = None

    @model_validator(mode="after")
    def _some(self) -> AddManyMembers:
        if not self.members and not self.all_users:
            raise ValueError("either members or all_users must be given")
        return self


class UpdateMember(Named):
    team_id: Id
    role: TeamRole | None = None
    max_budget_in_team: Money = None
    budget_duration: Period = None
    rpm_limit: Count = None
    tpm_limit: Count = None


class RemoveMember(Named):
    team_id: Id


class TeamModels(Body):
    team_id: Id
    models: Annotated[list[Id], Field(max_length=5000)]


class TeamPermissions(Body):
    team_id: Id
    team_member_permissions: Names


class BudgetFields(Limits):
    budget_id: Name = None


class UpdateBudget(Limits):
    budget_id: Id


class BudgetIds(Body):
    budgets: Ids


class DeleteBudget(Body):
    id: Id


class OneBudget(Body):
    budget_id: Id


class Pages(Body):
    page: Page = 1
    page_size: Annotated[int, Field(ge=1, le=1000)] = 1000


class CustomerFields(Limits):
    user_id: Id
    alias: Name = None
    blocked: bool | None = None
    budget_id: Name = None
    spend: Money = None
    allowed_model_region: Literal["eu", "us"] | None = None
    default_model: Name = None
    metadata: Object = Field(default_factory=dict)


class OneCustomer(Body):
    end_user_id: Id


class OrganizationFields(Limits):
    organization_alias: Name = None
    budget_id: Name = None
    models: Names = Field(default_factory=list)
    metadata: Object = Field(default_factory=dict)


class NewOrganization(OrganizationFields):
    organization_id: Name = None
    organization_alias: Id


class UpdateOrganization(OrganizationFields):
    organization_id: Id
    spend: Money = None


class OneOrganization(Body):
    organization_id: Id


class SomeOrganizations(Body):
    organizations: Ids


class OrganizationIds(Body):
    organization_ids: Ids


class ListOrganizations(Pages):
    org_id: Name = None
    org_alias: Name = None


class OrganizationMember(Named):
    role: Literal["org_admin", "internal_user", "internal_user_viewer"]


class AddOrganizationMembers(Body):
    organization_id: Id
    member: Annotated[list[OrganizationMember], Field(min_length=1, max_length=500)]

    @field_validator("member", mode="before")
    @classmethod
    def _several(cls, member: Any) -> Any:
        return [member] if isinstance(member, dict) else member


class TagFields(Limits):
    name: Id
    description: Text = None
    models: Names = Field(default_factory=list)
    budget_id: Name = None


class TagNames(Body):
    names: Ids


class OneTag(Body):
    name: Id
