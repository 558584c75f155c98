"""nginx before gateways, with the configuration of `examples/ha`, on a free port."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from .gateway import Gateway, free_port

CONFIG = Path(__file__).parents[2] / "examples" / "ha" / "nginx.conf"
START_SECONDS = 20.0


class Nginx:
    """folder: what it runs in. url: what clients ask."""

    def __init__(self, folder: Path, gateways: Sequence[Gateway]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "nginx.conf"
        self._config.write_text(self._rendered(gateways), "utf-8")

    def _rendered(self, gateways: Sequence[Gateway]) -> str:
        """The example's own text, only with other addresses and places for what it writes."""
        text = CONFIG.read_text("utf-8")
        changes = {
            f"gateway-{number}:4000": f"{each.host}:{each.port}"
            for number, each in enumerate(gateways, 1)
        }
        changes |= {
            "listen 8080;": f"listen 127.0.0.1:{self.port};",
            "/tmp/nginx.pid": str(self.folder / "nginx.pid"),
            "/dev/stderr": str(self.folder / "error.log"),
            "/dev/stdout": str(self.folder / "access.log"),
            "worker_processes auto;": "worker_processes 1;",
            "http {\n": f"http {{\n{self._folders()}",
        }
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text

    def _folders(self) -> str:
        """Where bodies are kept that are larger than its buffers."""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        return "".join(f"{kind}_temp_path {self.folder / kind};\n" for kind in kinds)

    def start(self) -> None:
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program, "nginx is not installed"
        # Root's nginx would work as nobody, who can't write into the folder.
        options = "daemon off;" if os.getuid() else "daemon off; user root;"
        command = [program, "-p", str(self.folder), "-c", str(self._config), "-g", options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"{self.url}/health/liveness")
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.folder / "log").read_text("utf-8"))
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def calls(self) -> list[tuple[str, list[str]]]:
        """The access log: the status of each call, and the addresses that were tried for it."""
        whole = (self.folder / "access.log").read_text("utf-8").rpartition("\n")[0]
        lines = whole.splitlines()
        found = []
        for line in lines:
            status, rest = line.split(" ", 5)[4], line.split(" ", 7)[7]
            found.append((status, rest.split(", ")))
        return found

    def logs(self) -> str:
        """All that it wrote."""
        names = ("log", "error.log", "access.log")
        files = [self.folder / name for name in names]
        return "".join(file.read_text("utf-8") for file in files if file.exists())


@contextlib.contextmanager
def nginx(folder: Path, gateways: Sequence[Gateway]) -> Iterator[Nginx]:
    """Runs one while the block lasts."""
    server = Nginx(folder, gateways)
    server.start()
    try:
        yield server
    finally:
        server.stop()
