"""What becomes of an upload, or of a trial."""

from __future__ import annotations

from enum import StrEnum

from ..dataclass import dataclass


class Refused(Exception):
    """What was uploaded isn't to be served: why, for whoever uploaded it."""


class RolloutError(Exception):
    """A rollout can't be carried out now, or what was asked can't be done: why."""


class Action(StrEnum):
    ACCEPTED = "accepted"
    """It is in force."""
    TRIED = "canary"
    """It decides for a share of the calls."""
    REFUSED = "refused"
    UNCHANGED = "unchanged"
    """It was judged before, or is what is in force already."""
    SUPERSEDED = "superseded"
    """Something that was uploaded later is in force."""
    PROMOTED = "promoted"
    WITHDRAWN = "withdrawn"
    """The trial ended, and what was in force stays so."""
    ROLLED_BACK = "rolled-back"
    WAITING = "waiting"
    """The trial goes on."""
    IDLE = "idle"
    """Nothing is on trial."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """place: the pointer's name. key: of the upload. name: as it calls itself, where that is known.

    reason: in words; empty where there is nothing to say. revision: of the pointer then.
    """

    action: Action
    place: str
    key: str = ""
    name: str = ""
    reason: str = ""
    revision: int = 0

    def __str__(self) -> str:
        what = f"{self.name} ({self.key})" if self.name and self.key else self.name or self.key
        told = f"{what}: {self.action}" if what else str(self.action)
        return f"{told}: {self.reason}" if self.reason else told
