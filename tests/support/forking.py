"""Starts `trunkline` in a fork of a process that has imported it already.

Importing is most of what a start costs, and the suite starts hundreds of gateways. What is forked
has the environment, folder, session and output of a process of its own, and ends as one.

    tester ── one line of JSON for each start, over a socket ──► this module, as a process
           ◄── {"started": pid}, and {"ended": pid, "code": …} once it has ──
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

IMPORTED = (
    "aiosqlite",
    "alembic.command",
    "alembic.runtime.migration",
    "psycopg",
    "redis.asyncio",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "trunkline.api.accounts",
    "trunkline.app",
    "trunkline.bookkeeping",
    "trunkline.learning",
    "trunkline.reloading",
    "trunkline.server",
    "trunkline.cli",
)
ONLY_AT_START = ("PYTHON", "LD_", "MALLOC_")
"""Beginnings of variables that a running interpreter doesn't look at any more."""
POLL_SECONDS = 0.01


class Forked:
    """A forked process, as much like `subprocess.Popen` as gateways need."""

    def __init__(self, forks: Forks, pid: int) -> None:
        self._forks = forks
        self.pid = pid

    @property
    def returncode(self) -> int | None:
        return self._forks.codes.get(self.pid)

    def poll(self) -> int | None:
        self._forks.listen()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired after so many seconds."""
        deadline = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(POLL_SECONDS)
        return code


class Forks:
    """The process that forks, which ends with this one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.codes: dict[int, int] = {}
        self._started: list[int] = []
        self._lock = threading.RLock()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=Path(__file__).parents[2],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._lines = _Lines(self._control)
        atexit.register(self.close)

    def start(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
    ) -> Forked:
        """`trunkline` with the arguments, in the folder. log: takes all that it prints."""
        asked = {
            "arguments": [*arguments],
            "folder": str(folder),
            "environment": dict(environment),
            "log": str(log),
        }
        with self._lock:
            self._control.sendall(json.dumps(asked).encode() + b"\n")
            while not self._started:
                self.listen(wait=True)
            return Forked(self, self._started.pop())

    def listen(self, *, wait: bool = False) -> None:
        """Takes in what the process that forks has said."""
        with self._lock:
            for said in self._lines.read(wait=wait):
                if "started" in said:
                    self._started.append(said["started"])
                    self.codes.pop(said["started"], None)  # of an earlier process of that number
                else:
                    self.codes[said["ended"]] = said["code"]

    def close(self) -> None:
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)


def may_fork(environment: Mapping[str, str]) -> bool:
    """Whether all of the environment has an effect in a fork, too."""
    return not any(name.startswith(ONLY_AT_START) for name in environment)


class _Lines:
    """Lines of JSON from a socket."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self._rest = b""

    def read(self, *, wait: bool) -> Iterator[Any]:
        """Those that are there. Raises EOFError where no more can come."""
        while select.select([self._source], [], [], None if wait else 0)[0]:
            data = self._source.recv(65_536)
            if not data:
                raise EOFError("the other end has gone")
            *lines, self._rest = (self._rest + data).split(b"\n")
            yield from map(json.loads, lines)
            wait = False


def _serve(control: socket.socket) -> None:
    """Forks what is asked for, until the tester has gone. In a fork: runs it."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    woken, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking)
    lines = _Lines(control)
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            for ended in _ended():
                control.sendall(json.dumps(ended).encode() + b"\n")
        if control not in ready:
            continue
        try:
            asked = list(lines.read(wait=True))
        except EOFError:
            return
        for each in asked:
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for descriptor in (woken, waking):
                    os.close(descriptor)
                control.close()
                _run(each)
            control.sendall(json.dumps({"started": pid}).encode() + b"\n")


def _ended() -> Iterator[dict[str, int]]:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield {"ended": found[0], "code": os.waitstatus_to_exitcode(found[1])}


def _run(asked: Mapping[str, Any]) -> None:
    """Becomes the program that was asked for. Never returns."""
    os.setsid()
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    sys.path[0] = asked["folder"]
    sys.argv = ["trunkline", *asked["arguments"]]
    importlib.import_module("trunkline.cli").main(asked["arguments"])


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
