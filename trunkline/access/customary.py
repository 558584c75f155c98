"""What the configuration says of new keys, users and teams: what they get, and the most they may.

litellm_settings.default_key_generate_params       of keys, where the request says nothing
litellm_settings.upperbound_key_generate_params    the most of all keys, also where nothing is said
litellm_settings.key_generation_settings           who may make keys, and what they have to say
litellm_settings.default_internal_user_params      of users who aren't proxy admins
litellm_settings.max_internal_user_budget          of users with the role internal_user
litellm_settings.default_team_params               of teams

Rows are by the names of the columns: money in nano-dollars, moments as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from ..dataclass import dataclass
from ..errors import InvalidRequest
from ..settings.schema import LitellmSettings, Section
from .money import dollars, nano
from .periods import after
from .roles import Role

Row = dict[str, Any]
Asked = Mapping[str, Any]

_COUNTED = ("max_budget", "rpm_limit", "tpm_limit", "max_parallel_requests")
_SLACK = timedelta(seconds=5)
"""By which a duration may be longer: it ends so long after now, and now goes on."""
_TEAM_FIELDS = {"team_member_permissions": "permissions"}


@dataclass(frozen=True, slots=True)
class Customary:
    """See the module's head. Each is by columns, but for durations, which are as written."""

    key: Asked = field(default_factory=dict)
    most: Asked = field(default_factory=dict)
    internal: Asked = field(default_factory=dict)
    user: Asked = field(default_factory=dict)
    team: Asked = field(default_factory=dict)
    personal_roles: tuple[str, ...] | None = None
    personal_needs: tuple[str, ...] = ()
    member_roles: tuple[str, ...] | None = None
    team_needs: tuple[str, ...] = ()

    @classmethod
    def of(cls, told: LitellmSettings) -> Customary:
        made = told.key_generation_settings
        personal, team = made.personal_key_generation, made.team_key_generation
        budget = told.max_internal_user_budget
        internal = {
            "max_budget": told.default_max_internal_user_budget if budget is None else budget,
            "budget_duration": told.internal_user_budget_duration,
        }
        return cls(
            key=_columns(_said(told.default_key_generate_params)),
            most=_columns(_said(told.upperbound_key_generate_params)),
            internal=_columns({name: each for name, each in internal.items() if each is not None}),
            user=_columns(_said(told.default_internal_user_params)),
            team=_columns(_said(told.default_team_params)),
            personal_roles=_texts(personal.allowed_user_roles),
            personal_needs=_texts(personal.required_params) or (),
            member_roles=_texts(team.allowed_team_member_roles),
            team_needs=_texts(team.required_params) or (),
        )

    def new_key(self, wanted: Asked, now: datetime) -> Row:
        """A new key as wanted, else as is customary, else as far as is allowed.

        Raises InvalidRequest for more than is allowed.
        """
        return self.bounded(_filled(_with_end(wanted, self.key, now), self.key), now, new=True)

    def bounded(self, wanted: Asked, now: datetime, *, new: bool = False) -> Row:
        """What a key is to be, which may be no more than is allowed; what is taken away is the
        most then. Raises InvalidRequest."""
        bounded = dict(wanted)
        for name in (*_COUNTED, "budget_duration", "expires"):
            most = self._most(name, now)
            if most is None or not (new or name in bounded):
                continue
            value = bounded.get(name)
            if value is None:
                bounded[name] = self.most[name] if name == "budget_duration" else most
            elif _longer(name, value, most, now):
                raise self._beyond(name)
        return bounded

    def _most(self, name: str, now: datetime) -> Any:
        if name == "expires":
            duration = self.most.get("duration")
            return after(duration, now) if duration else None
        most = self.most.get(name)
        return after(most, now) if most and name == "budget_duration" else most

    def _beyond(self, name: str) -> InvalidRequest:
        named = "duration" if name == "expires" else name
        most = self.most[named]
        shown = dollars(most) if named == "max_budget" else most
        return InvalidRequest(
            f"'{named}' may be at most {shown}, as the configuration says.",
            param=named,
            code="over_upperbound",
        )

    def new_user(self, asked: Asked) -> Row:
        """A new user as asked, else as is customary for their role."""
        wanted = dict(asked)
        if wanted.get("user_role") != Role.ADMIN:
            wanted = _filled(wanted, self.user)
        if (wanted.get("user_role") or Role.USER) == Role.USER:
            wanted = _filled(wanted, self.internal)
        return wanted

    def changed_user(self, asked: Asked) -> Row:
        """Whoever becomes an internal user gets what these get."""
        wanted = dict(asked)
        if wanted.get("user_role") == Role.USER:
            wanted = {**self.internal, **wanted}
        return wanted

    def new_team(self, asked: Asked) -> Row:
        """A new team as asked, else as is customary."""
        return _filled(dict(asked), self.team)

    def check_maker(self, asked: Asked, role: Role, in_team: str | None, *, team: bool) -> None:
        """Whether a key may be made at all. Raises InvalidRequest.

        role: of whom makes it. in_team: their role in the key's team. team: whether it is of one.
        """
        if not team:
            if self.personal_roles is not None and role not in self.personal_roles:
                raise InvalidRequest(
                    f"Keys of no team are made by {', '.join(self.personal_roles)} only.",
                    param="team_id",
                    code="key_generation_restricted",
                )
            _check_said(asked, self.personal_needs)
        elif role is not Role.ADMIN:
            if self.member_roles is not None and (in_team or "user") not in self.member_roles:
                raise InvalidRequest(
                    f"Keys of teams are made by {', '.join(self.member_roles)} of the team only.",
                    param="team_id",
                    code="key_generation_restricted",
                )
            _check_said(asked, self.team_needs)


def _check_said(asked: Asked, needed: Iterable[str]) -> None:
    kept = asked.get("metadata_fields") or {}
    for name in needed:
        if name not in asked and name not in kept:
            raise InvalidRequest(f"'{name}' must be given.", param=name, code="missing_required")


def _longer(name: str, value: Any, most: Any, now: datetime) -> bool:
    if name == "budget_duration":
        return bool(after(value, now, name) > most + _SLACK)
    return bool(value > most + _SLACK if name == "expires" else value > most)


def _with_end(wanted: Asked, customary: Asked, now: datetime) -> Row:
    """The same with the moment at which a key ends, where only its customary duration says so."""
    if wanted.get("expires") is None and "duration" in customary:
        return {**wanted, "expires": after(customary["duration"], now)}
    return dict(wanted)


def _filled(wanted: Row, customary: Asked) -> Row:
    """Null and emptiness are nothing; but a budget may last for ever, where that is said."""
    missing = {
        name: value
        for name, value in customary.items()
        if (name not in wanted if name == "budget_duration" else not _is_said(wanted.get(name)))
    }
    return {**wanted, **missing}


def _is_said(value: Any) -> bool:
    return value is not None and value not in ([], {})


def _said(section: Section) -> Row:
    return {name: getattr(section, name) for name in section.model_fields_set & _fields(section)}


def _fields(section: Section) -> set[str]:
    return set(type(section).model_fields)


def _columns(said: Asked) -> Row:
    return {
        _TEAM_FIELDS.get(name, name): nano(value) if name == "max_budget" else value
        for name, value in said.items()
    }


def _texts(texts: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(texts)
