"""Rows as LiteLLM's clients read them: dollars, moments as text, its names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...access.management.holders import Holder
from ...access.management.records import Row
from ...access.management.teams import Team
from ...access.management.users import About
from ...access.money import dollars

_MONEY = frozenset({"spend", "max_budget", "soft_budget", "temp_budget_increase"})
_OWN = frozenset({"blocked_by", "budget_started_at"})
"""Columns that are ours alone."""


def plain(row: Mapping[str, Any], *without: str) -> dict[str, Any]:
    """A row's columns."""
    return {
        name: _shown(name, value)
        for name, value in row.items()
        if name not in _OWN and name not in without
    }


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if name in _MONEY and value is not None:
        return dollars(value)
    return value


def key(row: Row, budget: Row | None = None) -> dict[str, Any]:
    """A key with its hash, never with itself."""
    metadata = {**row["metadata"]}
    # LiteLLM keeps these there, and its clients look for them there.
    metadata |= {name: row[name] for name in ("model_rpm_limit", "model_tpm_limit") if row[name]}
    return {
        **plain(row),
        "metadata": metadata,
        "tags": row["metadata"].get("tags"),
        "org_id": row["organization_id"],
        "litellm_budget_table": plain(budget) if budget is not None else None,
    }


def key_status(row: Row) -> str:
    if row["blocked"]:
        return "blocked"
    expires = row["expires"]
    return "expired" if expires is not None and expires <= datetime.now(UTC) else "active"


def made_key(secret: str, row: Row) -> dict[str, Any]:
    """The answer that shows a key, this once: LiteLLM's has it as `token` too."""
    return {**key(row), "key": secret, "token": secret, "token_id": row["token"]}


def user(row: Row, teams: Sequence[str] = ()) -> dict[str, Any]:
    return {**plain(row), "teams": list(teams)}


def about_user(about: About) -> dict[str, Any]:
    teams = [row["team_id"] for row in about.teams]
    return {
        "user_id": about.row["user_id"] if about.row else None,
        "user_info": user(about.row, teams) if about.row else None,
        "keys": [key(row) for row in about.keys],
        "teams": [team(Team(row, about.members.get(row["team_id"], []))) for row in about.teams],
    }


def team(whole: Team) -> dict[str, Any]:
    row = whole.row
    metadata = {**row["metadata"]}
    metadata |= {name: row[name] for name in ("model_rpm_limit", "model_tpm_limit") if row[name]}
    return {
        **plain(row, "permissions"),
        "metadata": metadata,
        "members_with_roles": [_member(each) for each in whole.members],
        "members": [each["user_id"] for each in whole.members],
        "admins": [each["user_id"] for each in whole.members if each["role"] == "admin"],
        "team_member_permissions": row["permissions"],
    }


def _member(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("user_id", "user_email", "role")}


def membership(row: Row, budgets: Mapping[str, Row]) -> dict[str, Any]:
    budget = budgets.get(row["budget_id"] or "")
    return {
        **plain(row, "role", "user_email"),
        "litellm_budget_table": plain(budget) if budget is not None else None,
    }


def about_team(whole: Team) -> dict[str, Any]:
    default = whole.budgets.get(whole.row["team_member_budget_id"] or "")
    return {
        "team_id": whole.row["team_id"],
        "team_info": {
            **team(whole),
            "team_member_budget_table": plain(default) if default is not None else None,
        },
        "keys": [key(row, whole.budgets.get(row["budget_id"] or "")) for row in whole.keys],
        "team_memberships": [membership(each, whole.budgets) for each in whole.members],
    }


def holder(held: Holder) -> dict[str, Any]:
    """A customer, an organization or a tag."""
    budget = plain(held.budget) if held.budget is not None else None
    return {**plain(held.row, "budget_reset_at"), "litellm_budget_table": budget}


def organization(held: Holder) -> dict[str, Any]:
    return {
        **holder(held),
        "members": [plain(each) for each in held.members],
        "teams": [team(Team(each)) for each in held.teams],
    }
