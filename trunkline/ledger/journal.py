"""Rows on the local disk until the database has them: where no Redis holds them.

A folder of files, each of one process, which holds a lock on it while it lives. A line is a row's
CRC-32 in eight hexadecimal digits, a space and the row as JSON; one that a crash tore, or a full
disk, doesn't match its sum and is skipped.

    line = "3f2a91c0 [...]\\n"

A process writes to its newest file. A file whose rows the database has is removed; what dead
processes left is found by `orphans`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import field
from functools import partial
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import BinaryIO
from zlib import crc32

from ..dataclass import dataclass

log = logging.getLogger("trunkline.ledger")

SUFFIX = ".journal"
LARGE = 8 * 1024 * 1024
"""Bytes from which on a file isn't written to any more, so that it can go when its rows may."""
GAP = 0.001
"""Seconds from the end of a commit to the next: each keeps a processor busy, and rows that come
together share one. The first after a pause is begun at once."""
_SUM = 9
_LONGEST = 64 * 1024 * 1024


def line(row: bytes) -> bytes:
    """A row as it stands in a file."""
    return b"%08x %b\n" % (crc32(row), row)


def rows(file: BinaryIO) -> Iterator[bytes]:
    """The rows of a file, without what was torn."""
    while text := file.readline(_LONGEST):
        row = text[_SUM:-1]
        with contextlib.suppress(ValueError):
            if text[-1:] == b"\n" and text[8:_SUM] == b" " and int(text[:8], 16) == crc32(row):
                yield row


@dataclass(slots=True, eq=False)
class Segment:
    """A file of the running process.

    file: see `_opened`. size: bytes. kept: rows of it that the database hasn't yet, and that are
    also in memory. resting: whether others are only here. torn: whether a part of a line is at its
    end.
    """

    path: Path
    file: BinaryIO
    size: int = 0
    kept: int = 0
    resting: bool = False
    torn: bool = False

    def write(self, lines: bytes) -> bool:
        """Whether all of it is on the disk; else nothing of it stays, or a part that is torn."""
        descriptor = self.file.fileno()
        rest = memoryview(b"\n" + lines if self.torn else lines)
        length = len(rest)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            self.torn = True
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self.size)
                os.lseek(descriptor, self.size, os.SEEK_SET)
                self.torn = False
            return False
        self.size += length
        self.torn = False
        return True

    def empty(self) -> None:
        """Throws away what is in it. What can't be is inserted again some day, and counts once."""
        with contextlib.suppress(OSError):
            os.ftruncate(self.file.fileno(), 0)
            os.lseek(self.file.fileno(), 0, os.SEEK_SET)
            self.size = 0


@dataclass(slots=True)
class _Commit:
    """Lines that go to the disk together, and who waits for it."""

    segment: Segment
    lines: list[bytes] = field(default_factory=list)
    waiting: list[asyncio.Future[bool]] = field(default_factory=list)


class _Files:
    """The thread in which all is done to files, in the order in which it is asked for; or the
    event loop, where that waits.

    Without futures, which would cost the event loop as much as the rest.
    """

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def do(self, work: Callable[[], None]) -> None:
        if self._waits:
            _done(work)
            return
        if self._thread is None:
            self._thread = Thread(target=self._run, name="journal", daemon=True)
            self._thread.start()
        self._asked.put(work)

    def end(self) -> None:
        """Returns when all is done that was asked for."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (work := self._asked.get()) is not None:
            _done(work)


def _done(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        log.exception("work on the journal failed")


class Journal:
    """Appends rows; many that come together share one wait for the disk.

    failures: writes that didn't succeed.
    """

    def __init__(self, folder: Path, *, waits: bool = False) -> None:
        """The folder is made with the first row. waits: whether the event loop waits for the disk,
        in a process that has nothing better to do, instead of a thread."""
        self.folder = folder
        self.failures = 0
        self._segments: list[Segment] = []
        self._numbers = count(1)
        self._waits = waits
        self._files = _Files(waits=waits)
        self._gathering: _Commit | None = None
        self._writing: _Commit | None = None
        self._due = 0.0

    def append(self, row: bytes) -> tuple[Segment | None, asyncio.Future[bool]]:
        """Begins to write a row: to which file, and whether it is on the disk once that is known.

        None where there can't be a file.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        if self._gathering is None:
            segment = self._current()
            if segment is None:
                done.set_result(False)
                return None, done
            self._gathering = _Commit(segment)
            if self._writing is None:
                # In the loop's next turn at the earliest, so that rows of this one go along.
                loop.call_at(self._due, self._write)
        commit = self._gathering
        commit.lines.append(line(row))
        commit.waiting.append(done)
        return commit.segment, done

    def _write(self) -> None:
        commit, self._gathering = self._gathering, None
        if commit is None:
            return
        self._writing = commit
        self._files.do(partial(self._commit, commit, asyncio.get_running_loop()))

    def _commit(self, commit: _Commit, loop: asyncio.AbstractEventLoop) -> None:
        written = False
        try:
            written = commit.segment.write(b"".join(commit.lines))
        finally:
            if self._waits:
                self._written(commit, written)
            else:
                loop.call_soon_threadsafe(self._written, commit, written)

    def _written(self, commit: _Commit, written: bool) -> None:
        if not written:
            self._failed("the journal can't be written")
        for each in commit.waiting:
            if not each.done():
                each.set_result(written)
        self._writing = None
        loop = asyncio.get_running_loop()
        # What waits for this process gathers elsewhere meanwhile, where the loop waits.
        self._due = 0.0 if self._waits else loop.time() + GAP
        if self._gathering is not None:
            loop.call_at(self._due, self._write)

    def _failed(self, what: str) -> None:
        self.failures += 1
        if self.failures & (self.failures - 1) == 0:  # told at 1, 2, 4, 8 …
            log.error(what, extra={"folder": str(self.folder), "failures": self.failures})

    def _current(self) -> Segment | None:
        """The file to write to; None where none can be made."""
        if self._segments and self._segments[-1].size < LARGE:
            return self._segments[-1]
        try:
            segment = self._new()
        except OSError:
            self._failed("no journal can be made")
            return None
        self._segments.append(segment)
        return segment

    def _new(self) -> Segment:
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            name = f"{os.getpid()}-{os.urandom(4).hex()}-{next(self._numbers)}{SUFFIX}"
            path = self.folder / name
            file = _opened(path)
            # Another process may have taken it for a dead one's before it was locked.
            if _lock(file) and path.exists():
                return Segment(path, file)
            file.close()

    def tidy(self) -> list[Segment]:
        """Empties or removes the files whose rows the database has.

        Gives those with rows that are only there. They are written to no more, so that their rows
        may be read; the caller removes them by `discard`.
        """
        busy = {id(each.segment) for each in (self._gathering, self._writing) if each is not None}
        resting = []
        for segment in tuple(self._segments):
            if segment.kept or not (segment.size or segment.resting):
                continue
            if segment is self._segments[-1] and not segment.resting:
                self._files.do(segment.empty)
            elif id(segment) not in busy:
                self._segments.remove(segment)
                if segment.resting:
                    resting.append(segment)
                else:
                    self.discard(segment)
        return resting

    def discard(self, segment: Segment) -> None:
        self._files.do(partial(remove, segment.path, segment.file))

    async def close(self) -> None:
        """Waits for what is being written. Files with rows stay, for the next process."""
        while commit := self._writing or self._gathering:
            await asyncio.wait(commit.waiting)
        for segment in self._segments:
            if segment.kept or segment.resting:
                self._files.do(segment.file.close)
            else:
                self.discard(segment)
        self._segments.clear()
        await asyncio.to_thread(self._files.end)


def _opened(path: Path) -> BinaryIO:
    """A new file of which all that is written is on the disk when the write returns.

    A call of its own for that would wait for its turn among the process's threads once more.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_DSYNC, 0o666)
    return open(descriptor, "wb", buffering=0)


def _lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove(path: Path, file: BinaryIO) -> None:
    """Removes a file, which stays locked until it is gone."""
    path.unlink(missing_ok=True)
    file.close()


def orphans(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """The files of processes that live no more, each locked and open for reading."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX))
    except OSError:  # no folder, no files
        return
    for path in map(folder.joinpath, names):
        try:
            file = path.open("rb")
        except OSError:
            continue
        if _lock(file) and os.fstat(file.fileno()).st_nlink:
            yield path, file
        else:
            file.close()
