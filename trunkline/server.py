"""The gateway under granian: the processes, the socket, the end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import queue
import resource
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp  # noqa: F401 - before the fork, so that workers share its memory
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from .app import Application, announce
from .configuration import Configuration
from .following import DRAIN
from .settings import Settings
from .telemetry import logs, metrics

BACKLOG = 4096
MOST_CONNECTIONS = 10_000
"""Of clients to one process; more wait in the socket's backlog."""
MOST_FILES = 65_536
KEPT_FILES = 100
"""Files that a process may have open, and those that connections leave to everything else."""
HEADER_BYTES = 64 * 1024

ENDS = frozenset({signal.SIGTERM, signal.SIGINT})
"""Signals that end the gateway; held back while a worker is forked, which can't handle them yet."""
ROUNDS = 20
"""Of the loop: by then the run that started the gateway is over, and the one that serves began."""
PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>: which signal a process gets when its parent dies."""
SERVER_LOGS = {"loggers": {"_granian": {"propagate": True}}}
"""What the server says of its workers goes where all logs go."""


def run(
    settings: Settings,
    *,
    host: str,
    port: int,
    workers: int,
    configuration: Configuration | None = None,
    shared: tempfile.TemporaryDirectory[str] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then lets calls finish for the configured time.

    configuration, shared: see `Application`; removed in the end.
    """
    _configure_logs(settings)
    server = Server(
        "trunkline",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        loop=Loops.uvloop,
        runtime_mode=RuntimeModes.st,
        backlog=BACKLOG,
        backpressure=_most_connections(),
        # With HTTP/2 allowed, a connection that never says anything is never closed.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            max_buffer_size=HEADER_BYTES,
            header_read_timeout=max(1, round(settings.general_settings.keep_alive_seconds * 1000)),
        ),
        log_level=LogLevels.warning,
        log_dictconfig=SERVER_LOGS,
        respawn_failed_workers=True,
        workers_kill_timeout=settings.general_settings.drain_seconds,
    )
    shown = f"[{host}]" if ":" in host else host

    def begin() -> None:
        print(
            f"Trunkline listening on http://{shown}:{port} ({workers} worker processes)", flush=True
        )
        announce(settings, workers)

    server.respawned_wrks = _Respawns()
    server.main_loop_interrupt = Interrupt(partial(_take_drain, server, shared))
    # From here on, when signals are already waited for, whoever reads the line may end it.
    server.on_startup(begin)
    os.register_at_fork(
        before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, ENDS),
        after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, ENDS),
        after_in_child=_settle_worker,
    )
    # Workers share the memory of what is imported by now, as long as no collection touches it.
    gc.freeze()
    may_count = configuration is not None or metrics.wanted(settings.litellm_settings)
    counts = metrics.share() if workers > 1 and may_count else None
    path = Path(shared.name) if shared is not None else None
    load = partial(_load, settings, path, workers, configuration)
    try:
        server.serve(target_loader=load)
    except SystemExit:
        # A worker that the same signal ended, before it had a group of its own, is no failure.
        if not server.interrupt_signal:
            raise
    finally:
        if shared is not None:
            shared.cleanup()
        if counts is not None:
            counts.cleanup()


def _most_connections() -> int:
    """How many connections of clients a process takes.

    Each may need a second one, to a provider: were all files taken by clients, nobody's call could
    be made, and the server would try in vain, without a pause, to take one more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return max(1, min(MOST_CONNECTIONS, (soft - KEPT_FILES) // 2))


class Interrupt:
    """What the server's main process waits for: an event that its signal handlers may set.

    A `threading.Event` has a lock. A signal that comes while the main thread holds it, as the
    second of two may, is waited for by itself for ever: the gateway never ends.
    """

    def __init__(self, woken: Callable[[], None] = lambda: None) -> None:
        """woken: called before the process does what it was woken for."""
        self._woken = woken
        self._set = False
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        self._set = True
        self._wakes.put(None)

    def clear(self) -> None:
        self._set = False

    def wait(self) -> None:
        while not self._set:
            self._wakes.get()
        self._woken()


class _Respawns(dict[int, float]):
    """When workers were started again, as the server asks to tell whether they crash in a loop.

    The server ends when a worker dies a second time within seconds, and with it the calls of all
    the others. Here it takes `MOST` deaths within `SECONDS`.
    """

    MOST = 10
    SECONDS = 60.0

    def __init__(self) -> None:
        super().__init__()
        self._latest: deque[float] = deque(maxlen=self.MOST)

    def __setitem__(self, worker: int, when: float) -> None:
        super().__setitem__(worker, when)
        self._latest.append(when)

    def get(self, worker: int, default: Any = None) -> Any:
        """When the worker was last started again; the default while that is no loop."""
        latest = self._latest
        looping = len(latest) == self.MOST and time.monotonic() - latest[0] < self.SECONDS
        return super().get(worker, default) if looping else default

    def clear(self) -> None:
        """Remembers them: a loop shows over several of the server's rounds."""


def _take_drain(server: Any, shared: tempfile.TemporaryDirectory[str] | None) -> None:
    """Lets calls finish for as long as a later configuration says, if there was one."""
    if shared is not None:
        with contextlib.suppress(OSError, ValueError):
            server.workers_kill_timeout = float((Path(shared.name) / DRAIN).read_text())


def _load(
    settings: Settings,
    shared: Path | None,
    workers: int,
    configuration: Configuration | None,
    target: str,
) -> Any:
    application = Application(
        settings,
        once_started=_let_signals_in,
        shared=shared,
        workers=workers,
        configuration=configuration,
    )
    _configure_logs(settings, application.secrets())
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    return application


async def _let_signals_in() -> None:
    """Lets the signals in that were held back since the worker was loaded.

    granian runs the loop once for the start and once more to serve. uvloop, which handles the
    signals from then on, doesn't see one that comes before the first run or between the two, so
    that the worker would be waited for as long as calls may take.
    """
    for _ in range(ROUNDS):
        await asyncio.sleep(0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)


def _configure_logs(settings: Settings, secrets: Iterable[str] = ()) -> None:
    told = settings.litellm_settings
    logs.configure(verbose=told.set_verbose, as_json=told.json_logs, secrets=secrets)


def _settle_worker() -> None:
    """Makes a process that was just forked one that ends with its parent, when the parent says so.

    Until it serves it ends at once: with the parent's handlers, which only remember that there was
    a signal, it would be waited for as long as calls may take. Ctrl-C reaches a whole group of
    processes, and granian hangs on a second signal that comes before it serves; so a worker has a
    group of its own. It isn't left behind when the parent is killed.
    """
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
