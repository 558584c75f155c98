"""Lays out the files of the image, in its build stage: `assemble.py dependencies ARCH|gateway`.

    /image/opt/trunkline    a virtual environment: the gateway and what it depends on
    /image/etc/passwd       the base's, with the gateway's user
    /image/etc/trunkline    where a configuration may be mounted
    /data                   the data directory, empty

Packages are wheels of the platform that the image is for; none of their code is run, so that the
stage's own platform may be another one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import trim

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Names of platforms: Docker's, and those of wheels."""
OLDEST = 5
"""The first glibc 2.x of which there are wheels."""
USER, ID = "trunkline", 1000

BUILD = Path("/build")
IMAGE = Path("/image")
DATA = Path("/data")
ENVIRONMENT = Path("/opt/trunkline")
ROOT = Path(f"{IMAGE}{ENVIRONMENT}")
SITE = ROOT / f"lib/python3.{sys.version_info.minor}/site-packages"
TOOLS = Path("/tools")

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-cache-dir")
COMMANDS = {"trunkline": "trunkline.cli", "trunkline-mlops": "mlops.command_line"}
COMMAND = """#!{environment}/bin/python
import sys

from {module} import main

sys.exit(main())
"""


def platforms(architecture: str, glibc: int) -> list[str]:
    """Options of pip that take wheels for a glibc 2.x and those before it, the newest first."""
    machine = MACHINES[architecture]
    names = [f"manylinux_2_{minor}_{machine}" for minor in range(glibc, OLDEST - 1, -1)]
    return [f"--platform={name}" for name in [*names, f"manylinux2014_{machine}"]]


def dependencies(architecture: str) -> None:
    """Installs what the gateway depends on, and, elsewhere, what builds its wheel."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ROOT], check=True)
    shutil.rmtree(ROOT / "include", ignore_errors=True)
    for script in (ROOT / "bin").glob("[Aa]ctivate*"):
        script.unlink()
    configuration = ROOT / "pyvenv.cfg"
    configuration.write_text(re.sub(r"command = .*\n", "", configuration.read_text()))
    glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "").rpartition(".")[2]
    _install("serve.txt", SITE, *platforms(architecture, int(glibc)))
    _install("build.txt", TOOLS)
    trim.trim(SITE)
    trim.strip(SITE)


def _install(lock: str, folder: Path, *options: str) -> None:
    # fmt: off
    subprocess.run(
        [*PIP, "install", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile",
         *options, f"--target={folder}", f"--requirement={BUILD / 'requirements' / lock}"],
        check=True,
    )
    # fmt: on


def gateway() -> None:
    """Installs the gateway itself, compiles all, and adds its commands and its user."""
    wheels = BUILD / "dist"
    offline = {**os.environ, "PYTHONPATH": str(TOOLS), "PIP_NO_INDEX": "1"}
    build = [*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={wheels}"]
    subprocess.run([*build, BUILD], check=True, env=offline)
    (wheel,) = wheels.glob("*.whl")
    install = [*PIP, "install", "--quiet", "--no-deps", "--no-compile", f"--target={SITE}"]
    subprocess.run([*install, wheel], check=True, env=offline)
    trim.trim(SITE)
    trim.compile_modules(SITE)
    _add_commands()
    _add_user()
    _set_times(int(os.environ.get("SOURCE_DATE_EPOCH") or 0))


def _add_commands() -> None:
    folder = ROOT / "bin"
    for name, module in COMMANDS.items():
        (folder / name).write_text(COMMAND.format(environment=ENVIRONMENT, module=module))
    # Without site-packages, since it is started every few seconds.
    health = (BUILD / "ecs" / "health.py").read_text()
    (folder / "trunkline-health").write_text(f"#!{ENVIRONMENT}/bin/python -IS\n{health}")
    for path in folder.glob("trunkline*"):
        path.chmod(0o755)


def _add_user() -> None:
    """Gives the user's id a name, by which some libraries ask for it."""
    for name, line in {
        "passwd": f"{USER}:x:{ID}:{ID}::/var/lib/trunkline:/usr/sbin/nologin\n",
        "group": f"{USER}:x:{ID}:\n",
    }.items():
        path = IMAGE / "etc" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((Path("/etc") / name).read_text() + line)
    (IMAGE / "etc/trunkline").mkdir(exist_ok=True)
    DATA.mkdir(exist_ok=True)


def _set_times(seconds: int) -> None:
    """Dates all files alike: the same sources make the same layers."""
    for path in [*IMAGE.rglob("*"), IMAGE, DATA]:
        os.utime(path, (seconds, seconds), follow_symlinks=False)


if __name__ == "__main__":
    {"dependencies": dependencies, "gateway": gateway}[sys.argv[1]](*sys.argv[2:])
