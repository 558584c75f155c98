"""Where the files of a configuration are read: on disk, in a copy of what was there, or elsewhere.

A copy is a folder. It makes all processes, and a later return to it, see the same:

    files.json    the path of each file, in the order in which they were looked for, with the name
                  of its copy; null for what wasn't there
    0, 1 …        the copies
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final, Protocol

from .. import json_text
from .document import MOST_BYTES

LIST: Final = "files.json"
_GONE: Final = "No such file or directory"


class Files(Protocol):
    """alone: what a configuration is that can include no others; empty where it can."""

    @property
    def alone(self) -> str: ...

    def name(self, path: Path) -> str:
        """What a file is called in errors."""
        ...

    def exists(self, path: Path) -> bool: ...

    def read(self, path: Path) -> bytes:
        """A file's bytes; of a larger one, one more than a file may have.

        Raises OSError, and ValueError for what is no file name.
        """
        ...


class Disk:
    """The machine's own files."""

    alone = ""

    def name(self, path: Path) -> str:
        return str(path)

    def exists(self, path: Path) -> bool:
        return os.path.exists(path)

    def read(self, path: Path) -> bytes:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)


class Alone:
    """One object from elsewhere, of which there is a copy: it has no folder, and includes nothing.

    place: its URL. copy: a file.
    """

    def __init__(self, place: str, copy: Path) -> None:
        self.alone = f"a configuration from {place.partition('://')[0]}://"
        self._place = place
        self._copy = copy

    def name(self, path: Path) -> str:
        return self._place

    def exists(self, path: Path) -> bool:
        return False

    def read(self, path: Path) -> bytes:
        return Disk().read(self._copy)


class Recording(Disk):
    """The machine's own files, and what was found of each. found: by path; None for nothing."""

    def __init__(self) -> None:
        self.found: dict[Path, bytes | None] = {}

    def exists(self, path: Path) -> bool:
        there = super().exists(path)
        if not there:
            self.found.setdefault(path, None)
        return there

    def read(self, path: Path) -> bytes:
        self.found[path] = None
        content = super().read(path)
        self.found[path] = content
        return content

    def save(self, folder: Path) -> None:
        """Writes a copy of all that was found. Raises OSError."""
        folder.mkdir(mode=0o700)
        listed: dict[str, str | None] = {}
        for number, (path, content) in enumerate(self.found.items()):
            listed[str(path)] = str(number) if content is not None else None
            if content is not None:
                (folder / str(number)).write_bytes(content)
        (folder / LIST).write_bytes(json_text.dumps(listed))

    @property
    def digest(self) -> str:
        """SHA-256 of the paths and of what they hold, 64 hexadecimal digits."""
        return digest(self.found)


class Copied:
    """What a `Recording` has saved in a folder. Raises OSError or ValueError for anything else."""

    alone = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, str | None] = json_text.loads((folder / LIST).read_bytes())

    def name(self, path: Path) -> str:
        return str(path)

    def exists(self, path: Path) -> bool:
        return self._names.get(str(path)) is not None

    def read(self, path: Path) -> bytes:
        name = self._names.get(str(path))
        if name is None:
            raise FileNotFoundError(2, _GONE)
        return Disk().read(self._folder / name)


def digest(found: dict[Path, bytes | None]) -> str:
    hashed = hashlib.sha256()
    for path, content in found.items():
        inner = hashlib.sha256(content).digest() if content is not None else b""
        hashed.update(repr((str(path), inner)).encode("utf-8", "surrogateescape"))
    return hashed.hexdigest()
