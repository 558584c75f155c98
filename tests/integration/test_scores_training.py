"""Training `trunkline-…` strategies by the command line, and what they are worth held out."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.mlops import Mlops, done, write_rows
from trunkline.routing.bundles.reading import read_bundle
from trunkline.routing.heads.scores import PARTS

QUICK = ("--set", "folds=2", "--set", "units=16")
CANDIDATES = {
    "small": {"input_price": 0.1, "output_price": 0.1},
    "coder": {"input_price": 0.2, "output_price": 0.2},
    "large": {"input_price": 1.0, "output_price": 1.0},
}
TASKS = {
    "sums": ("What is {} plus {}? Give the number.", {"small": 0.9, "coder": 0.5, "large": 0.9}),
    "code": (
        "def solve(n):\n    '''Return {} if n > {}.'''\n",
        {"small": 0.2, "coder": 0.9, "large": 0.6},
    ),
    "proofs": (
        "Prove rigorously that every group of order {} has {} normal subgroups.",
        {"small": 0.1, "coder": 0.1, "large": 0.8},
    ),
}
"""How each kind of query reads, and how often each model answers it well."""


def rows(count: int, *, named: bool) -> Iterator[dict[str, Any]]:
    """Answers to queries of three kinds; one in ten wasn't measured. named: with their tasks."""
    drawn = random.Random(0)
    for number in range(count):
        task, (text, chances) = drawn.choice(list(TASKS.items()))
        query = text.format(number, drawn.randrange(1000))
        for model, chance in chances.items():
            if drawn.random() < 0.9 or model == "large":
                yield {
                    "task_name": task if named else "",
                    "query": query,
                    "metric": "em",
                    "ground_truth": "",
                    "model_name": model,
                    "performance": float(drawn.random() < chance),
                    "embedding_id": number,
                }


@pytest.fixture(scope="module")
def prepared(mlops: Mlops, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scores")
    llm = folder / "llm.json"
    llm.write_text(json.dumps(CANDIDATES), "utf-8")
    for name, named in (("tasks", True), ("none", False)):
        written = write_rows(folder / f"{name}.jsonl", rows(500, named=named))
        done(mlops("prepare", written, "--llm-data", llm, "--output", folder / name))
    return folder


def train(mlops: Mlops, strategy: str, data: Path, output: Path, *more: str) -> Path:
    quick = (*QUICK, *more) if strategy == "trunkline-scores" else ()
    done(mlops("train", "--strategy", strategy, "--data", data, *quick, "--output", output))
    return output


@pytest.mark.criterion("R5.2", "R5.4")
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("strategy", "tasks"),
    [("trunkline-scores", "tasks"), ("trunkline-scores", "none"), ("trunkline-cluster", "none")],
)
def test_a_trained_router_is_better_than_the_best_model_and_costs_less(
    mlops: Mlops, prepared: Path, tmp_path: Path, strategy: str, tasks: str
) -> None:
    router = train(mlops, strategy, prepared / tasks, tmp_path / "router.tar")

    done(mlops("evaluate", router, "--data", prepared / tasks, "--output", tmp_path))

    found = json.loads((tmp_path / "report.json").read_text())
    single = found["baselines"]["best_single"]
    assert found["quality_at_best_single_cost"] > single["quality"] + 0.02
    assert found["cost_at_best_single_quality"] < 0.75


@pytest.mark.timeout(240)
def test_an_ensemble_blends_all_parts_that_help(
    mlops: Mlops, prepared: Path, tmp_path: Path
) -> None:
    data, router = prepared / "tasks", tmp_path / "router.tar"
    train(mlops, "trunkline-scores", data, router, "--set", "model=ensemble")

    done(mlops("evaluate", router, "--data", data, "--output", tmp_path))

    shares = read_bundle(router).manifest.parameters
    assert sum(shares[f"share_{part}"] > 0 for part in PARTS) >= 2
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["cost_at_best_single_quality"] < 0.75


@pytest.mark.timeout(240)
def test_the_same_seed_trains_the_same_bytes(mlops: Mlops, prepared: Path, tmp_path: Path) -> None:
    one, other = (
        train(mlops, "trunkline-scores", prepared / "tasks", tmp_path / name).read_bytes()
        for name in ("one.tar", "other.tar")
    )
    assert one == other


def test_a_wrong_hyperparameter_is_named(mlops: Mlops, prepared: Path, tmp_path: Path) -> None:
    arguments = ("train", "--strategy", "trunkline-scores", "--data", prepared / "tasks")
    refused = mlops(*arguments, "--set", "alpha=-1", "--output", tmp_path / "it.tar")
    assert refused.returncode == 2
    assert "trunkline-scores: alpha must be a number from 0 or 'auto', not -1" in refused.stderr
