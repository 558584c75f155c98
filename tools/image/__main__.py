"""Builds the images of the platforms that are named: `python -m tools.image amd64 arm64`."""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trunkline import __version__

from . import base, packages
from .buildah import NATIVE, STORE, base_of, buildah, image_of

CANARY = STORE / "canary"
"""The word that stood in the build's secret file, which the image's tests look for."""


def build(architecture: str) -> None:
    print(f"Building the image for {architecture}", flush=True)
    arguments = {
        "BASE": base_of(architecture),
        "BUILD_BASE": base_of(NATIVE),
        "BUILDPLATFORM": f"linux/{NATIVE}",
        "TARGETPLATFORM": f"linux/{architecture}",
        "VERSION": __version__,
    }
    canary = secrets.token_hex(16)
    CANARY.write_text(canary)
    with tempfile.TemporaryDirectory() as folder:
        pip = Path(folder) / "pip.conf"
        pip.write_text(packages.configuration(canary))
        options = ["--format=docker", "--pull-never", "--quiet", "--timestamp=0"]
        options += [f"--platform=linux/{architecture}", f"--secret=id=pip,src={pip}"]
        options += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options += [f"--volume={path}:{path}:ro" for path in packages.folders()]
        buildah("bud", *options, "--file=ecs/Dockerfile", f"--tag={image_of(architecture)}", ".")
    # The image that had the name before.
    buildah("rmi", "--prune", "--force")


def main() -> None:
    for architecture in sys.argv[1:] or [NATIVE]:
        started = time.monotonic()
        base.make(architecture)
        build(architecture)
        print(f"Built {image_of(architecture)} in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.cmd[0]} ended with {error.returncode}")
