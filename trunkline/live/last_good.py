"""The last good copy of what is watched, on disk for the next start.

    last.json    its version, and the tag of the source that was dealt with last
    9f0c…        the copy, under a name that is never used again

Several gateways may keep theirs in one folder: the last one to write is the one that is found.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from dataclasses import asdict
from pathlib import Path

from .. import json_text
from .record import Record, Version
from .sources import remove

LAST = "last.json"
KEPT_SECONDS = 3600
"""For which copies are left alone that another process may be writing or reading."""


class LastGood:
    """In a folder that is made when there is something to keep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, copy: Path, record: Record) -> None:
        """Keeps the copy of a record's current version. Raises OSError."""
        assert record.current is not None
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = self._folder / uuid.uuid4().hex
        _copy(copy, kept)
        told = {
            "copy": kept.name,
            "version": asdict(record.current),
            "seen": record.seen if record.pinned else record.current.tag,
            "pinned": record.pinned,
        }
        new = self._folder / f"{kept.name}.json"
        new.write_bytes(json_text.dumps(told))
        _sync(new)
        new.replace(self._folder / LAST)
        _sync(self._folder)
        self._forget({LAST, kept.name})

    def restore(self, into: Path) -> Record | None:
        """Copies the last good one to a path, as the first version of a record.

        None where there is none, or none that can be read.
        """
        try:
            told = json_text.loads((self._folder / LAST).read_bytes())
            version = Version(**{**told["version"], "number": 1})
            _copy(self._folder / told["copy"], into)
            return Record(current=version, seen=told["seen"], pinned=told["pinned"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _forget(self, kept: set[str]) -> None:
        for each in self._folder.iterdir():
            if each.name not in kept and time.time() - each.stat().st_mtime > KEPT_SECONDS:
                remove(each)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
        for each in target.iterdir():
            _sync(each)
    else:
        shutil.copyfile(source, target)
    _sync(target)


def _sync(path: Path) -> None:
    """Returns once what is at the path outlives a loss of power."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
