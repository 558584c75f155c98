"""What is told of a watched thing, and of a check of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from ..dataclass import dataclass
from .record import Record


class NoPrevious(Exception):
    """There is no version to go back to."""


class Result(StrEnum):
    RELOADED = "reloaded"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check, or of going back.

    version, previous_version: those from then on. error: why nothing was reloaded that should be.
    """

    name: str
    result: Result
    version: str | None
    previous_version: str | None
    error: str | None = None

    @classmethod
    def of(cls, name: str, result: Result, record: Record, error: str | None = None) -> Self:
        current, previous = record.current, record.previous
        return cls(
            name,
            result,
            current.name if current else None,
            previous.name if previous else None,
            error,
        )


@dataclass(frozen=True, slots=True)
class Status:
    """How a watched thing stands; times are Unix times.

    interval: seconds between checks; None where it is checked on request only.
    etag: the source's tag of the current version. loaded_at: when it became the current one.
    last_error: of the latest check; None where nothing stands in the way of what the source holds.
    pinned: somebody went back from what the source holds.
    pending_restart: what of the current version takes effect at the next start only.
    """

    name: str
    source: str
    interval: float | None
    version: str | None
    etag: str | None
    loaded_at: float | None
    last_check: float | None
    last_error: str | None
    previous_version: str | None
    checks: int
    reloads: int
    refusals: int
    pinned: bool
    pending_restart: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, name: str, source: str, interval: float | None, record: Record, fault: str | None
    ) -> Self:
        """fault: of this process, in watching."""
        current, previous = record.current, record.previous
        return cls(
            name=name,
            source=source,
            interval=interval,
            version=current.name if current else None,
            etag=current.tag.strip('"') if current else None,
            loaded_at=current.since if current else None,
            last_check=record.last_check or None,
            last_error=fault or record.error,
            previous_version=previous.name if previous else None,
            checks=record.checks,
            reloads=record.reloads,
            refusals=record.refusals,
            pinned=record.pinned,
        )
