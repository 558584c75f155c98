"""Where what is reloaded comes from: a file, a folder, or an object in S3.

Every source gives a copy that is consistent in itself, with a tag that changes with its content.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from ..dataclass import dataclass
from ..errors import BundleError

SETTLE_SECONDS = 0.25
"""For which files have to stay as they are before they are taken: they may be being written."""
LOOKS = 20
"""At what doesn't stay as it is; then the next check tries anew."""
MOST_ENTRIES = 1000
"""Of a folder; one with more is no bundle."""


class SourceError(Exception):
    """What is watched can't be had now: why, in one line."""


class NotNow(BundleError):
    """What the source holds can't be built for now, which has nothing to do with what it holds."""


class Unfit(BundleError):
    """What the source holds isn't fetched at all. tag: of what it holds."""

    def __init__(self, message: str, tag: str) -> None:
        super().__init__(message)
        self.tag = tag


@dataclass(frozen=True, slots=True)
class Fetched:
    """A copy of what a source holds. tag: what it is known by. path: a file or a folder."""

    tag: str
    path: Path


class Source(Protocol):
    """name: what people call it: the path, or `s3://bucket/key`."""

    name: str

    def fetch(self, known: str | None, into: Path) -> Fetched | None:
        """Copies what the source holds to a path that isn't there yet; None where that is known.

        known: the tag of what the caller has had already. Blocks for as long as it takes. Raises
        SourceError where it can't be had, and Unfit where it must not be; a part of it may be left
        at the path.
        """
        ...


class FileSource:
    """A file or a folder. Its tag covers the modification times, sizes and inodes of all its files.

    size_limit: bytes, of all files together. now: Unix time. pause: waits for seconds.
    """

    def __init__(
        self,
        path: Path,
        size_limit: int,
        *,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = str(path)
        self._path = path
        self._size_limit = size_limit
        self._now = now
        self._pause = pause

    def fetch(self, known: str | None, into: Path) -> Fetched | None:
        try:
            return self._fetch(known, into)
        except OSError as error:
            raise SourceError(f"{self.name}: {error.strerror or error}") from None

    def _fetch(self, known: str | None, into: Path) -> Fetched | None:
        looked = _look(self._path)
        if looked.tag == known:
            return None
        for _ in range(LOOKS):
            before = looked
            if self._now() - looked.changed <= SETTLE_SECONDS:
                self._pause(SETTLE_SECONDS)
                looked = _look(self._path)
                if looked != before:
                    continue
            self._check(looked)
            with contextlib.suppress(FileNotFoundError):
                _copy(looked.real, into)
            looked = _look(self._path)
            if looked == before:
                return Fetched(looked.tag, into)
            remove(into)
        raise SourceError(f"{self.name}: it is being written")

    def _check(self, looked: _Look) -> None:
        if looked.size > self._size_limit:
            raise too_large(self.name, looked.size, self._size_limit, looked.tag)
        if looked.entries > MOST_ENTRIES:
            raise Unfit(f"{self.name}: a folder of more than {MOST_ENTRIES} files", looked.tag)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a path held at one moment.

    real: where it was, behind symbolic links. changed: Unix time of the latest change, which unlike
    the modification time no program sets.
    """

    real: Path
    tag: str
    size: int
    entries: int
    changed: float


def _look(path: Path) -> _Look:
    real = Path(os.path.realpath(path, strict=True))
    found = real.stat()
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path}: neither a file nor a folder")
    digest, size, entries, changed = hashlib.sha256(), 0, 0, found.st_ctime
    for name, each in _entries(real, found):
        entries += 1
        if entries > MOST_ENTRIES:
            break
        changed = max(changed, each.st_ctime)
        size += each.st_size if stat.S_ISREG(each.st_mode) else 0
        stamp = (name, each.st_mode, each.st_mtime_ns, each.st_size, each.st_ino)
        digest.update(repr(stamp).encode())
    return _Look(real, digest.hexdigest()[:32], size, entries, changed)


def _entries(real: Path, found: os.stat_result) -> Iterator[tuple[str, os.stat_result]]:
    """A file; or what a folder holds but for hidden files, which other programs leave there."""
    if stat.S_ISREG(found.st_mode):
        yield "", found
        return
    for name in sorted(os.listdir(real)):
        if not name.startswith("."):
            yield name, (real / name).lstat()


def _copy(real: Path, into: Path) -> None:
    """Copies a file, or a folder's files. What else a folder holds becomes an empty folder of its
    name, for whoever reads the copy to refuse."""
    if real.is_file():
        shutil.copyfile(real, into)
        return
    into.mkdir()
    for name, found in _entries(real, real.stat()):
        if stat.S_ISREG(found.st_mode):
            shutil.copyfile(real / name, into / name, follow_symlinks=False)
        else:
            (into / name).mkdir()


def too_large(name: str, size: int, limit: int, tag: str) -> Unfit:
    """What to raise for more bytes than the limit."""
    return Unfit(f"{name}: {size} bytes, more than the {limit} that it may have", tag)


def remove(path: Path) -> None:
    """Removes a file or a folder with all that it holds; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
