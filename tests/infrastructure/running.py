"""A running gateway, asked for what it serves. It needs the gateway's own environment (.venv)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from .synthesis import ROOT

SECONDS = 120
KEY = "sk-of-this-test-only"
CONFIGURATION = """
model_list:
  - model_name: hello
    litellm_params: {model: openai/gpt-5.6, mock_response: Hello}
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
"""


def routes(folder: Path) -> list[tuple[str, str]]:
    """The method and path of each route of a gateway with accounts."""
    program = ROOT / ".venv" / "bin" / "trunkline"
    if not program.exists():
        pytest.skip("the gateway's environment is missing: make run makes it")
    (folder / "config.yaml").write_text(CONFIGURATION, "utf-8")
    with _serving(program, folder) as url:
        request = urllib.request.Request(
            f"{url}/openapi.json", headers={"authorization": f"Bearer {KEY}"}
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            paths = json.load(answer)["paths"]
    return [(method.upper(), path) for path, item in paths.items() for method in item]


@contextlib.contextmanager
def _serving(program: Path, folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [program, "serve", "--config", "config.yaml", "--port", str(port)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LITELLM_MASTER_KEY": KEY, "HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{url}/health/readiness", timeout=5).close()
            return
        time.sleep(0.2)
    raise AssertionError("the gateway did not become ready")
