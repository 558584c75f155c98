"""Real `trunkline serve` processes for tests, each in a process group and a folder of its own.

Nothing of the tester's environment reaches them: no provider's keys, no home folder.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from trunkline.telemetry.logs import WRITTEN_AFTER

from .forking import Forked, Forks, may_fork

START_SECONDS = 60.0
STOP_SECONDS = 40.0
PORTS = range(20_000, 32_000)
"""Below the range that Linux gives to outgoing connections, so that none takes a chosen port."""

PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")


class DidNotStart(AssertionError):
    """The gateway ended, or was not ready in time; its log says why."""


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port found")


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A process environment with nothing of the tester's own but where programs are found."""
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed_on | {"HOME": str(home), "PYTHONUNBUFFERED": "1"} | dict(extra or {})


def trunkline(
    *arguments: str, folder: Path, env: Mapping[str, str] | None = None, seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run a `trunkline` command to its end, in the folder."""
    return subprocess.run(
        [sys.executable, "-m", "trunkline", *arguments],
        cwd=folder,
        env=environment(folder, env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def write_config(folder: Path, config: Mapping[str, Any] | str | Path) -> Path:
    """Write a configuration, given as YAML or as what the YAML holds, into the folder.

    A path is a file that is there already, and stays where it is.
    """
    if isinstance(config, Path):
        return config
    path = folder / "config.yaml"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config), "utf-8")
    return path


@dataclass(slots=True)
class Gateway:
    """One running gateway.

    url: its base URL, without a slash at the end.
    folder: where it runs; holds `config.yaml` and `log`.
    """

    process: subprocess.Popen[bytes] | Forked
    host: str
    port: int
    folder: Path

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def log(self) -> str:
        """What it has printed so far, standard output and standard error, of all that it did."""
        if self.process.poll() is None:
            time.sleep(5 * WRITTEN_AFTER)
        return self._printed()

    def _printed(self) -> str:
        return (self.folder / "log").read_text("utf-8", errors="replace")

    def status(self, path: str) -> int | None:
        """The status that a GET without a key is answered with; None while nothing listens."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when `/health/readiness` answers 200."""
        deadline = time.monotonic() + seconds
        while self.status("/health/readiness") != http.client.OK:
            if self.process.poll() is not None:
                raise DidNotStart(f"exit code {self.process.returncode}\n{self.log()}")
            if time.monotonic() > deadline:
                raise DidNotStart(f"not ready after {seconds:.0f} s\n{self.log()}")
            time.sleep(0.02)

    def wait_until_said(self, text: str, seconds: float = START_SECONDS, *, times: int = 1) -> None:
        """Return when its log holds the text so many times."""
        deadline = time.monotonic() + seconds
        while self._printed().count(text) < times:
            if time.monotonic() > deadline:
                raise AssertionError(f"not said within {seconds:.0f} s: {text}\n{self.log()}")
            time.sleep(0.005)

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the process that was started, or as a terminal does to its group."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, number)

    def workers(self) -> list[int]:
        """The ids of the processes that serve."""
        pid = self.process.pid
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Ask it to end, as an orchestrator does, and give its exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it and its workers at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@cache
def _forks() -> Forks:
    """The process that this one's gateways are forked from."""
    return Forks(environment(Path(tempfile.gettempdir())))


def _spawned(
    arguments: Sequence[str], folder: Path, env: Mapping[str, str] | None, files: str
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "trunkline", *arguments]
    if files:
        command = ["sh", "-c", f'ulimit {files}; exec "$@"', "sh", *command]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment(folder, env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


class Gateways:
    """Starts gateways and ends all that it started.

    Each call starts one:

        server = gateways({"model_list": [...]}, env={"A_KEY": "..."})
        server.url, server.log(), server.stop()
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Gateway] = []

    def __call__(
        self,
        config: Mapping[str, Any] | str | Path,
        *,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        host: str = "127.0.0.1",
        files: str = "",
        ready: bool = True,
        fresh: bool = False,
    ) -> Gateway:
        """Start one from a configuration.

        env: environment variables beside the few that every process needs.
        arguments: further arguments of `trunkline serve`.
        files: options of `ulimit` that say how many files it may open ("-n 256").
        ready: wait until it is ready to serve.
        fresh: in an interpreter of its own, which has imported nothing yet.
        """
        folder = self.folder / str(len(self.started))
        folder.mkdir()
        path = write_config(folder, config)
        started = self._start(folder, path, env, arguments, host, files, fresh)
        if ready:
            started.wait_until_ready()
        return started

    def _start(
        self,
        folder: Path,
        config: Path,
        env: Mapping[str, str] | None,
        arguments: Sequence[str],
        host: str,
        files: str,
        fresh: bool,
    ) -> Gateway:
        port = free_port()
        serve = ["serve", "--config", str(config), "--host", host, "--port", str(port), *arguments]
        if fresh or files or not may_fork(env or {}):
            process = _spawned(serve, folder, env, files)
        else:
            (folder / "log").touch()
            process = _forks().start(serve, folder, environment(folder, env), folder / "log")
        started = Gateway(process, host, port, folder)
        self.started.append(started)
        return started

    def stop_all(self) -> None:
        """End every gateway that still runs, politely first."""
        for one in self.started:
            if one.process.poll() is None:
                one.signal(signal.SIGTERM)
        for one in self.started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(10)
            one.kill()
