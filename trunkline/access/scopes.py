"""Whom a call is charged to, and what limits each of them.

A caller has one scope for each level above it: its key, the key's user, the team and the user as
a member of it, the organization. A call adds its customer and its tags. It must pass all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from ..dataclass import dataclass


class Level(StrEnum):
    """What a scope is of; begins the names of its counters."""

    PROXY = "proxy"
    KEY = "key"
    USER = "user"
    TEAM = "team"
    MEMBER = "member"
    ORGANIZATION = "organization"
    CUSTOMER = "customer"
    TAG = "tag"
    MODEL = "model"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent, in nano-dollars.

    spent: in the running period, as the database knew it. duration: of a period ("30d"); empty
    where it never begins anew. resets: when it does, seconds since 1970; 0 for never.
    """

    maximum: int
    spent: int = 0
    duration: str = ""
    resets: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """One that a call is charged to.

    id: of the row; of a member `team:user`. None limits nothing.
    rpm, tpm: requests and tokens a minute. parallel: calls at once. soft_budget: nano-dollars from
    which on a warning is logged. spent: in the running period, as the database knew it.
    model_rpm, model_tpm, model_budgets: the same by model group.
    default: whether the limits are those of all that have none of their own.
    """

    level: Level
    id: str
    rpm: int | None = None
    tpm: int | None = None
    parallel: int | None = None
    budget: Budget | None = None
    soft_budget: int | None = None
    spent: int = 0
    model_rpm: Mapping[str, int] = field(default_factory=dict)
    model_tpm: Mapping[str, int] = field(default_factory=dict)
    model_budgets: Mapping[str, Budget] = field(default_factory=dict)
    default: bool = False

    @property
    def name(self) -> str:
        """What its counters begin with."""
        return f"{self.level}:{self.id}"


def budget_counter(name: str) -> str:
    """The counter of what a scope, by its name, has spent."""
    return f"{name}:budget"
