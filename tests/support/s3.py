"""moto's server: S3 over HTTP, in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from .gateway import environment, free_port

START_SECONDS = 60.0


class S3:
    """url: what `AWS_ENDPOINT_URL` names. client: boto3's, led there."""

    def __init__(self, url: str) -> None:
        import boto3

        self.url = url
        self.client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            region_name="us-east-1",
        )

    def environment(self) -> dict[str, str]:
        """What leads another process's boto3 there."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
        }

    def put(self, bucket: str, key: str, body: bytes) -> str:
        """Stores an object, and makes its bucket if need be; its ETag, as it stands in headers."""
        with contextlib.suppress(self.client.exceptions.BucketAlreadyOwnedByYou):
            self.client.create_bucket(Bucket=bucket)
        return str(self.client.put_object(Bucket=bucket, Key=key, Body=body)["ETag"])


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[S3]:
    """Runs moto's server. folder: its home, and where its log is."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(url, process, folder / "moto.log")
        yield S3(url)
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"{url}/moto-api/", timeout=5)
            return
        time.sleep(0.02)
    raise AssertionError(f"moto's server did not start\n{log.read_text('utf-8')}")
