"""The image that the gateway's is built on here: Debian with Python, and nothing else.

It stands for the python image of Docker's registry, which has a newer Python in /usr/local.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .buildah import NATIVE, STORE, VARIANTS, base_of, buildah, exists, working

RELEASE = "bookworm"
PACKAGES = "ca-certificates,python3"
BINFMT = Path("/proc/sys/fs/binfmt_misc")
LEFT = ("var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "var/log/*.log")


def make(architecture: str) -> None:
    """Makes the base of a platform, unless it is there."""
    if exists(base_of(architecture)):
        return
    if architecture != NATIVE:
        _emulate(architecture)
    folder = STORE / f"base-{architecture}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"Making the base for {architecture}", flush=True)
    with (STORE / f"base-{architecture}.log").open("wb") as log:
        options = ["--variant=minbase", f"--include={PACKAGES}", f"--arch={architecture}"]
        subprocess.run(["debootstrap", *options, RELEASE, folder], check=True, stdout=log)
    for pattern in LEFT:
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    _take(folder, architecture)
    shutil.rmtree(folder)


def _emulate(architecture: str) -> None:
    """Lets the kernel run the platform's programs through QEMU."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[architecture]
    if not (BINFMT / "status").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=True)
    if not (BINFMT / f"qemu-{machine}").exists():
        subprocess.run(["update-binfmts", "--enable", f"qemu-{machine}"], check=True)


def _take(folder: Path, architecture: str) -> None:
    with working("scratch", architecture) as container:
        buildah("add", "--quiet", container, folder, "/")
        platform = ["--os", "linux", "--arch", architecture]
        if variant := VARIANTS[architecture]:
            platform += ["--variant", variant]
        buildah("config", *platform, container)
        buildah("commit", "--quiet", container, base_of(architecture))
