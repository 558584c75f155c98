"""Where uploads lie with the pointer that says which of them is in force: a bucket, or a folder.

    active.json      the pointer, see `pointer.py`
    incoming/…       uploads, by whatever name
    evaluation/…     what bundles are compared on before one takes another's place, if anything is

Writing the pointer takes its tag as it was read: who comes second gets `Conflict` and reads again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from ..dataclass import dataclass
from .pointer import NAME, Pointer, PointerError, Target, decode
from .s3 import SCHEME
from .sources import SourceError, Unfit

INCOMING: Final = "incoming/"
EVALUATION: Final = "evaluation/"

FOLLOWED: Final = f"/{NAME}"
"""What the place of something ends with that is read through a pointer."""


class Conflict(Exception):
    """Somebody else has written the pointer since it was read."""


class Gone(SourceError):
    """There is no such upload any more."""


@dataclass(frozen=True, slots=True)
class Found:
    """A pointer as it was read. tag: of the object; None where there is none yet."""

    pointer: Pointer
    tag: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """What somebody uploaded. size: bytes. uploaded: Unix time.

    version_id: empty where the bucket keeps no versions.
    """

    key: str
    version_id: str
    etag: str
    size: int
    uploaded: float


class Depot(Protocol):
    """name: of its pointer: `s3://bucket/prefix/active.json`, or a path.

    Everything blocks, and raises SourceError where the place can't be reached.
    """

    name: str

    def read(self, known: str | None = None) -> Found | None:
        """The pointer; an empty one where there is none; None where `known` is still its tag.

        Raises Unfit for what is no pointer.
        """
        ...

    def write(self, pointer: Pointer, tag: str | None) -> None:
        """Puts a pointer in the place of the one with this tag. Raises Conflict."""
        ...

    def fetch(self, what: Upload | Target, into: Path, size_limit: int) -> str:
        """Copies an upload to a path; the SHA-256 of it. Raises Unfit for one that is too large."""
        ...

    def upload(self, name: str, file: Path) -> Upload:
        """Puts a file among what is incoming."""
        ...

    def look(self, key: str, version_id: str = "") -> Upload:
        """An upload as it lies there; the latest of its key without a version. Raises Gone."""
        ...

    def listed(self, folder: str) -> list[str]:
        """The keys in a folder: `INCOMING` or `EVALUATION`."""
        ...

    def marks(self, what: Upload | Target) -> dict[str, str]:
        """The tags of an upload."""
        ...

    def mark(self, what: Upload | Target, marks: dict[str, str]) -> None:
        """Sets the tags of an upload, all of them."""
        ...


def depot(place: str) -> Depot:
    """The one at `s3://bucket[/prefix]` or in a folder; its pointer's own place will do, too.

    Raises ValueError for a URL that names no bucket.
    """
    place = place.removesuffix(NAME).rstrip("/") if place.endswith(FOLLOWED) else place.rstrip("/")
    if place.startswith(SCHEME):
        from .depot_s3 import S3Depot  # noqa: PLC0415 - each loads only where it is used

        bucket, _, prefix = place.removeprefix(SCHEME).partition("/")
        if not bucket:
            raise ValueError(f"{place!r} must be s3://bucket or s3://bucket/prefix")
        return S3Depot(bucket, f"{prefix}/" if prefix else "")

    from .depot_folder import FolderDepot  # noqa: PLC0415

    return FolderDepot(Path(place or "/"))


def read_pointer(name: str, data: bytes, tag: str) -> Found:
    """Raises Unfit."""
    try:
        return Found(decode(data), tag)
    except PointerError as error:
        raise Unfit(f"{name}: {error}", tag) from None


def check_fetched(name: str, target: Target, sha256: str, tag: str) -> None:
    """Raises Unfit where what was fetched isn't what the pointer says."""
    if sha256 != target.sha256:
        raise Unfit(
            f"{name}: {target.key} is not what was accepted: its SHA-256 is {sha256[:12]}…,"
            f" not {target.sha256[:12]}…",
            tag,
        )
