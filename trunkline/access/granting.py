"""What callers may grant others: nobody can give what they lack.

    proxy admins    anything; a key of theirs that is narrowed to some routes, those alone
    others          keys for themselves, or for a team that they administer or whose members may

A key of a team acts within that team only: whoever has it has not all that its user has. What a
key is limited to, the keys that it makes are limited to as well, where they say nothing narrower.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from ..dataclass import dataclass
from ..errors import PermissionDenied
from .money import nano
from .passed_on import names_passing
from .roles import Role, covers_route

ADMIN_OF_TEAM = "admin"

LIMITS = ("max_budget", "rpm_limit", "tpm_limit", "max_parallel_requests")
BY_MODEL = ("model_rpm_limit", "model_tpm_limit", "model_max_budget")
ANY_MODEL = frozenset({"*", "all-proxy-models"})
NO_MODEL = "no-default-models"
TEAM_MODELS = "all-team-models"

_ADMINS_ONLY = {
    "spend": "the spend of what is limited",
    "permissions": "permissions",
    "budget_id": "a shared budget",
    "temp_budget_increase": "a budget that is higher for a time",
    "disable_global_guardrails": "what checks everybody's calls",
    "service_account_id": "the id of a service account",
}
_KEPT_METADATA = (
    *("guardrails", "policies", "prompts", "disable_global_guardrails", "logging"),
    *("service_account_id", "enforced_params"),
)
"""What only a proxy admin may take from a key's metadata, or change there."""
_TEAM_FIELDS = frozenset(
    {"organization_id", "budget_duration", "spend", "model_max_budget", "blocked", "team_id"}
)

Row = Mapping[str, Any]
Asked = Mapping[str, Any]
"""What a request sets, by the names of the columns: money in nano-dollars, moments as such."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What somebody has, and so the most that they may give.

    owner: how errors call it. models: empty for any. limits, by_model: where there are any.
    """

    owner: str
    models: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    by_model: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    budget_duration: str | None = None
    expires: datetime | None = None

    @classmethod
    def of(cls, owner: str, row: Row) -> Ceiling:
        return cls(
            owner,
            models=tuple(row["models"] or ()),
            limits={name: row[name] for name in LIMITS if row.get(name) is not None},
            by_model={name: row[name] for name in BY_MODEL if row.get(name)},
            budget_duration=row.get("budget_duration"),
            expires=row.get("expires"),
        )


@dataclass(frozen=True, slots=True)
class Grantor:
    """Who asks.

    teams: their role in each team. key_team: of the key that they call with; empty for none.
    routes: what that key may use; empty for what its role may. key, user: what limits these.
    """

    role: Role
    user_id: str = ""
    key_team: str = ""
    organization_id: str = ""
    teams: Mapping[str, str] = field(default_factory=dict)
    routes: tuple[str, ...] = ()
    key: Ceiling | None = None
    user: Ceiling | None = None

    @property
    def everything(self) -> bool:
        return self.role is Role.ADMIN

    def reaches(self, team_id: str) -> bool:
        """Whether the key that calls may act in a team, or outside of teams for an empty id."""
        return self.key_team in ("", team_id)

    def administers(self, team_id: str | None) -> bool:
        if self.everything:
            return True
        if not team_id or not self.reaches(team_id):
            return False
        return self.teams.get(team_id) == ADMIN_OF_TEAM

    def belongs_to(self, team_id: str) -> bool:
        return self.everything or (team_id in self.teams and self.reaches(team_id))


def inherited(grantor: Grantor, asked: Asked) -> dict[str, Any]:
    """What a new key is to be like: as asked, and where nothing was, as the key that makes it."""
    wanted = dict(asked)
    if grantor.routes and not wanted.get("allowed_routes"):
        wanted["allowed_routes"] = list(grantor.routes)
    own = grantor.key
    if grantor.everything or own is None:
        return wanted
    if own.models and not wanted.get("models"):
        wanted["models"] = list(own.models)
    for name, value in (*own.limits.items(), *own.by_model.items()):
        if wanted.get(name) in (None, {}):
            wanted[name] = value
    if "max_budget" in own.limits and not wanted.get("budget_duration"):
        wanted["budget_duration"] = own.budget_duration
    if own.expires is not None and wanted.get("expires") is None:
        wanted["expires"] = own.expires
    return wanted


def check_new_key(grantor: Grantor, asked: Asked, team: Row | None, path: str) -> None:
    """Whether a key like this may be made. Raises PermissionDenied.

    asked: as `inherited` gives it, with the user and the team that it is to belong to.
    team: the team's row. path: of the endpoint, which a team may let its members use.
    """
    _check_routes(grantor, asked)
    if grantor.everything:
        return
    _check_admins_only(asked)
    _check_owner(grantor, asked.get("user_id"), team)
    _check_place(grantor, team, path)
    _check_organization(grantor, asked.get("organization_id"), team)
    _check_extent(grantor, asked, team)


def check_key_use(grantor: Grantor, key: Row, team: Row | None, path: str) -> None:
    """Whether a key is theirs to change, or where `path` is of that, to give up or to see."""
    if grantor.everything or grantor.administers(key["team_id"]):
        return
    own = bool(grantor.user_id) and key["user_id"] == grantor.user_id
    if own and grantor.reaches(key["team_id"] or ""):
        if not key["team_id"] or path in GIVING_UP:
            return
        if team is not None and grantor.belongs_to(team["team_id"]) and _lets(team, path):
            return
    raise PermissionDenied("The key isn't yours to change.", param="key", code="not_yours")


def check_key_sight(grantor: Grantor, key: Row, team: Row | None) -> None:
    """Whether a key is theirs to see. Raises PermissionDenied."""
    own = bool(grantor.user_id) and key["user_id"] == grantor.user_id
    if own and grantor.reaches(key["team_id"] or ""):
        return
    if team is not None and grantor.administers(team["team_id"]):
        return
    raise PermissionDenied("The key isn't yours to see.", param="key", code="not_yours")


GIVING_UP = frozenset({"/key/delete", "/key/block"})


def check_key_change(grantor: Grantor, asked: Asked, key: Row, team: Row | None, path: str) -> None:
    """Whether a key that is theirs may become like this. Raises PermissionDenied.

    team: of which it will be.
    """
    _check_routes(grantor, asked, held=key["allowed_routes"])
    if grantor.everything:
        return
    _check_admins_only(asked, key)
    if asked.get("blocked") is False:
        check_unblock(grantor, key)
    if "user_id" in asked and asked["user_id"] != key["user_id"]:
        _check_owner(grantor, asked["user_id"], team)
    if "team_id" in asked and asked["team_id"] != key["team_id"]:
        if team is None and key["user_id"] != grantor.user_id:
            raise _denied("team_id", "A key that isn't your own can't be taken out of its team.")
        _check_place(grantor, team, path)
    if asked.get("organization_id") != key["organization_id"]:
        _check_organization(grantor, asked.get("organization_id"), team)
    if "max_budget" in asked:  # for how long it is, is asked for as well
        asked = {"budget_duration": key["budget_duration"], **asked}
    _check_extent(grantor, asked, team)


def check_unblock(grantor: Grantor, row: Row) -> None:
    """Whether they may let a key or a team call again: who blocked it may, and proxy admins."""
    if not grantor.everything and row["blocked"] and row["blocked_by"] != grantor.user_id:
        raise _denied("blocked", "Somebody else blocked it: a proxy admin can unblock it.")


def kept_metadata(grantor: Grantor, old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Metadata as they may replace it."""
    if grantor.everything:
        return new
    kept = {name: old[name] for name in _KEPT_METADATA if name in old}
    return {**new, **kept}


def check_team_admin(grantor: Grantor, team_id: str) -> None:
    """Raises PermissionDenied for whoever doesn't administer a team."""
    if not grantor.administers(team_id):
        raise PermissionDenied(
            "Only a proxy admin or an admin of the team may do this.",
            param="team_id",
            code="not_team_admin",
        )


def check_team_member(grantor: Grantor, team_id: str) -> None:
    """Raises PermissionDenied for whoever may not see a team."""
    sees = grantor.role is Role.VIEWER or grantor.belongs_to(team_id)
    if not sees and grantor.key_team != team_id:
        raise PermissionDenied("You don't belong to the team.", param="team_id", code="not_yours")


def check_team_change(grantor: Grantor, asked: Asked, team: Row) -> None:
    """Whether the admin of a team may make it like this: they lower, proxy admins raise."""
    check_team_admin(grantor, team["team_id"])
    if grantor.everything:
        return
    for name in sorted(_TEAM_FIELDS & asked.keys()):
        if asked[name] != team.get(name):
            raise _denied(name, f"Only a proxy admin may change a team's '{name}'.")
    own = Ceiling.of("the team", team)
    _check_within(asked, own, removing=True)
    _check_models(asked, team, own, any_denied=True)
    check_member_limits(grantor, {"max_budget": asked.get("team_member_budget")}, team)


def check_member_limits(grantor: Grantor, limits: Asked, team: Row) -> None:
    """Whether a team's admin may let a member have this of what the team has."""
    if not grantor.everything:
        _check_within(limits, Ceiling.of("the team", team))


def _check_admins_only(asked: Asked, held: Row | None = None) -> None:
    """held: the key as it is, whose own values may be sent again; None for a new one.

    LiteLLM's clients send a spend of 0 and empty permissions with each new key.
    """
    metadata = asked.get("metadata") or {}
    old = (held or {}).get("metadata") or {}
    for name, words in _ADMINS_ONLY.items():
        changed = name in asked and asked[name] != held.get(name) if held else asked.get(name)
        if changed or (metadata.get(name) and metadata[name] != old.get(name)):
            raise _denied(name, f"Only a proxy admin may set {words}.")


def _check_owner(grantor: Grantor, user_id: str | None, team: Row | None) -> None:
    if user_id and user_id != grantor.user_id:
        raise _denied("user_id", "You can make keys for yourself, not for other users.")
    if not user_id and (team is None or not grantor.administers(team["team_id"])):
        raise _denied("user_id", "Only an admin of a team may make keys that belong to no user.")


def _check_place(grantor: Grantor, team: Row | None, path: str) -> None:
    if team is None:
        if grantor.key_team:
            raise _denied("team_id", "A key of a team makes keys of that team only.")
        return
    if grantor.administers(team["team_id"]):
        return
    if not grantor.belongs_to(team["team_id"]) or not _lets(team, path):
        raise _denied("team_id", "The team doesn't let you make or change keys.")


def _lets(team: Row, path: str) -> bool:
    """Whether a team's members may use an endpoint for keys of their own."""
    path = "/key/regenerate" if path.endswith("/regenerate") else path
    return path in (team["permissions"] or ())


def _check_organization(grantor: Grantor, asked: str | None, team: Row | None) -> None:
    own = (team["organization_id"] if team is not None else None) or grantor.organization_id
    if asked and asked != own:
        raise _denied("organization_id", "You don't belong to the organization.")


def _check_extent(grantor: Grantor, asked: Asked, team: Row | None) -> None:
    _resolved(asked.get("models"), team)
    if grantor.key is not None:
        _check_within(asked, grantor.key, removing=True)
        _check_models(asked, team, grantor.key, any_denied=True)
        _check_expiry(asked, grantor.key)
    above = Ceiling.of("the team", team) if team is not None else grantor.user
    if above is not None:
        _check_within(asked, above)
        _check_models(asked, team, above)


def _check_models(
    asked: Asked, team: Row | None, ceiling: Ceiling, *, any_denied: bool = False
) -> None:
    """Whether models, and what aliases stand for, are among those of a ceiling.

    any_denied: whether an empty list, which stands for any model, is refused: what is above the key
        doesn't narrow it.
    """
    aliases = asked.get("aliases") or asked.get("model_aliases") or {}
    named = _resolved(asked.get("models"), team)
    if not ceiling.models:
        return
    for each in (*(named or ()), *aliases.values()):
        if not model_allowed(str(each), ceiling.models):
            raise _denied("models", f"'{each}' is not among the models of {ceiling.owner}.")
    if any_denied and named is not None and not named:
        raise _denied("models", f"Not all models are among those of {ceiling.owner}.")


def _resolved(models: list[str] | None, team: Row | None) -> list[str] | None:
    """Models with those of the team named; empty for any, None where nothing is asked for."""
    if models is None or TEAM_MODELS not in models:
        return models
    if team is None:
        raise _denied("models", f"'{TEAM_MODELS}' is for keys of a team.")
    own = list(team["models"] or ())
    return [each for each in models if each != TEAM_MODELS] + own if own else []


def model_allowed(asked: str, allowed: Iterable[str]) -> bool:
    """Whether a model, or all that a name with `*` stands for, is among those allowed."""
    return asked == NO_MODEL or any(
        each in ANY_MODEL or each == asked or ("*" in each and _matches(each, asked))
        for each in allowed
    )


def _matches(pattern: str, name: str) -> bool:
    parts = ".*".join(re.escape(part) for part in pattern.split("*"))
    return name not in ANY_MODEL and re.fullmatch(parts, name, re.DOTALL) is not None


def _check_within(asked: Asked, ceiling: Ceiling, *, removing: bool = False) -> None:
    """Whether limits are no higher. removing: whether null takes one away that there was."""
    for name, most in ceiling.limits.items():
        value = asked.get(name)
        if value is None and not (removing and name in asked):
            continue
        if value is None or value > most:
            raise _denied(name, f"'{name}' can't exceed that of {ceiling.owner}.")
    kept = removing and "max_budget" in ceiling.limits and "budget_duration" in asked
    if kept and asked["budget_duration"] != ceiling.budget_duration:
        raise _denied("budget_duration", f"It must be that of {ceiling.owner}.")
    for name, limits in ceiling.by_model.items():
        if name in asked:
            _check_by_model(name, asked[name] or {}, limits, ceiling, removing=removing)


def _check_by_model(
    name: str,
    asked: Mapping[str, Any],
    limits: Mapping[str, Any],
    ceiling: Ceiling,
    *,
    removing: bool,
) -> None:
    for model, most in limits.items():
        if model not in asked and not removing:
            continue
        if model not in asked or not _no_more(asked[model], most):
            raise _denied(name, f"'{name}' of '{model}' can't exceed that of {ceiling.owner}.")


def _no_more(asked: Any, most: Any) -> bool:
    if isinstance(most, Mapping):
        same_period = asked.get("time_period") == most.get("time_period")
        return same_period and nano(asked["budget_limit"]) <= nano(most["budget_limit"])
    return bool(asked <= most)


def _check_expiry(asked: Asked, ceiling: Ceiling) -> None:
    if ceiling.expires is None or "expires" not in asked:
        return
    expires: datetime | None = asked["expires"]
    if expires is None or expires > ceiling.expires:
        raise _denied("duration", f"The key can't live longer than {ceiling.owner}.")


def _check_routes(grantor: Grantor, asked: Asked, held: Iterable[str] = ()) -> None:
    routes = asked.get("allowed_routes")
    if routes is None or list(routes) == list(held):
        return
    if not grantor.everything:
        _check_passing(grantor, [each for each in routes if each not in held])
    if not grantor.routes:
        return
    beyond = [each for each in routes if not covers_route(grantor.routes, each)]
    if beyond or not routes:
        named = f"'{beyond[0]}' is" if beyond else "All routes are"
        raise _denied("allowed_routes", f"{named} not among the routes of your key.")


def _check_passing(grantor: Grantor, routes: Iterable[str]) -> None:
    named = [each for each in grantor.routes if each[:1] in ("/", "*")]  # no groups
    for each in routes:
        if names_passing(each) and not covers_route(named, each):
            raise _denied(
                "allowed_routes",
                f"'{each}' includes paths that are passed on past models: only a proxy"
                " admin, or who may use them, can let a key use them.",
            )


def _denied(param: str, message: str) -> PermissionDenied:
    return PermissionDenied(message, param=param, code="not_granted")
