"""The other gateways and the load generator: installed when missing, each on its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from .processes import BenchError

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
LITELLM_ENVIRONMENT = BUILD / "litellm"
LITELLM = LITELLM_ENVIRONMENT / "bin" / "litellm"
PORTKEY_PACKAGE = "@portkey-ai/gateway"
PORTKEY_FOLDER = BUILD / "portkey" / "node_modules" / PORTKEY_PACKAGE
PORTKEY = PORTKEY_FOLDER / "build" / "start-server.js"

PORTKEY_MANIFEST = {
    "private": True,
    "dependencies": {PORTKEY_PACKAGE: "*"},
    "overrides": {"@hono/node-server": "1.13.5"},
}
"""With a newer HTTP server than its own lock names, Portkey answers every stream with 500
(Portkey-AI/gateway, issues 1389 and 1550), and a plain install takes the newest."""

LITELLM_REQUIREMENT = "litellm[proxy]>=1.100"
"""The newest that resolves; the floor keeps clear of two malicious releases (1.82.7, 1.82.8)."""

OURS = ("granian", "uvloop", "aiohttp", "orjson", "fastapi", "litellm")


def install(names: set[str]) -> None:
    """Installs what the named contenders need and isn't there yet. Raises BenchError."""
    BUILD.mkdir(parents=True, exist_ok=True)
    if not shutil.which("wrk"):
        _run("wrk", [str(ROOT / "tools" / "apt-install"), "wrk"])
    if "litellm" in names and not LITELLM.exists():
        _run("LiteLLM's proxy", [sys.executable, "-m", "venv", str(LITELLM_ENVIRONMENT)])
        pip = [str(LITELLM_ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _run("LiteLLM's proxy", [*pip, "--disable-pip-version-check", LITELLM_REQUIREMENT])
    if "portkey" in names and not PORTKEY.exists():
        if not shutil.which("node"):
            raise BenchError("Portkey's gateway needs Node 20: install it, or leave it out: --only")
        folder = BUILD / "portkey"
        folder.mkdir(exist_ok=True)
        (folder / "package.json").write_text(json.dumps(PORTKEY_MANIFEST))
        options = "--no-package-lock --no-audit --no-fund --loglevel=error"
        _run("Portkey's gateway", ["npm", "install", "--prefix", str(folder), *options.split()])


def _run(what: str, command: list[str]) -> None:
    print(f"Installing {what}", flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise BenchError(f"{what} could not be installed:\n{tail}")


def versions(names: set[str]) -> dict[str, str]:
    """What was measured, and with what."""
    found = {
        "Python": sys.version.split()[0],
        "wrk": _first_line(["wrk", "--version"]).split()[1],
        **{f"{name} (Trunkline, relay)": metadata.version(name) for name in OURS},
    }
    if names & {"trunkline-direct", "trunkline-litellm"}:
        commit = _first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"])
        found["Trunkline"] = f"{metadata.version('trunkline')} ({commit})"
    if "litellm" in names:
        found["LiteLLM proxy"] = _installed_version("litellm")
        found["uvicorn (LiteLLM proxy)"] = _installed_version("uvicorn")
    if "portkey" in names:
        package = json.loads((PORTKEY_FOLDER / "package.json").read_text())
        found["Portkey gateway"] = package["version"]
        found["Node (Portkey)"] = _first_line(["node", "--version"])
    return found


def _installed_version(package: str) -> str:
    script = f"from importlib import metadata; print(metadata.version({package!r}))"
    return _first_line([str(LITELLM_ENVIRONMENT / "bin" / "python"), "-c", script])


def _first_line(command: list[str]) -> str:
    # wrk exits with 1 after printing its version.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()[0]


def machine() -> dict[str, str | int]:
    """The machine, without anything that names it."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        os.uname().machine,
    )
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": processor,
        "cores": os.cpu_count() or 0,
        "memory_gib": round(gibibytes),
        "system": f"Linux {'.'.join(os.uname().release.split('.')[:2])}",
    }
