"""A PostgreSQL server of the tests' own, on a free port, as fast as one that may lose its data."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from .gateway import free_port

START_SECONDS = 30.0
OWNER = "nobody" if os.getuid() == 0 else None
"""PostgreSQL refuses to run as root."""

_numbers = count(1)


class PostgresServer:
    """url: of its first database. Each test takes one of its own by `database`."""

    def __init__(self, folder: Path, *, durable: bool = False, password: str = "") -> None:
        """durable: whether what was committed outlives `kill`. password: that it asks for."""
        self._data = folder / "data"
        self._log = folder / "postgres.log"
        self._durable = durable
        self._password = password
        self.port = free_port()
        self.url = self._url("postgres")
        self._process: subprocess.Popen[bytes] | None = None

    def _url(self, name: str) -> str:
        login = f"trunkline:{quote(self._password, safe='')}" if self._password else "trunkline"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        if not self._data.exists():
            self._make()
        fast = [] if self._durable else ["-c", "fsync=off", "-c", "full_page_writes=off"]
        self._process = self._run(
            "postgres",
            *("-D", str(self._data), "-p", str(self.port), "-h", "127.0.0.1"),
            *("-k", "", "-c", "max_connections=200", "-c", "log_min_messages=fatal", *fast),
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(self._log.read_text("utf-8", "replace")) from None
                time.sleep(0.02)

    def _make(self) -> None:
        known = ["-A", "trust"]
        if self._password:
            file = self._data.parent / "password"
            file.write_text(self._password, "utf-8")
            file.chmod(0o644)
            known = ["-A", "scram-sha-256", "--pwfile", str(file)]
        made = self._run(
            "initdb",
            *("-D", str(self._data), "-U", "trunkline", *known, "-E", "UTF8"),
            *("--no-sync", "--locale=C"),
        )
        assert made.wait() == 0, self._log.read_text("utf-8", "replace")

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [_found(program), *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._data.parent,
                user=OWNER,
                start_new_session=True,
            )

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def execute(self, statement: Any, *, url: str = "") -> list[Any]:
        """The rows that a statement gives; each is a transaction of its own."""
        with psycopg.connect(url or self.url, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """As kill -9 does, with all of its processes."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            # Its shared memory goes with the last of its processes.
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            self._process = None


def _found(program: str) -> str:
    """Debian keeps the programs of each version in a folder of its own, off the path."""
    path = shutil.which(program)
    if path is None:
        folders = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), reverse=True)
        assert folders, f"{program} is not installed"
        path = str(folders[0])
    return path


@contextlib.contextmanager
def postgres_server(*, durable: bool = False, password: str = "") -> Iterator[PostgresServer]:
    """Runs one while the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="trunkline-postgres-"))
    if OWNER is not None:
        shutil.chown(folder, OWNER)
    server = PostgresServer(folder, durable=durable, password=password)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
