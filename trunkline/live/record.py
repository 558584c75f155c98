"""What is known of a watched thing, as all processes that watch it share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Self

from ..dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """One that was accepted.

    number: counts those accepted; its copy is kept under it. tag: of the source, when it was taken.
    name: as it calls itself. since: Unix time from which it is the current one.
    """

    number: int
    tag: str
    name: str
    since: float


@dataclass(frozen=True, slots=True)
class Record:
    """seen: the tag that was dealt with last, whether its content was accepted or refused.
    refusal: why what the source holds was refused. failure: why the latest check came to nothing.
    failures: checks in a row that came to nothing.
    pinned: somebody went back from what the source holds, and it stays so until that changes.
    last_check, next_check: Unix times; 0 for never and at once.
    reloads: versions that took another's place. refusals: versions that were not accepted.
    """

    current: Version | None = None
    previous: Version | None = None
    seen: str | None = None
    refusal: str | None = None
    failure: str | None = None
    failures: int = 0
    pinned: bool = False
    last_check: float = 0.0
    next_check: float = 0.0
    checks: int = 0
    reloads: int = 0
    refusals: int = 0

    @property
    def error(self) -> str | None:
        return self.failure or self.refusal

    @property
    def kept(self) -> frozenset[int]:
        """The numbers of the versions that can be current again."""
        return frozenset(each.number for each in (self.current, self.previous) if each)

    def is_due(self, now: float) -> bool:
        """Whether it is time to check; also where the clock was set back."""
        return now >= self.next_check or now < self.last_check

    # What a check leads to

    def unchanged(self) -> Record:
        return replace(self, failure=None, failures=0)

    def failed(self, reason: str) -> Record:
        return replace(self, failure=reason, failures=self.failures + 1)

    def refused(self, tag: str, reason: str) -> Record:
        refusals = self.refusals + 1
        return replace(self.unchanged(), seen=tag, refusal=reason, refusals=refusals)

    def accepted(self, version: Version) -> Record:
        """A version that is the current one under another tag takes no other's place."""
        renewed = self.current is not None and self.current.number == version.number
        return replace(
            self.unchanged(),
            current=version,
            previous=self.previous if renewed else self.current,
            seen=version.tag,
            refusal=None,
            pinned=False,
        )

    def rolled_back(self, now: float) -> Record:
        """The previous version is the current one, and the other way round."""
        assert self.previous is not None
        current = replace(self.previous, since=now)
        return replace(self, current=current, previous=self.current, pinned=not self.pinned)

    # On disk

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """The reverse of `as_json`. Raises TypeError or KeyError for what isn't a record."""
        versions = {
            name: Version(**found[name]) if found[name] else None
            for name in ("current", "previous")
        }
        return cls(**{**found, **versions})
