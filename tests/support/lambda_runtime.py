"""Functions under Lambda's runtime interface emulator, from the layers that are built.

What is in the source tree isn't importable there: only the function's own folder, the layers, and
what Lambda's runtime brings.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from .gateway import environment, free_port

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / ".venv-runtime"
PYTHON = RUNTIME / "bin" / "python"
EMULATOR = RUNTIME / "bin" / "aws-lambda-rie"
LAYERS = ROOT / "build" / "layers" / "x86_64"
START_SECONDS = 60.0
CALL_SECONDS = 120

_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")


def missing() -> str:
    """What isn't there of what functions are run with; empty where all is."""
    for path in (EMULATOR, PYTHON, LAYERS / "layers.json"):
        if not path.exists():
            return f"{path.relative_to(ROOT)} isn't there: `make functions` makes it"
    return ""


def import_path(name: str, folder: Path, layers: Path = LAYERS) -> list[Path]:
    """Where a function imports from, as Lambda has it: its own code, then the layers.

    folder: where its own code is put.
    """
    task = folder / "task"
    own = task / "functions" / name
    if not own.exists():
        left_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "functions" / name, own, ignore=left_out)
    return [task, *(layers / layer / "python" for layer in ("dependencies", "gateway"))]


class FunctionFailed(AssertionError):
    """The function raised: what, and what it logged."""


class Function:
    """A function that is started with its first call. url: where the emulator listens."""

    def __init__(
        self,
        name: str,
        folder: Path,
        env: Mapping[str, str],
        *,
        path: list[Path] | None = None,
        handler: str = "",
        memory: int = 1024,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log"
        path = path or import_path(name, folder)
        port, inner = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        told = {
            "PYTHONPATH": ":".join(map(str, path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAMBDA_TASK_ROOT": str(path[0]),
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(CALL_SECONDS),
            "AWS_REGION": "us-east-1",
            "POWERTOOLS_METRICS_NAMESPACE": "Trunkline",
            "POWERTOOLS_TRACE_DISABLED": "true",
            "TRUNKLINE_DATA_DIRECTORY": str(folder / "data"),
        }
        self._process = subprocess.Popen(
            [
                str(EMULATOR),
                *("--log-level", "info"),
                *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                *("--runtime-api-address", f"127.0.0.1:{inner}"),
                *(str(PYTHON), "-m", "awslambdaric"),
                handler or f"functions.{name}.handler.handler",
            ],
            cwd=path[0],
            env=environment(folder, told | dict(env)),
            stdin=subprocess.DEVNULL,
            stdout=self._log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait(port)

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """What it returns. Raises FunctionFailed."""
        answer = httpx.post(self.url, json=event, timeout=CALL_SECONDS).json()
        if isinstance(answer, dict) and "errorType" in answer:
            raise FunctionFailed(f"{answer['errorType']}: {answer['errorMessage']}\n{self.log()}")
        assert isinstance(answer, dict), answer
        return answer

    def log(self) -> str:
        return self._log.read_text("utf-8", errors="replace")

    @property
    def init_milliseconds(self) -> float:
        """From the start of the runtime to when it asks for its first event."""
        found = _INIT.findall(self.log())
        assert found, self.log()
        return float(found[-1])

    def memory(self) -> int:
        """Bytes of the most that the runtime's process has used."""
        for children in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
            for child in children.read_text().split():
                status = Path(f"/proc/{child}/status").read_text()
                if "python" in status.splitlines()[0]:
                    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) * 1024
        raise AssertionError("the runtime's process isn't there")

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
                return
            time.sleep(0.02)
        raise AssertionError(f"the emulator did not start\n{self.log()}")


@contextlib.contextmanager
def function(name: str, folder: Path, env: Mapping[str, str], **options: Any) -> Iterator[Function]:
    """Runs one while the block lasts."""
    made = Function(name, folder, env, **options)
    try:
        yield made
    finally:
        made.stop()


def told(log: str) -> list[dict[str, Any]]:
    """The lines of a log that are JSON."""
    found = []
    for line in log.splitlines():
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                found.append(event)
    return found
