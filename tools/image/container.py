"""Runs an image as Docker would with --read-only, in namespaces of its own, as the image's user.

The network is the machine's, so that the gateway reaches the tests' providers on loopback.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import buildah

# $1: the image's files. $2: what is mounted at $3. Then volumes, up to `--`; then the command.
SETUP = """
root=$1 source=$2 target=$3; shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir -m 1777 "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
while [ "$1" != -- ]; do
    mount -t tmpfs -o "$(stat -c 'mode=%a,uid=%u,gid=%g' "$root$1")" tmpfs "$root$1"
    shift
done
mount --bind "$source" "$root$target"
mount -o remount,bind,ro "$root$target"
shift
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a container. id and parent: as the container counts them."""

    id: int
    parent: int
    state: str
    command: str


@dataclass(slots=True)
class Container:
    """A running container.

    image: its configuration. log: the file with what it prints.
    """

    image: Mapping[str, Any]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until_begun(self, seconds: float = 60.0) -> None:
        """Returns when PID 1 is at home in the image, so that commands can be run beside it."""
        deadline = time.monotonic() + seconds
        while not self._has_begun():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"not begun after {seconds:.0f} s\n{self.log.read_text()}")
            time.sleep(0.02)

    def _has_begun(self) -> bool:
        try:
            return Path(f"/proc/{self._first()}/root").readlink() != Path("/")
        except (IndexError, FileNotFoundError, PermissionError):
            return False

    def run(self, *command: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Runs a command in it to its end, with its user and environment, as `docker exec` does."""
        enter = ["nsenter", f"--target={self._first()}", "--mount", "--pid", "--root"]
        return subprocess.run(
            [*enter, *_as_user(self.image), *_with(self.environment), *command],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def healthy(self) -> bool:
        """Whether the image's own HEALTHCHECK says so."""
        kind, *command = self.image["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self.run(*command).returncode == 0

    def wait_until_healthy(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self.healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"not healthy after {seconds:.0f} s\n{self.log.read_text()}")
            time.sleep(0.2)

    def processes(self) -> list[Process]:
        """All that run in it, PID 1 first, without those that only look."""
        folder = Path(f"/proc/{self._first()}/root/proc")
        return sorted(_processes(folder), key=lambda process: process.id)

    def stop(self, seconds: float) -> int:
        """Sends PID 1 the image's stop signal; its exit code."""
        subprocess.run(["kill", f"-{self.image['StopSignal']}", str(self._first())], check=True)
        return self.process.wait(seconds)

    def _first(self) -> int:
        """The id of the container's PID 1 outside of it."""
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _processes(folder: Path) -> Iterator[Process]:
    for path in folder.glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # pid (comm) state ppid …, of proc(5)
            before, _, after = (path / "stat").read_text().rpartition(") ")
            state, parent = after.split()[:2]
            pid, _, command = before.partition(" (")
            yield Process(int(pid), int(parent), state, command)


def _as_user(image: Mapping[str, Any], root: Path = Path("/")) -> list[str]:
    return ["setpriv", "--no-new-privs", "chroot", f"--userspec={image['User']}", str(root)]


def _with(environment: Mapping[str, str]) -> list[str]:
    return ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in environment.items())]


@contextmanager
def running(
    architecture: str, configuration: Path, log: Path, environment: Mapping[str, str]
) -> Iterator[Container]:
    """The gateway's image with a folder mounted where it looks for its configuration.

    configuration: the folder. log: what it prints. environment: added to the image's.
    """
    buildah.emulate(architecture)
    image = buildah.config(buildah.image_of(architecture))
    own = dict(variable.partition("=")[::2] for variable in image["Env"])
    environment = own | dict(environment)
    target = str(Path(environment["TRUNKLINE_CONFIG"]).parent)
    with (
        buildah.mounted(buildah.image_of(architecture), architecture) as root,
        log.open("wb") as to,
    ):
        # fmt: off
        process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--",
             "sh", "-euc", SETUP, "sh", root, configuration, target, *image["Volumes"], "--",
             *_as_user(image, root), *_with(environment),
             "sh", "-c", f'cd {image["WorkingDir"]}; exec "$@"', "sh",
             *image["Entrypoint"], *image["Cmd"]],
            stdin=subprocess.DEVNULL, stdout=to, stderr=subprocess.STDOUT,
        )
        # fmt: on
        container = Container(image, environment, process, log)
        try:
            container.wait_until_begun()
            yield container
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
