"""What a pointer says is in force, as a source: one conditional read of the pointer for each look.

Where a candidate is on trial, the copy is a folder of both:

    current, candidate   the two uploads
    trial.json           what is said of the trial, see `Trial`
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Final, Self

from .. import json_text
from ..dataclass import dataclass
from .depot import FOLLOWED, Depot, check_fetched, depot
from .pointer import Canary, Pointer, Target
from .sources import Fetched, SourceError, Unfit

CURRENT: Final = "current"
CANDIDATE: Final = "candidate"
TRIAL: Final = "trial.json"


class Empty(SourceError):
    """A pointer names nothing yet."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Of a trial. pointer: its name. revision: since which it runs. share: of the calls.

    until: Unix time. problem: why the candidate isn't there; empty where it is.
    """

    pointer: str
    revision: int
    share: float
    until: float
    problem: str = ""

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Those of a copy; None where it is no trial."""
        path = folder / TRIAL
        return cls(**json_text.loads(path.read_bytes())) if path.is_file() else None


class PointerSource:
    """size_limit: bytes, of each upload. trials: whether candidates are wanted."""

    def __init__(self, depot: Depot, size_limit: int, *, trials: bool) -> None:
        self.name = depot.name
        self._depot = depot
        self._size_limit = size_limit
        self._trials = trials

    def fetch(self, known: str | None, into: Path) -> Fetched | None:
        found = self._depot.read(known)
        if found is None:
            return None
        pointer, tag = found.pointer, found.tag
        if pointer.current is None or tag is None:
            raise Empty(f"{self.name}: nothing was rolled out there yet")
        if pointer.canary is None or not self._trials:
            self._take(pointer.current, into, tag)
            return Fetched(tag, into)
        into.mkdir()
        self._take(pointer.current, into / CURRENT, tag)
        problem = ""
        try:
            self._take(pointer.canary.candidate, into / CANDIDATE, tag)
        except (SourceError, Unfit) as error:
            # What is in force mustn't wait for what may come into force.
            problem = str(error)
        terms = _terms(self.name, pointer, pointer.canary, problem)
        (into / TRIAL).write_bytes(json_text.dumps(asdict(terms)))
        return Fetched(tag, into)

    def _take(self, target: Target, into: Path, tag: str) -> None:
        sha256 = self._depot.fetch(target, into, self._size_limit)
        check_fetched(self.name, target, sha256, tag)


def _terms(name: str, pointer: Pointer, canary: Canary, problem: str) -> Terms:
    return Terms(name, pointer.revision, canary.share, canary.until, problem)


def followed(where: str, size_limit: int, *, trials: bool = False) -> PointerSource | None:
    """The source of what is read through a pointer; None for a place that isn't.

    where: a path or URL. size_limit: bytes. Raises ValueError for a URL that names no bucket.
    """
    if not where.endswith(FOLLOWED):
        return None
    return PointerSource(depot(where), size_limit, trials=trials)
