"""The image that the gateway's is built on here: Debian with Python, and nothing else.

It stands for the python image of Docker's registry, which has a newer Python in /usr/local.
For another platform than this machine's, packages are only unpacked, as their scripts would take
minutes in an emulator; what these would have written for the gateway comes from the machine's own.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .buildah import NATIVE, STORE, base_of, buildah, exists, mounted, platform_of, working

RELEASE = "bookworm"
PACKAGES = "ca-certificates,python3"
WRITTEN = ("etc/passwd", "etc/group", "etc/ssl/certs/ca-certificates.crt")
"""What scripts of packages write, and is the same on all platforms."""
LEFT = ("debootstrap", "var/cache/apt/archives", "var/lib/apt/lists", "var/log")


def make(architecture: str) -> None:
    """Makes the base of a platform, unless it is there."""
    if exists(base_of(architecture)):
        return
    if architecture != NATIVE:
        make(NATIVE)
    print(f"Making the base for {architecture}", flush=True)
    folder = STORE / f"base-{architecture}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if architecture == NATIVE:
        _bootstrap(folder, architecture)
    else:
        _bootstrap(folder, architecture, "--foreign")
        _unpack(folder)
    for name in LEFT:
        shutil.rmtree(folder / name, ignore_errors=True)
    _take(folder, architecture)
    shutil.rmtree(folder)


def _bootstrap(folder: Path, architecture: str, *options: str) -> None:
    what = ["--variant=minbase", f"--include={PACKAGES}", f"--arch={architecture}", RELEASE]
    with (STORE / f"base-{architecture}.log").open("wb") as log:
        subprocess.run(["debootstrap", *options, *what, folder], check=True, stdout=log)


def _unpack(folder: Path) -> None:
    for package in sorted(folder.glob("var/cache/apt/archives/*.deb")):
        subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    with mounted(base_of(NATIVE), NATIVE) as native:
        for name in WRITTEN:
            shutil.copy(native / name, folder / name)


def _take(folder: Path, architecture: str) -> None:
    with working("scratch", architecture) as container:
        buildah("add", "--quiet", container, folder, "/")
        buildah("config", "--os=linux", *platform_of(architecture), container)
        buildah("commit", "--quiet", container, base_of(architecture))
