"""Makes the folders that layers are made of, from the hashed lock, without Docker.

    OUTPUT/<architecture>/dependencies/python/…   what requirements/lambda.txt names, trimmed
    OUTPUT/<architecture>/native/python/…         what of it only some calls need: `parts.NATIVE`
    OUTPUT/<architecture>/gateway/python/…        trunkline, and mlops
    OUTPUT/<architecture>/layers.json             what they were made of, and their sizes in bytes

A build of the same lock and the same sources by the same Python gives the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import elf
from .parts import (
    FUNCTIONS,
    NATIVE,
    NOT_INSTALLED,
    NOT_NEEDED,
    PLATFORMS,
    PYTHON,
    SERVICE_DATA,
    SERVICES,
)

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements" / "lambda.txt"
DEPENDENCIES, GATEWAY = "dependencies", "gateway"
LAYERS = (DEPENDENCIES, GATEWAY)
"""Of every function."""
OPTIONAL = "native"
PACKAGES = ("trunkline", "mlops")
LIMIT = 250 * 1024 * 1024
"""Bytes that a function and its layers may have, unzipped. AWS Lambda's quotas."""
TOLD = "layers.json"
WHEN = 315_532_800
"""Unix time of all files, 1980-01-01: the first that a zip file can tell."""

_NAME = re.compile(r"^([A-Za-z0-9][\w.-]*)==")


class LayerError(Exception):
    """A layer can't be built: why."""


def build(architecture: str, output: Path) -> dict[str, int]:
    """Builds all folders; what the dependencies are made of may not have changed since the last.

    Returns the bytes of each layer and each function. Raises LayerError.
    """
    if architecture not in PLATFORMS:
        raise LayerError(f"{architecture!r} is none of {', '.join(PLATFORMS)}")
    output.mkdir(parents=True, exist_ok=True)
    with (output / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # others may build at the same time
        return _build(architecture, output)


def _build(architecture: str, output: Path) -> dict[str, int]:
    python = runtime_python()
    target = output / architecture
    target.mkdir(exist_ok=True)
    made_of = _made_of(architecture, python)
    with tempfile.TemporaryDirectory(dir=output, prefix=".building-") as folder:
        made, names = Path(folder), [*LAYERS, OPTIONAL]
        if _stands(target, made_of):
            names = [GATEWAY]
        else:
            _dependencies(architecture, made / DEPENDENCIES / "python")
            _compile(made / DEPENDENCIES / "python", python)
            _move(NATIVE, made / DEPENDENCIES / "python", made / OPTIONAL / "python")
        _gateway(made / GATEWAY / "python")
        _compile(made / GATEWAY / "python", python, keep=True)
        for name in names:
            _settle(made / name)
            _replace(made / name, target / name)
    sizes = {name: size(target / name) for name in (*LAYERS, OPTIONAL)}
    sizes |= {f"functions/{name}": own_size(name) for name in FUNCTIONS}
    told = {
        "architecture": architecture,
        "python": PYTHON,
        "compiled": python is not None,
        "made_of": made_of,
        "digests": {name: digest(target / name) for name in (*LAYERS, OPTIONAL)},
        "bytes": sizes,
    }
    (target / TOLD).write_text(json.dumps(told, indent=1) + "\n")
    return sizes


def _made_of(architecture: str, python: str | None) -> str:
    """A digest of all that decides what the dependencies become."""
    whole = hashlib.sha256(f"{architecture} {python is not None}".encode())
    for path in (LOCK, *sorted(Path(__file__).parent.glob("*.py"))):
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _stands(target: Path, made_of: str) -> bool:
    """Whether the dependencies are there already."""
    try:
        told = json.loads((target / TOLD).read_text())
    except (OSError, ValueError):
        return False
    there = all((target / name).is_dir() for name in (DEPENDENCIES, OPTIONAL))
    return there and told.get("made_of") == made_of


def runtime_python() -> str | None:
    """A Python of the runtime's version: this one, one on PATH, or pyenv's; None without any."""
    if sys.version_info[:2] == tuple(map(int, PYTHON.split("."))):
        return sys.executable
    name = f"python{PYTHON}"
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [shutil.which(name), *sorted(versions.glob(f"{PYTHON}.*/bin/{name}"), reverse=True)]
    return next((str(each) for each in found if each and _runs(str(each))), None)


def _runs(python: str) -> bool:
    """Whether it is more than a name: pyenv has one on PATH for every version that it knows."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def size(folder: Path) -> int:
    """Bytes of all files, as Lambda counts them."""
    return sum(path.stat().st_size for path in _files(folder))


def own_size(name: str) -> int:
    """Bytes of a function's own code."""
    return sum(path.stat().st_size for path in (ROOT / "functions" / name).glob("*.py"))


def digest(folder: Path) -> str:
    """SHA-256 of what a folder holds: names and contents."""
    whole = hashlib.sha256()
    for path in _files(folder):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    return whole.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise LayerError("uv isn't installed; `make .venv/.dev` does it")
    return found


def _dependencies(architecture: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    lock = folder.parent / "lock.txt"
    lock.write_text(without(LOCK.read_text("utf-8"), NOT_INSTALLED), "utf-8")
    command = [_uv(), "pip", "install", "--quiet", "--target", str(folder), "--no-deps"]
    command += ["--python-platform", PLATFORMS[architecture], "--python-version", PYTHON]
    command += ["--no-build", "--require-hashes", "--link-mode", "copy", "--no-progress"]
    done = subprocess.run([*command, "-r", str(lock)], capture_output=True, text=True, check=False)
    lock.unlink()
    if done.returncode != 0:
        raise LayerError(f"the dependencies can't be installed:\n{done.stderr.strip()}")
    _trim(folder)


def without(lock: str, names: dict[str, str] | frozenset[str]) -> str:
    """A lock without some of its packages."""
    kept, keeps = [], True
    for line in lock.splitlines(keepends=True):
        if found := _NAME.match(line):
            keeps = found[1] not in names
        if keeps:
            kept.append(line)
    return "".join(kept)


def _trim(folder: Path) -> None:
    for pattern in NOT_NEEDED:
        for path in sorted(folder.glob(pattern)):
            _remove(path)
    for path in (folder / SERVICE_DATA).iterdir():
        if path.is_dir() and path.name not in SERVICES:
            _remove(path)
    for name in (".lock", ".gitignore", "CACHEDIR.TAG"):
        _remove(folder / name)
    for path in _files(folder):
        if ".so" in path.suffixes or path.name.partition(".so.")[1]:
            elf.strip(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _move(names: Iterable[str], source: Path, target: Path) -> None:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).rename(target / name)


def _gateway(folder: Path) -> None:
    for name in PACKAGES:
        _copy(ROOT / name, folder / name)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))


def _compile(folder: Path, python: str | None, *, keep: bool = False) -> None:
    """keep: the sources, of which some are read: the database's migrations."""
    if python is None:
        return
    script = str(Path(__file__).with_name("bytecode.py"))
    command = [python, "-I", script, str(folder), *(["--keep"] if keep else [])]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LayerError(f"the layer can't be compiled:\n{done.stderr.strip()}")


def _settle(folder: Path) -> None:
    """Gives all files the times and permissions that don't depend on who built them."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (WHEN, WHEN))


def _replace(made: Path, target: Path) -> None:
    """Puts a folder in the place of another, which is there until then."""
    old = made.with_name(f"{made.name}-before")
    if target.exists():
        target.rename(old)
    made.rename(target)
