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
VARIANTS = {"amd64": "", "arm64": "v8"}


def image_of(architecture: str) -> str:
    return f"localhost/trunkline:{architecture}"


def base_of(architecture: str) -> str:
    return f"localhost/trunkline-base:{architecture}"


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
    platform = ["--arch", architecture]
    if variant := VARIANTS[architecture]:
        platform += ["--variant", variant]
    container = buildah("from", "--pull-never", *platform, image)
    try:
        yield container
    finally:
        buildah("rm", container)


@contextmanager
def mounted(image: str, architecture: str) -> Iterator[Path]:
    """The image's files."""
    with working(image, architecture) as container:
        yield Path(buildah("mount", container))
