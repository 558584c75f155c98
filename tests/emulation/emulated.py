"""The emulated AWS: its process, its endpoint, clients of its services."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tests.support.gateway import environment, free_port

from .stores import Stores

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-emulator" / "bin" / "python"
LAUNCHER = Path(__file__).parent / "emulator"
REGION = "us-east-1"
ACCOUNT = "000000000000"
START_SECONDS = 120.0


@dataclass
class AWS:
    """url: of every service. folder: where its log and its temporary files are."""

    url: str
    folder: Path

    def environment(self) -> dict[str, str]:
        """What leads a process there, as the account's root."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        """boto3's client of a service, as the account's root."""
        return self._session.client(service, endpoint_url=self.url)

    @cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.session.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
        )

    def empty(self, bucket: str) -> None:
        """Removes every version of every object of a bucket."""
        s3 = self.client("s3")
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for each in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])

    def log(self) -> str:
        return (self.folder / "emulator.log").read_text("utf-8", "replace")

    def functions_logs(self, lines: int = 40) -> Iterator[tuple[str, str]]:
        """The name and the last lines of each function's log."""
        logs = self.client("logs")
        for group in logs.describe_log_groups()["logGroups"]:
            events: list[Any] = []
            for stream in logs.describe_log_streams(logGroupName=group["logGroupName"])[
                "logStreams"
            ]:
                events += logs.get_log_events(
                    logGroupName=group["logGroupName"], logStreamName=stream["logStreamName"]
                )["events"]
            events.sort(key=lambda event: event["timestamp"])
            if events:
                yield group["logGroupName"], "\n".join(e["message"] for e in events[-lines:])


@contextmanager
def emulated(folder: Path, stores: Stores, world: str) -> Iterator[AWS]:
    """Runs the emulator while the block lasts, with IAM's policies enforced."""
    port = free_port()
    temporary = folder / "tmp"
    temporary.mkdir()
    own: Mapping[str, str] = {
        "AUTH": "true",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "INFO",
        "MINISTACK_AUTOCREATE_AWS_MANAGED": "1",
        "TMPDIR": str(temporary),
        "SSL_CERT_FILE": str(stores.authority),
        "PYTHONDONTWRITEBYTECODE": "1",
        "EMULATED_STORES": stores.address,
        "EMULATED_WORLD": world,
    }
    aws = AWS(f"http://127.0.0.1:{port}", folder)
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, LAUNCHER],
            cwd=folder,
            env=environment(folder, {**aws.environment(), **own}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait(aws, process)
        yield aws
    finally:
        # Its functions are processes of its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(aws: AWS, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"{aws.url}/_ministack/health", timeout=5)
            return
        time.sleep(0.1)
    raise AssertionError(f"the emulator did not start\n{aws.log()}")
