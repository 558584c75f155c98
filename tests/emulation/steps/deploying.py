"""From nothing to deployed stacks."""

from __future__ import annotations

import platform
import subprocess
import sys

from .. import documents
from ..cast import Cast
from ..documents import SMALL
from ..emulated import ROOT

ARCHITECTURE = "arm64" if platform.machine() == "aarch64" else "x86_64"
"""Of the functions, which the emulator runs on this machine."""


def layers(cast: Cast) -> str:
    command = [sys.executable, "-m", "layers", "build", "--architecture", ARCHITECTURE]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return built.stdout.splitlines()[-1]


def bootstrap(cast: Cast) -> None:
    cast.cdk.bootstrap()


def synthesise(cast: Cast) -> None:
    cast.cdk.synthesise()


def deploy(cast: Cast) -> str:
    cast.cdk.deploy()
    return cast.deployment.pointer(cast.deployment.configuration)["current"]["key"] + " is in force"


def prepare(cast: Cast) -> None:
    cast.give_key(documents.PROVIDER_KEY)
    cast.inbox.subscribe(cast.deployment.topic)


def first_bundle(cast: Cast) -> None:
    cast.roll_out_bundle(SMALL, "2026-01-02")


def first_configuration(cast: Cast) -> None:
    cast.roll_out_configuration()
