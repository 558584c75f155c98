"""`examples/mlops`, without Docker: the commands of its Compose file, with S3 that is moto's."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.gateway import Gateway, Gateways, environment
from tests.support.mlops import ROOT, read_rows
from tests.support.s3 import S3, moto

EXAMPLE = ROOT / "examples" / "mlops"
COMPOSE = yaml.safe_load((EXAMPLE / "docker-compose.yml").read_text("utf-8"))
KEY = {"authorization": "Bearer sk-example"}


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3]:
    with moto(tmp_path) as running:
        yield running


def variables(service: str, s3: S3) -> dict[str, str]:
    """What Compose gives to a service, with the S3 that is there."""
    given = COMPOSE["services"][service]["environment"]
    kept = {name: value for name, value in given.items() if not name.startswith("AWS_")}
    return kept | s3.environment()


def run(command: list[str], folder: Path, python: Path, env: dict[str, str]) -> str:
    """Runs a command as the training container does: in its folder and its environment."""
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    ran = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, {**env, "PATH": path}),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def ask(server: Gateway, question: str) -> httpx.Headers:
    """The headers of an answer of `auto`."""
    body = {"model": "auto", "messages": [{"role": "user", "content": question}]}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=KEY, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.headers


def judge(server: Gateway, call_id: str, score: float) -> None:
    body = {"call_id": call_id, "score": score}
    answer = httpx.post(f"{server.url}/v1/feedback", json=body, headers=KEY, timeout=30)
    assert answer.status_code == 200, answer.text


def wait_for_judgements(database: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    with closing(sqlite3.connect(database)) as connection:
        while connection.execute("SELECT count(*) FROM feedback").fetchone() != (count,):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def wait_for_another(server: Gateway, version: str) -> None:
    deadline = time.monotonic() + 60
    while ask(server, "Which one is it now?")["x-trunkline-bundle"] == version:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.1)


@pytest.mark.timeout(600)
@pytest.mark.criterion("R5.1", "R5.3", "R5.5", "R5.6", "R3.4")
def test_the_example_trains_serves_and_learns_from_what_it_served(
    gateway: Gateways, s3: S3, mlops_python: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mlops"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("build", "private"))
    s3.client.create_bucket(Bucket="models")
    env = variables("train", s3)
    train = shlex.split(COMPOSE["services"]["train"]["command"])

    told = run(train, folder, mlops_python, env)

    assert "nothing is there to compare with" in told
    assert {path.name for path in (folder / "build" / "report").iterdir()} == {
        "report.json",
        "report.md",
        "frontier.svg",
    }

    key = {"ROUTER_PUBLIC_KEY": str(folder / "build" / "router-key.pub.pem")}
    server = gateway(
        folder / "config.yaml",
        env={**variables("gateway", s3), "TRUNKLINE_MASTER_KEY": "sk-example", **key},
    )
    questions = [f"What is {number} times {number + 3}?" for number in range(8)]
    answers = [ask(server, question) for question in questions]
    (version,) = {each["x-trunkline-bundle"] for each in answers}
    for answer in answers:
        judge(server, answer["x-trunkline-call-id"], 0.5)
    wait_for_judgements(folder / "build" / "records" / "routing.db", len(answers))

    rows = folder / "build" / "rows.jsonl"
    collect = ["trunkline-mlops", "collect", "build/records", "--output", str(rows)]
    run(collect, folder, mlops_python, env)
    assert [row["performance"] for row in read_rows(rows)] == [0.5] * len(questions)
    assert questions[0] not in rows.read_text("utf-8")
    told = run([*train, str(rows)], folder, mlops_python, env)

    assert "B may replace A" in told
    wait_for_another(server, version)


@pytest.mark.criterion("R5.1")
def test_compose_trains_before_it_serves_what_was_trained() -> None:
    services: dict[str, Any] = COMPOSE["services"]

    waits = {
        name: {other: each["condition"] for other, each in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert waits["gateway"] == {"train": "service_completed_successfully"}
    assert waits["train"] == {"bucket": "service_completed_successfully"}
    assert waits["bucket"] == {"minio": "service_healthy"}
    assert (
        services["train"]["environment"]["BUNDLE"] == services["gateway"]["environment"]["BUNDLE"]
    )
    stages = (EXAMPLE / "Dockerfile").read_text("utf-8").split("\nFROM ")
    for service in ("train", "gateway"):
        built = services[service]["build"]
        assert (
            EXAMPLE / built["context"] / built["dockerfile"]
        ).resolve() == EXAMPLE / "Dockerfile"
        (stage,) = [each for each in stages if each.split("\n")[0].endswith(f" {built['target']}")]
        assert "\nUSER trunkline\n" in stage
    written = (EXAMPLE / "config.yaml").read_text("utf-8")
    for name in ("BUNDLE", "ROUTER_PUBLIC_KEY", "TRUNKLINE_MASTER_KEY"):
        assert f"os.environ/{name}" in written
        assert name in services["gateway"]["environment"]
