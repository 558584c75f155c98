"""A folder as a depot, for a laptop. See `depot.py`.

    .versions/9f0c…       uploads that were looked at, by their SHA-256, which is their version
    .versions/9f0c….tags  what was found of one
    .lock                 held by whoever writes the pointer

Files keep no versions, so those are copies; what the pointer doesn't name is removed after a while.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .. import json_text
from .depot import INCOMING, Conflict, Found, Gone, Upload, read_pointer
from .pointer import MOST_BYTES, NAME, Pointer, Target, encode
from .sources import SourceError, too_large

VERSIONS: Final = ".versions"
KEPT_SECONDS = 3600
"""For which copies are left alone that somebody may be about to read."""


class FolderDepot:
    """In a folder, which is made with the first upload."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._versions = self._folder / VERSIONS
        self.name = str(self._folder / NAME)

    def read(self, known: str | None = None) -> Found | None:
        try:
            with (self._folder / NAME).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            return Found(Pointer(), None)
        except OSError as error:
            raise SourceError(f"{self.name}: {error.strerror or error}") from None
        tag = hashlib.sha256(data).hexdigest()[:32]
        return None if tag == known else read_pointer(self.name, data, tag)

    def write(self, pointer: Pointer, tag: str | None) -> None:
        with self._failing(NAME), self._locked():
            found = self.read()
            assert found is not None
            if found.tag != tag:
                raise Conflict(self.name)
            _replace(self._folder / NAME, encode(pointer))
            self._forget({each.version_id for each in pointer.named})

    def fetch(self, what: Upload | Target, into: Path, size_limit: int) -> str:
        if what.size > size_limit:
            raise too_large(what.key, what.size, size_limit, what.etag)
        with self._failing(what.key):
            shutil.copyfile(self._versions / what.version_id, into)
            with into.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

    def upload(self, name: str, file: Path) -> Upload:
        target = self._folder / INCOMING / name
        with self._failing(str(file)):
            target.parent.mkdir(parents=True, exist_ok=True)
            new = target.with_name(f".{name}.{uuid.uuid4().hex}")
            shutil.copyfile(file, new)
            new.replace(target)
        return self.look(INCOMING + name)

    def look(self, key: str, version_id: str = "") -> Upload:
        with self._failing(key):
            try:
                digest = version_id or self._kept(self._folder / key)
                found = (self._versions / digest).stat()
            except FileNotFoundError:
                raise Gone(f"{self._folder / key}: there is no such file") from None
            return Upload(key, digest, digest, found.st_size, found.st_mtime)

    def _kept(self, file: Path) -> str:
        """The SHA-256 of a file, of which a copy is kept."""
        self._versions.mkdir(parents=True, exist_ok=True)
        new = self._versions / f"new-{uuid.uuid4().hex}"
        shutil.copyfile(file, new)
        with new.open("rb") as copied:
            digest = hashlib.file_digest(copied, "sha256").hexdigest()
        when = file.stat().st_mtime
        os.utime(new, (when, when))
        new.replace(self._versions / digest)
        return digest

    def listed(self, folder: str) -> list[str]:
        place = self._folder / folder
        if not place.is_dir():
            return []
        files = (each.name for each in place.iterdir() if each.is_file())
        return sorted(folder + name for name in files if not name.startswith("."))

    def marks(self, what: Upload | Target) -> dict[str, str]:
        try:
            found = json_text.loads((self._versions / f"{what.version_id}.tags").read_bytes())
        except (OSError, ValueError):
            return {}
        return {str(name): str(value) for name, value in found.items()}

    def mark(self, what: Upload | Target, marks: dict[str, str]) -> None:
        with self._failing(what.key):
            _replace(self._versions / f"{what.version_id}.tags", json_text.dumps(marks))

    def _forget(self, named: set[str]) -> None:
        if not self._versions.is_dir():
            return
        for each in self._versions.iterdir():
            old = time.time() - each.stat().st_ctime > KEPT_SECONDS
            if old and each.suffix != ".tags" and each.name not in named:
                each.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceError(f"{self._folder / what}: {error.strerror or error}") from None


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    new.write_bytes(data)
    new.replace(path)
