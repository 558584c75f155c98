"""What Lambda does to a function with SnapStart, as far as one machine can.

Run by the runtime's own Python, with the layers on its path. INIT; then copies of the process are
made, as environments are of a snapshot; each is restored by the hooks, and answers an event.

argv: an event, as JSON. Prints a JSON object for each copy.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
import threading
from typing import Any

import snapshot_restore_py as hooks

COPIES = 2


def main(event: dict[str, Any]) -> None:
    handler = importlib.import_module("functions.api.handler")
    frozen = {
        "litellm": "litellm" in sys.modules,
        "threads": [each.name for each in threading.enumerate()][1:],
        "sockets": _sockets(),
    }
    for hook in hooks.get_before_snapshot():
        hook[0](*hook[1], **hook[2])
    for _ in range(COPIES):
        if os.fork() == 0:
            _restored(handler, event, frozen)
            os._exit(0)
        os.wait()


def _restored(handler: Any, event: dict[str, Any], frozen: dict[str, Any]) -> None:
    for hook in hooks.get_after_restore():
        hook[0](*hook[1], **hook[2])
    answer = handler.handler(event, None)
    told = {"frozen": frozen, "random": random.random(), "answer": answer}
    os.write(1, json.dumps(told).encode() + b"\n")


def _sockets() -> list[str]:
    """Other than those by which an event loop wakes itself."""
    found = []
    for each in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{each}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.append(target)
    return found[2:]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
