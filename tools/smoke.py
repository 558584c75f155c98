"""Starts `make run`, asks what the README asks first, prints the answers, and stops it.

It needs nothing but what serving needs, so it shows that a new machine gets its first answer.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

READY_SECONDS = 120.0
STOP_SECONDS = 60.0


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(url: str, body: dict[str, Any] | None = None) -> str:
    """GET the URL, or POST the body to it."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when the gateway says that it is ready."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"make run ended with exit code {process.returncode}")
        try:
            fetch(f"{url}/health/readiness")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    sys.exit(f"not ready after {READY_SECONDS:.0f} s")


def answers(url: str) -> tuple[str, str]:
    """The text of the first model's answer, asked for whole and as a stream."""
    model = json.loads(fetch(f"{url}/v1/models"))["data"][0]["id"]
    ask = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    whole = json.loads(fetch(f"{url}/v1/chat/completions", ask))
    stream = fetch(f"{url}/v1/chat/completions", ask | {"stream": True})
    events = [line.removeprefix("data: ") for line in stream.splitlines() if line[:6] == "data: "]
    if events[-1:] != ["[DONE]"]:
        sys.exit(f"the stream did not end with [DONE]:\n{stream}")
    chunks = [json.loads(event) for event in events[:-1]]
    text = "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
    )
    return whole["choices"][0]["message"]["content"], text


def end(process: subprocess.Popen[bytes]) -> None:
    """End `make` and the gateway as Ctrl-C does; raises TimeoutExpired when that takes too long."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def main() -> int:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        ["make", "--no-print-directory", "run", f"PORT={port}"],
        start_new_session=True,
    )
    try:
        wait_until_ready(url, process)
        whole, streamed = answers(url)
    finally:
        end(process)
    print(f"answer:   {whole}\nstreamed: {streamed}")
    return 0 if whole and whole == streamed else 1


if __name__ == "__main__":
    sys.exit(main())
