"""The folder in which the processes of a gateway that watch a thing keep what they share of it.

    record.json    what is known of it, see `record.py`
    3, 4           copies of the versions that are current and previous, by number
    incoming-…     what is being fetched or built
    lock           held by the one process that checks, or goes back

A process that dies lets go of the lock. Who has it may remove what the record doesn't name.
"""

from __future__ import annotations

import contextlib
import fcntl
import filecmp
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

from .. import json_text
from .record import Record
from .sources import remove

log = logging.getLogger("trunkline.live")

RECORD = "record.json"
LOCK = "lock"
INCOMING = "incoming-"


class Versions:
    """Made once for each process, after it was forked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._record = Record()
        self._stamp: tuple[int, int] | None = None

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Whether this process, and in it this block, alone may change what is shared."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / LOCK).open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def read(self) -> Record:
        """The record as it is now; an empty one where there is none, or one that can't be read."""
        path = self._folder / RECORD
        try:
            found = path.stat()
            stamp = found.st_ino, found.st_mtime_ns
            if stamp != self._stamp:
                self._record = Record.from_json(json_text.loads(path.read_bytes()))
                self._stamp = stamp
        except FileNotFoundError:
            return Record()
        except (ValueError, TypeError, KeyError) as error:
            log.warning("%s is no record, so that watching goes on without: %s", path, error)
            return Record()
        return self._record

    def write(self, record: Record) -> None:
        """Puts a record in the place of the one that is there; for who has the lock."""
        path = self.incoming()
        path.write_bytes(json_text.dumps(record.as_json()))
        path.replace(self._folder / RECORD)
        kept = {RECORD, LOCK, *map(str, record.kept)}
        for each in self._folder.iterdir():
            if each.name not in kept:
                remove(each)

    def incoming(self) -> Path:
        """A path for what isn't accepted yet."""
        return self._folder / f"{INCOMING}{uuid.uuid4().hex}"

    def path(self, number: int) -> Path:
        """Where the copy of a version is."""
        return self._folder / str(number)

    def holds(self, number: int, incoming: Path) -> bool:
        """Whether the copy of a version has the same content."""
        copy = self.path(number)
        names = sorted(each.name for each in incoming.iterdir()) if incoming.is_dir() else [""]
        if incoming.is_dir() != copy.is_dir() or not copy.exists():
            return False
        if copy.is_dir() and sorted(each.name for each in copy.iterdir()) != names:
            return False
        return all(filecmp.cmp(copy / name, incoming / name, shallow=False) for name in names)

    def keep(self, incoming: Path, number: int) -> None:
        """Keeps what was accepted as the copy of a version."""
        remove(self.path(number))
        incoming.rename(self.path(number))
