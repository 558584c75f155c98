"""A configuration file with the files that it includes, as a source.

Its tag covers what they hold, not when they were written. They are read only where one of them has
another size, modification time or inode than before; a copy is a folder, see `settings/files.py`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ..dataclass import dataclass
from ..errors import ConfigError
from ..settings import includes
from ..settings.files import Recording
from .sources import LOOKS, SETTLE_SECONDS, Fetched, SourceError

Stamp = tuple[int, int, int] | None
"""Modification time, size and inode of a file; None where there is none."""


@dataclass(frozen=True, slots=True)
class _Seen:
    stamps: Mapping[Path, Stamp]
    tag: str


class ConfigFiles:
    """path: of the file. now: Unix time. pause: waits for seconds."""

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = str(path)
        self._path = path
        self._now = now
        self._pause = pause
        self._seen: _Seen | None = None

    def fetch(self, known: str | None, into: Path) -> Fetched | None:
        """See `Source`. The very first one doesn't wait for what may be being written."""
        seen = self._seen
        if seen is not None and seen.tag == known and seen.stamps == _stamps(seen.stamps):
            return None
        for _ in range(LOOKS):
            found = self._read()
            if found is None:
                continue
            recording, stamps = found
            if known is not None and self._is_young(recording):
                self._pause(SETTLE_SECONDS)
                if _stamps(stamps) != stamps:
                    continue
            if recording.found.get(self._path) is None and known is not None:
                raise SourceError(f"{self.name} can't be read")
            self._seen = _Seen(stamps, recording.digest)
            if recording.digest == known:
                return None
            recording.save(into)
            return Fetched(recording.digest, into)
        raise SourceError(f"{self.name}: it is being written")

    def _read(self) -> tuple[Recording, Mapping[Path, Stamp]] | None:
        """What the files hold; None where one changed meanwhile."""
        before = _stamps(self._seen.stamps if self._seen else {self._path: None})
        recording = Recording()
        # What is wrong with them is said by who reads the copy.
        with contextlib.suppress(ConfigError):
            includes.read(self._path, recording)
        stamps = _stamps(recording.found)
        changed = any(stamps[path] != before[path] for path in stamps.keys() & before.keys())
        return None if changed else (recording, stamps)

    def _is_young(self, recording: Recording) -> bool:
        """Whether a file was changed so recently that it may not be whole yet."""
        times = []
        for path in recording.found:
            with contextlib.suppress(OSError, ValueError):
                times.append(os.stat(path).st_ctime)
        return self._now() - max(times, default=0.0) <= SETTLE_SECONDS


def _stamps(paths: Mapping[Path, object]) -> dict[Path, Stamp]:
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> Stamp:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
