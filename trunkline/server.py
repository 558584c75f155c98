"""The gateway under granian: the processes, the socket, the end."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any

from granian.constants import Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.server import Server

from .app import Application
from .settings import Settings
from .telemetry import logs

log = logging.getLogger("trunkline")

BACKLOG = 4096
MOST_CALLS = 10_000
"""Calls under way in one process; more wait in the socket's backlog."""
HEADER_BYTES = 64 * 1024


def run(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Serves until SIGTERM or SIGINT, then lets calls finish for the configured time."""
    logs.configure(
        verbose=settings.litellm_settings.set_verbose, as_json=settings.litellm_settings.json_logs
    )
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
        log_enabled=False,
        respawn_failed_workers=True,
        workers_kill_timeout=settings.general_settings.drain_seconds,
    )
    shown = f"[{host}]" if ":" in host else host
    print(f"Trunkline listening on http://{shown}:{port} ({workers} worker processes)", flush=True)
    if not settings.general_settings.master_key:
        print("No master key is configured: calls need no key.", file=sys.stderr, flush=True)
    server.serve(target_loader=partial(_load, settings))


def _load(settings: Settings, target: str) -> Any:
    return Application(settings)
