"""What of the uploads to a bucket or folder is in force: one small object, `active.json`.

    {"format": 1, "revision": 7,
     "current":  {"key": "incoming/router.tar", "version_id": "…", "etag": "…", "sha256": "…",
                  "size": 123, "name": "2026-11-26-97cd", "uploaded": 1764…, "since": 1764…},
     "previous": {…} | null,
     "canary":   {"candidate": {…}, "share": 0.1, "started": 1764…, "until": 1764…,
                  "guards": {"errors": 0.02, "cost": 1.2, "quality": 0.05, "least_calls": 100}}
                 | null}

Keys are in the pointer's own bucket; times are Unix seconds. The revision counts writes. Whoever
writes does so on condition that nobody else has meanwhile (see `pointed.py`).
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .. import json_text
from ..dataclass import dataclass

NAME: Final = "active.json"
FORMAT: Final = 1
MOST_BYTES: Final = 64 * 1024
"""Of a pointer; a larger object is none."""

_CHANGED = "pointer "


class PointerError(ValueError):
    """What is no pointer: why."""


@dataclass(frozen=True, slots=True)
class Target:
    """One upload.

    version_id: of the object; empty in a bucket that keeps no versions. sha256: of its bytes, in
    hexadecimal digits. size: bytes. name: what the bundle calls itself; of anything else, its tag.
    uploaded: when it was uploaded. since: when it came into force, or began as a candidate.
    """

    key: str
    version_id: str
    etag: str
    sha256: str
    size: int
    name: str
    uploaded: float
    since: float

    def is_same_upload(self, other: Target | None) -> bool:
        return other is not None and (self.key, self.version_id, self.etag) == (
            other.key,
            other.version_id,
            other.etag,
        )


@dataclass(frozen=True, slots=True)
class Guards:
    """What a candidate is held to, each beside the bundle in force.

    errors: how much larger its share of failed attempts may be. cost: how many times as much its
    calls may cost. quality: how much lower its mean feedback may be. least_calls: attempts of the
    candidate before anything is concluded.
    """

    errors: float = 0.02
    cost: float = 1.2
    quality: float = 0.05
    least_calls: int = 100


@dataclass(frozen=True, slots=True)
class Canary:
    """A candidate that decides for a share of the calls, from `started` until `until`."""

    candidate: Target
    share: float
    started: float
    until: float
    guards: Guards = Guards()


@dataclass(frozen=True, slots=True)
class Pointer:
    """See the module's head. current: None where nothing has been accepted yet."""

    revision: int = 0
    current: Target | None = None
    previous: Target | None = None
    canary: Canary | None = None

    @property
    def named(self) -> tuple[Target, ...]:
        """Every upload that it names."""
        found = (self.current, self.previous, self.canary and self.canary.candidate)
        return tuple(each for each in found if each)

    # What becomes of it. Each counts as one write.

    def accepted(self, target: Target) -> Self:
        """An upload is in force, for all calls."""
        return self._next(current=target, previous=self.current, canary=None)

    def tried(self, canary: Canary) -> Self:
        """An upload is on trial, in the place of another that was."""
        return self._next(canary=canary)

    def promoted(self, now: float) -> Self:
        """The candidate is in force."""
        assert self.canary is not None
        return self.accepted(replace(self.canary.candidate, since=now))

    def withdrawn(self) -> Self:
        """The candidate is on trial no more."""
        return self._next(canary=None)

    def rolled_back(self, now: float) -> Self:
        """What was in force before is so again, and the other way round."""
        assert self.previous is not None
        current = replace(self.previous, since=now)
        return self._next(current=current, previous=self.current, canary=None)

    def _next(self, **changes: Any) -> Self:
        return replace(self, revision=self.revision + 1, **changes)


def changed(name: str) -> str:
    """The message on the bus that a pointer was written. name: `s3://bucket/active.json`."""
    return _CHANGED + name


def is_changed(message: str, name: str) -> bool:
    """Whether a message of the bus may say that a pointer was written."""
    return message in ("", changed(name))  # empty: something may have been said unheard


# As it is written

_Number = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Target(_Part):
    key: Annotated[str, Field(min_length=1, max_length=1024)]
    version_id: Annotated[str, Field(max_length=1024)]
    etag: Annotated[str, Field(max_length=256)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]
    name: Annotated[str, Field(max_length=256)]
    uploaded: _Number = 0.0
    since: _Number


class _Guards(_Part):
    errors: _Number
    cost: _Number
    quality: _Number
    least_calls: Annotated[int, Field(ge=1)]


class _Canary(_Part):
    candidate: _Target
    share: Annotated[float, Field(gt=0, le=1, strict=False)]
    started: _Number
    until: _Number
    guards: _Guards


class _Pointer(_Part):
    format: Literal[1]
    revision: Annotated[int, Field(ge=1)]
    current: _Target | None
    previous: _Target | None
    canary: _Canary | None


def encode(pointer: Pointer) -> bytes:
    """The bytes of `active.json`."""
    return json_text.dumps({"format": FORMAT, **asdict(pointer)})


def decode(data: bytes) -> Pointer:
    """The reverse of `encode`. Raises PointerError with every fault."""
    if len(data) > MOST_BYTES:
        raise PointerError(f"{len(data)} bytes, more than the {MOST_BYTES} of a pointer")
    try:
        found = json_text.loads(data)
    except ValueError as error:
        raise PointerError(f"not JSON: {error}") from None
    if isinstance(found, dict) and found.get("format", FORMAT) != FORMAT:
        raise PointerError(f"this program reads format {FORMAT}, not {found['format']!r}")
    try:
        read = _Pointer.model_validate(found)
    except ValidationError as error:
        raise PointerError(_told(error)) from None
    if read.canary is not None and read.current is None:
        raise PointerError("canary: there is nothing in force beside it")
    return Pointer(
        read.revision,
        _target(read.current),
        _target(read.previous),
        _canary(read.canary),
    )


def _target(read: _Target | None) -> Target | None:
    return Target(**read.model_dump()) if read is not None else None


def _canary(read: _Canary | None) -> Canary | None:
    if read is None:
        return None
    return Canary(
        Target(**read.candidate.model_dump()),
        read.share,
        read.started,
        read.until,
        Guards(**read.guards.model_dump()),
    )


def _told(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'all'}: {each['msg']}" for each in faults
    )
