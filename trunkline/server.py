"""The gateway under granian: the processes, the socket, the end."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Iterable
from functools import partial
from typing import Any

from granian.constants import Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from .app import Application, announce
from .settings import Settings
from .telemetry import logs, metrics

BACKLOG = 4096
MOST_CALLS = 10_000
"""Calls under way in one process; more wait in the socket's backlog."""
HEADER_BYTES = 64 * 1024

ENDS = frozenset({signal.SIGTERM, signal.SIGINT})
"""Signals that end the gateway; held back while a worker is forked, which can't handle them yet."""
ROUNDS = 20
"""Of the loop: by then the run that started the gateway is over, and the one that serves began."""
PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>: which signal a process gets when its parent dies."""
SERVER_LOGS = {"loggers": {"_granian": {"propagate": True}}}
"""What the server says of its workers goes where all logs go."""


def run(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Serves until SIGTERM or SIGINT, then lets calls finish for the configured time."""
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
        backpressure=MOST_CALLS,
        http1_settings=HTTP1Settings(max_buffer_size=HEADER_BYTES),
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
        announce(settings)

    # From here on, when signals are already waited for, whoever reads the line may end it.
    server.on_startup(begin)
    os.register_at_fork(
        before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, ENDS),
        after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, ENDS),
        after_in_child=_settle_worker,
    )
    # Workers share the memory of what is imported by now, as long as no collection touches it.
    gc.freeze()
    counts = metrics.share(settings.litellm_settings) if workers > 1 else None
    try:
        server.serve(target_loader=partial(_load, settings))
    except SystemExit:
        # A worker that the same signal ended, before it had a group of its own, is no failure.
        if not server.interrupt_signal:
            raise
    finally:
        if counts is not None:
            counts.cleanup()


def _load(settings: Settings, target: str) -> Any:
    application = Application(settings, once_started=_let_signals_in)
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
