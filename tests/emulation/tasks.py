"""The part of ECS: runs gateways as the deployed task definition says, behind the load balancer.

The emulator keeps services and task definitions, but has no Docker to run them. What runs here are
real processes from this source tree, each on an address of its own and the container's port, with
the container's environment, its secrets, and the credentials of its task role.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.gateway import Gateway, environment

from . import loopback
from .deployment import Deployment
from .emulated import REGION
from .stores import Stores

DEREGISTRATION_SECONDS = 5.0
"""Less than in the template, as what is on its way arrives within a second here."""


@dataclass
class Service:
    """running: the tasks behind the load balancer, oldest first. ended: those that were."""

    deployment: Deployment
    stores: Stores
    folder: Path
    running: list[Gateway] = field(default_factory=list)
    ended: list[Gateway] = field(default_factory=list)

    def start(self, number: int) -> None:
        """Starts tasks, and registers each once it is ready."""
        definition = self.deployment.task_definition()
        started = [self._start(definition) for _ in range(number)]
        self.running += started
        for task in started:
            task.wait_until_ready(120)
            self._balancer.register_targets(**self._as_target(task))

    def replace(self) -> None:
        """Goes over to the task definition of now: new tasks first, then the end of the old."""
        old = list(self.running)
        self.start(len(old))
        for task in old:
            self._balancer.deregister_targets(**self._as_target(task))
        # ECS tells a task to stop after the load balancer's deregistration delay, in which what was
        # led to it already arrives.
        time.sleep(DEREGISTRATION_SECONDS)
        for task in old:
            self.running.remove(task)
            self.ended.append(task)
            code = task.stop(120)
            assert code == 0, f"a task ended with exit code {code}\n{task.log()}"

    def client(self, service: str) -> Any:
        """boto3's client of a service, as a task."""
        import boto3

        given = self._credentials(self.deployment.task_definition()["taskRoleArn"])
        return boto3.session.Session(
            given["AWS_ACCESS_KEY_ID"],
            given["AWS_SECRET_ACCESS_KEY"],
            given["AWS_SESSION_TOKEN"],
            region_name=REGION,
        ).client(service, endpoint_url=self.deployment.aws.url)

    def stop(self) -> None:
        for task in self.running:
            task.kill()

    @property
    def _balancer(self) -> Any:
        return self.deployment.aws.client("elbv2")

    def _as_target(self, task: Gateway) -> dict[str, Any]:
        targets = [{"Id": task.host, "Port": task.port}]
        return {"TargetGroupArn": self.deployment.target_group, "Targets": targets}

    def _start(self, definition: Mapping[str, Any]) -> Gateway:
        folder = self.folder / f"task-{len(self.running) + len(self.ended)}-{os.urandom(3).hex()}"
        folder.mkdir(parents=True)
        container = _serving(definition)
        port = int(container["portMappings"][0]["containerPort"])
        host = loopback.address([port])
        env = self._environment(definition, container, folder)
        command = [
            "serve",
            "--config",
            env["TRUNKLINE_CONFIG"],
            "--host",
            host,
            "--port",
            str(port),
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "trunkline", *command],
                cwd=folder,
                env=environment(folder, env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Gateway(process, host, port, folder)

    def _environment(
        self, definition: Mapping[str, Any], container: Mapping[str, Any], folder: Path
    ) -> dict[str, str]:
        given = {each["name"]: each["value"] for each in container.get("environment", [])}
        secrets = self.deployment.aws.client("secretsmanager")
        for each in container.get("secrets", []):
            given[each["name"]] = _secret(secrets, each["valueFrom"])
        return {
            **given,
            **self.deployment.aws.environment(),
            **self._credentials(definition["taskRoleArn"]),
            "SSL_CERT_FILE": str(self.stores.authority),
            "TRUNKLINE_DATA_DIRECTORY": str(folder / "data"),
        }

    def _credentials(self, role: str) -> dict[str, str]:
        """Of the task's role, as ECS hands them to a task."""
        given = self.deployment.aws.client("sts").assume_role(
            RoleArn=role, RoleSessionName="task", DurationSeconds=3600
        )["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }


def _serving(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container that serves: the one that is told of a configuration."""
    for container in definition["containerDefinitions"]:
        names = {each["name"] for each in container.get("environment", [])}
        if "TRUNKLINE_CONFIG" in names:
            found: Mapping[str, Any] = container
            return found
    raise AssertionError("no container of the task definition has TRUNKLINE_CONFIG")


def _secret(manager: Any, wanted: str) -> str:
    """wanted: an ARN, which may go on with `:<field of a JSON object>::`."""
    parts = wanted.split(":")
    value: str = manager.get_secret_value(SecretId=":".join(parts[:7]))["SecretString"]
    return str(json.loads(value)[parts[7]]) if len(parts) > 7 and parts[7] else value


@contextmanager
def service(deployment: Deployment, stores: Stores, folder: Path) -> Iterator[Service]:
    """Ends what runs of it in the end."""
    made = Service(deployment, stores, folder)
    try:
        yield made
    finally:
        for task in made.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(task.process.pid, signal.SIGTERM)
        made.stop()
