"""Runs one fake by hand: `python -m tests.fakes --provider openai --port 9001`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from . import PROVIDERS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("--provider", choices=sorted(PROVIDERS), default="openai")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--key", action="append", help="an accepted credential; default: any")
    arguments = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with PROVIDERS[arguments.provider](port=arguments.port, keys=arguments.key) as fake:
        sys.stdout.write(f"{arguments.provider} at {fake.url}\n")
        sys.stdout.flush()
        stopped.wait()


main()
