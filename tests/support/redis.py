"""A Redis server of the tests' own, on a free port, with nothing on disk."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from .gateway import free_port

START_SECONDS = 20.0


class RedisServer:
    """url: what clients are led there by. client: one that gives bytes."""

    def __init__(self, folder: Path, *, password: str = "") -> None:
        self._folder = folder
        self.port = free_port()
        self.password = password
        login = f":{password}@" if password else ""
        self.url = f"redis://{login}127.0.0.1:{self.port}/0"
        self.client = Redis.from_url(self.url)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        command += ["--requirepass", self.password] if self.password else []
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.client.ping()
                return
            except RedisError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def kill(self) -> None:
        """As kill -9 does; what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def redis_server(folder: Path, *, password: str = "") -> Iterator[RedisServer]:
    """Runs one while the block lasts."""
    server = RedisServer(folder, password=password)
    server.start()
    try:
        yield server
    finally:
        server.client.close()
        server.kill()
