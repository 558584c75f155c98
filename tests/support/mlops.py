"""The training program, run as its users run it: in its own environment and process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from .gateway import environment

ROOT = Path(__file__).parents[2]
INTERPRETER = "TRUNKLINE_MLOPS_PYTHON"

Mlops = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def mlops_python() -> Path:
    """The interpreter of the environment that trains, which `make mlops` sets up."""
    python = Path(os.environ.get(INTERPRETER) or ROOT / ".venv-mlops" / "bin" / "python")
    assert python.exists(), f"{python} is missing: run `make mlops`, or set {INTERPRETER}"
    return python


@pytest.fixture(scope="session")
def mlops(mlops_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Mlops:
    """Runs `python -m mlops` with arguments to its end: `mlops("prepare", path, ..., folder=…)`."""
    home = tmp_path_factory.mktemp("mlops-home")

    def run(
        *arguments: object,
        folder: Path | None = None,
        env: Mapping[str, str] | None = None,
        seconds: float = 300.0,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(mlops_python), "-m", "mlops", *map(str, arguments)],
            cwd=folder or home,
            env=environment(home, {"PYTHONPATH": str(ROOT), **(env or {})}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    return run


def done(process: subprocess.CompletedProcess[str], code: int = 0) -> str:
    """What a command printed, once it ended as it should."""
    assert process.returncode == code, f"exit code {process.returncode}\n{process.stderr}"
    return process.stdout


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Writes rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


CANDIDATES = {
    "small": {"size": "7B", "feature": "quick", "input_price": 0.1, "output_price": 0.2},
    "large": {"size": "70B", "feature": "clever", "input_price": 1.0, "output_price": 2.0},
}


def candidates(path: Path) -> Path:
    """Writes the two models that `rows` is about, as LLMRouter describes candidates."""
    path.write_text(json.dumps(CANDIDATES), "utf-8")
    return path


SUBJECTS = ("apples", "rivers", "trains", "violins", "planets", "bridges", "owls", "clocks")


def rows(count: int) -> list[dict[str, Any]]:
    """Routing data of two models: sums, which both can do, and proofs, which only the large can."""
    made = []
    for number in range(count):
        subject, hard = SUBJECTS[number % len(SUBJECTS)], number % 2
        query = (
            f"Prove rigorously theorem {number} about the topology of {subject}, with every lemma"
            if hard
            else f"What is {number} plus {number + 1} {subject}?"
        )
        for model, score in (("small", 0.0 if hard else 1.0), ("large", 1.0)):
            made.append(
                {
                    "task_name": "proof" if hard else "sum",
                    "query": query,
                    "ground_truth": str(number),
                    "metric": "em",
                    "model_name": model,
                    "performance": score,
                    "embedding_id": number,
                    "output_tokens": 400 if hard else 10,
                }
            )
    return made
