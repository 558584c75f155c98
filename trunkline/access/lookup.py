"""Reads callers from the database: a key with all that it belongs to, in one query."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    FromClause,
    RowMapping,
    Select,
    Table,
    and_,
    bindparam,
    func,
    select,
)
from sqlalchemy.sql.selectable import NamedFromClause

from ..dataclass import dataclass
from ..store import tables
from ..store.database import Database
from .identity import Principal
from .money import nano
from .roles import Role
from .scopes import Budget, Level, Scope

_TEAM_ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Found:
    """principal: None where there is no such key. refused: the code of why it may not call."""

    principal: Principal | None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Shared:
    """A customer or a tag. scope: None where nothing limits it."""

    scope: Scope | None
    blocked: bool = False


async def find_key(database: Database, token: str) -> Found:
    """token: the key's hash. One that was replaced and is still good is the one in its place.

    Raises StoreUnavailable.
    """
    async with database.reading() as connection:
        rows = await connection.execute(_BY_TOKEN, {"token": token})
        row = rows.mappings().first()
        if row is not None:
            return _found(row)
        replaced = (await connection.execute(_REPLACED, {"token": token})).first()
        if replaced is None or replaced.ends_at <= datetime.now(UTC):
            return Found(None)
        rows = await connection.execute(_BY_TOKEN, {"token": replaced.active_token})
        row = rows.mappings().first()
    return _until(_found(row), replaced.ends_at) if row is not None else Found(None)


def _until(found: Found, ends: datetime) -> Found:
    """The same, as long as the key that was replaced is good."""
    principal = found.principal
    if principal is None:
        return found
    expires = min(ends.timestamp(), principal.expires or math.inf)
    return replace(found, principal=replace(principal, expires=expires))


_REPLACED = select(tables.replaced_keys.c.active_token, tables.replaced_keys.c.ends_at).where(
    tables.replaced_keys.c.token == bindparam("token")
)


async def find_shared(database: Database, name: str) -> Shared:
    """name: as `Scope.name`, of a customer or a tag. Raises StoreUnavailable."""
    level, _, identity = name.partition(":")
    query = _CUSTOMER if level == Level.CUSTOMER else _TAG
    async with database.reading() as connection:
        row = (await connection.execute(query, {"id": identity})).mappings().first()
    if row is None:
        return Shared(None)
    own, budget = _part(row, "own"), _part(row, "budget")
    limits = {**budget, "budget_reset_at": own["budget_reset_at"], "spend": own["spend"]}
    scope = _scope(Level(level), identity, limits)
    return Shared(scope if _limits_anything(scope) else None, bool(own.get("blocked")))


async def find_spent(database: Database, name: str, period: int) -> int:
    """Nano-dollars that were spent of a budget for which no row stands, in one of its periods.

    name: its counter's, without what tells that it is a budget. Raises StoreUnavailable.
    """
    async with database.reading() as connection:
        found = await connection.execute(_SHARED, {"counter": name, "period": period})
        return int(found.scalar() or 0)


_SHARED = select(tables.shared_spend.c.spend).where(
    tables.shared_spend.c.counter == bindparam("counter"),
    tables.shared_spend.c.period == bindparam("period"),
)


def _joined(first: FromClause, *others: tuple[FromClause, Any]) -> Select[Any]:
    """All columns of several tables; each is called by its table's name here and its own."""
    sources, joined = [first], first
    for other, condition in others:
        sources.append(other)
        joined = joined.outerjoin(other, condition)
    columns = [
        column.label(f"{_name(source)}.{column.name}") for source in sources for column in source.c
    ]
    return select(*columns).select_from(joined)


def _name(source: FromClause) -> str:
    assert isinstance(source, NamedFromClause)
    return str(source.name)


def _as(table: Table, name: str) -> NamedFromClause:
    return table.alias(name)


_key, _user, _team = _as(tables.keys, "key"), _as(tables.users, "user"), _as(tables.teams, "team")
_member = _as(tables.team_members, "member")
_organization = _as(tables.organizations, "organization")
_budget_of_key = _as(tables.budgets, "key_budget")
_budget_of_member = _as(tables.budgets, "member_budget")
_budget_of_organization = _as(tables.budgets, "organization_budget")


def _by_token() -> Select[Any]:
    team_budget = func.coalesce(_member.c.budget_id, _team.c.team_member_budget_id)
    organization = func.coalesce(_key.c.organization_id, _team.c.organization_id)
    return _joined(
        _key,
        (_user, _user.c.user_id == _key.c.user_id),
        (_team, _team.c.team_id == _key.c.team_id),
        (
            _member,
            and_(_member.c.team_id == _key.c.team_id, _member.c.user_id == _key.c.user_id),
        ),
        (_organization, _organization.c.organization_id == organization),
        (_budget_of_key, _budget_of_key.c.budget_id == _key.c.budget_id),
        (_budget_of_member, _budget_of_member.c.budget_id == team_budget),
        (
            _budget_of_organization,
            _budget_of_organization.c.budget_id == _organization.c.budget_id,
        ),
    ).where(_key.c.token == bindparam("token"))


def _of_shared(table: Table, identity: str) -> Select[Any]:
    own, budget = _as(table, "own"), _as(tables.budgets, "budget")
    return _joined(own, (budget, budget.c.budget_id == own.c.budget_id)).where(
        own.c[identity] == bindparam("id")
    )


_BY_TOKEN = _by_token()
_CUSTOMER = _of_shared(tables.customers, "user_id")
_TAG = _of_shared(tables.tags, "name")


def _part(row: RowMapping, name: str) -> dict[str, Any]:
    """The columns of one table."""
    prefix = f"{name}."
    return {key[len(prefix) :]: value for key, value in row.items() if key.startswith(prefix)}


def _found(row: RowMapping) -> Found:
    key, user, team = _part(row, "key"), _part(row, "user"), _part(row, "team")
    organization = _part(row, "organization")
    principal = Principal(
        name=key["key_alias"] or key["key_name"],
        role=_role(user["user_role"]),
        key=key["token"],
        key_alias=key["key_alias"] or "",
        user_id=key["user_id"] or "",
        team_id=key["team_id"] or "",
        organization_id=organization["organization_id"] or "",
        team_admin=row["member.role"] == _TEAM_ADMIN,
        models=tuple(
            tuple(models)
            for models in (
                _own_models(key, team),
                team["models"] if team["team_id"] else user["models"],
                organization["models"],
            )
            if models
        ),
        aliases={**(team["model_aliases"] or {}), **(key["aliases"] or {})},
        routes=tuple(key["allowed_routes"] or ()),
        scopes=tuple(filter(_limits_anything, _scopes(row, key, user, team, organization))),
        tags=_tags(key["metadata"], team["metadata"]),
        metadata=key["metadata"] or {},
        expires=key["expires"].timestamp() if key["expires"] else None,
    )
    refused = "key_blocked" if key["blocked"] else "team_blocked" if team["blocked"] else ""
    return Found(principal, refused)


def _role(user_role: str | None) -> Role:
    try:
        return Role(user_role) if user_role else Role.KEY
    except ValueError:  # a role of LiteLLM's that has no meaning here
        return Role.KEY


def _own_models(key: Mapping[str, Any], team: Mapping[str, Any]) -> list[str]:
    models: list[str] = key["models"] or []
    return (team["models"] or []) if "all-team-models" in models else models


def _tags(*metadata: Mapping[str, Any] | None) -> tuple[str, ...]:
    given = [(each or {}).get("tags") for each in metadata]
    return tuple(
        dict.fromkeys(str(tag) for tags in given if isinstance(tags, list) for tag in tags)
    )


def _scopes(
    row: RowMapping,
    key: Mapping[str, Any],
    user: Mapping[str, Any],
    team: Mapping[str, Any],
    organization: Mapping[str, Any],
) -> list[Scope]:
    scopes = [_scope(Level.KEY, key["token"], _with(key, _part(row, "key_budget")))]
    if user["user_id"]:
        scopes.append(_scope(Level.USER, user["user_id"], user))
    if team["team_id"]:
        scopes.append(_scope(Level.TEAM, team["team_id"], team))
    member = _part(row, "member")
    if member["team_id"]:
        identity = f"{member['team_id']}:{member['user_id']}"
        scopes.append(_scope(Level.MEMBER, identity, _with(member, _part(row, "member_budget"))))
    if organization["organization_id"]:
        limits = _with(organization, _part(row, "organization_budget"))
        scopes.append(_scope(Level.ORGANIZATION, organization["organization_id"], limits))
    return scopes


def _with(own: Mapping[str, Any], budget: Mapping[str, Any]) -> dict[str, Any]:
    """Limits of one's own, and where there is none, those of the budget that it shares."""
    merged = {name: value for name, value in budget.items() if value is not None}
    return merged | {name: value for name, value in own.items() if value not in (None, {})}


def _scope(level: Level, identity: str, limits: Mapping[str, Any]) -> Scope:
    return Scope(
        level=level,
        id=identity,
        rpm=limits.get("rpm_limit"),
        tpm=limits.get("tpm_limit"),
        parallel=limits.get("max_parallel_requests"),
        budget=_budget(limits),
        soft_budget=limits.get("soft_budget"),
        spent=limits.get("spend") or 0,
        model_rpm=_whole(limits.get("model_rpm_limit")),
        model_tpm=_whole(limits.get("model_tpm_limit")),
        model_budgets=_model_budgets(limits.get("model_max_budget")),
    )


def _limits_anything(scope: Scope) -> bool:
    return any(
        (
            scope.rpm is not None,
            scope.tpm is not None,
            scope.parallel is not None,
            scope.budget is not None,
            scope.soft_budget is not None,
            scope.model_rpm,
            scope.model_tpm,
            scope.model_budgets,
        )
    )


def _budget(limits: Mapping[str, Any]) -> Budget | None:
    maximum = limits.get("max_budget")
    if maximum is None:
        return None
    until: datetime | None = limits.get("temp_budget_expiry")
    if until is not None and until > datetime.now(UTC):
        maximum += limits.get("temp_budget_increase") or 0
    resets: datetime | None = limits.get("budget_reset_at")
    return Budget(
        maximum=maximum,
        spent=limits.get("spend") or 0,
        duration=limits.get("budget_duration") or "",
        resets=int(resets.timestamp()) if resets else 0,
    )


def _whole(limits: Any) -> dict[str, int]:
    given = limits if isinstance(limits, dict) else {}
    return {model: limit for model, limit in given.items() if isinstance(limit, int)}


def _model_budgets(given: Any) -> dict[str, Budget]:
    """LiteLLM's `model_max_budget`: by model `{"budget_limit": dollars, "time_period": "1d"}`."""
    found = {}
    for model, written in given.items() if isinstance(given, dict) else ():
        budget = written if isinstance(written, dict) else {"budget_limit": written}
        limit = budget.get("budget_limit", budget.get("max_budget"))
        duration = budget.get("time_period", budget.get("budget_duration")) or ""
        if isinstance(limit, int | float):
            found[model] = Budget(nano(limit), duration=duration)
    return found
