"""buildah, with a store of its own in `build/images`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STORE = ROOT / "build" / "images"
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
"""The platform of this machine, as Docker calls it."""
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
BINFMT = Path("/proc/sys/fs/binfmt_misc")


def image_of(architecture: str) -> str:
    return f"localhost/trunkline:{architecture}"


def base_of(architecture: str) -> str:
    return f"localhost/trunkline-base:{architecture}"


def platform_of(architecture: str) -> list[str]:
    """Options that name the platform; with `linux/arm64` buildah means the variant v8."""
    return [f"--arch={architecture}", *(["--variant=v8"] if architecture == "arm64" else [])]


def emulate(architecture: str) -> None:
    """Lets the kernel run the platform's programs, through QEMU where it is another one."""
    if architecture == NATIVE:
        return
    if not (BINFMT / "status").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=True)
    name = f"qemu-{MACHINES[architecture]}"
    if not (BINFMT / name).exists():
        subprocess.run(["update-binfmts", "--enable", name], check=True)


def buildah(*arguments: str | Path, show: bool = False) -> str:
    """What the command prints. show: let it print for the reader, too slow to be silent."""
    store = ["--root", STORE / "storage", "--runroot", STORE / "run"]
    done = subprocess.run(
        ["buildah", *store, *arguments],
        check=True,
        cwd=ROOT,
        env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
        stdout=None if show else subprocess.PIPE,
        text=True,
    )
    return (done.stdout or "").strip()


def exists(image: str) -> bool:
    return image in buildah("images", "--format", "{{.Name}}:{{.Tag}}").split()


def config(image: str) -> dict[str, Any]:
    """The image's configuration, as Docker keeps it: Env, Entrypoint, Cmd, Healthcheck, …"""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))
    settings: dict[str, Any] = found["Docker"]["config"]
    return settings


def history(image: str) -> str:
    """How the image says that it was made."""
    return json.dumps(json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["history"])


@contextmanager
def working(image: str, architecture: str) -> Iterator[str]:
    """A container of the image, to be looked into or filled; it is removed at the end."""
    container = buildah("from", "--pull-never", *platform_of(architecture), image)
    try:
        yield container
    finally:
        buildah("rm", container)


@contextmanager
def mounted(image: str, architecture: str) -> Iterator[Path]:
    """The image's files."""
    with working(image, architecture) as container:
        yield Path(buildah("mount", container))
