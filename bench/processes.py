"""Servers as child processes: started, watched through /proc, and always stopped. Linux only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 10.0


class BenchError(Exception):
    """A measurement that can't be trusted or made; the message says why."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process tree, in bytes.

    pss: shared pages divided among the processes that share them, so the sum counts each once.
    rss: shared pages counted in full for each process.
    """

    pss: int
    rss: int


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: its process and everything that it started."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    spawned: float

    def check(self) -> None:
        """Raises BenchError when the process has ended."""
        if self.process.poll() is not None:
            raise BenchError(
                f"{self.name} ended with exit code {self.process.returncode}:\n{self.last_words()}"
            )

    def last_words(self) -> str:
        """The end of what it logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def cpu_seconds(self) -> float:
        """User and system time of the whole tree so far."""
        return sum(map(_cpu_seconds, tree(self.process.pid)))

    def memory(self) -> Memory:
        """Resident memory of the whole tree now."""
        parts = [_memory(pid) for pid in tree(self.process.pid)]
        return Memory(sum(part.pss for part in parts), sum(part.rss for part in parts))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    name: str, command: Sequence[str], port: int, environ: Mapping[str, str], logs: Path
) -> Iterator[Server]:
    """Starts a server in a process group of its own and ends the group afterwards."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("wb") as output:
        spawned = time.perf_counter()
        process = subprocess.Popen(
            command,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(name, port, process, log, spawned)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    _signal(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    _signal(process.pid, signal.SIGKILL)
    process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def tree(root: int) -> list[int]:
    """A process and all its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (state) on; proc(5). Empty when it has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def _memory(pid: int) -> Memory:
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return Memory(0, 0)
    sizes = {
        line.split(":")[0]: int(line.split()[1]) * 1024
        for line in text.splitlines()
        if line.endswith(" kB")
    }
    return Memory(sizes["Pss"], sizes["Rss"])


def wait_until_idle(servers: Sequence[Server], seconds: float = 30.0) -> None:
    """Waits until what earlier loads left behind is done, so that it doesn't burden the next one.

    Idle is less than 5% of one core over a quarter of a second, for all of them together.
    """
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        before = sum(server.cpu_seconds() for server in servers)
        time.sleep(0.25)
        if sum(server.cpu_seconds() for server in servers) - before < 0.0125:
            return
    busy = ", ".join(server.name for server in servers)
    raise BenchError(f"not idle within {seconds:.0f} s: {busy}")


@dataclass(frozen=True, slots=True)
class Processors:
    """What all cores have done since the machine started, in ticks; proc(5).

    stolen: what its host gave to other machines while ours had work to do.
    """

    total: int
    idle: int
    stolen: int

    @classmethod
    def now(cls) -> Processors:
        with (PROC / "stat").open() as file:
            ticks = [int(value) for value in file.readline().split()[1:9]]
        return cls(sum(ticks), ticks[3] + ticks[4], ticks[7])

    def busy_since(self, before: Processors) -> float:
        """The share of all cores' time that was used."""
        return 1 - (self.idle - before.idle) / max(1, self.total - before.total)

    def stolen_since(self, before: Processors) -> float:
        """The share of all cores' time that was stolen."""
        return (self.stolen - before.stolen) / max(1, self.total - before.total)


def foreign_load(seconds: float = 2.0) -> float:
    """How busy the machine is before anything of ours runs, as a share of all its cores."""
    before = Processors.now()
    time.sleep(seconds)
    return Processors.now().busy_since(before)
