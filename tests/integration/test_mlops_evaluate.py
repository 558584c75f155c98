"""What a bundle's decisions are worth, and whether one bundle may replace another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.support.bundles import used
from tests.support.mlops import Mlops, candidates, done, rows, write_rows
from trunkline.routing.bundles.manifest import Label, Training
from trunkline.routing.bundles.writing import bundle_files, tar
from trunkline.routing.embedding.known import embedder

QUERIES = 100


@pytest.fixture(scope="module")
def data(mlops: Mlops, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows, candidates, and three bundles: `small`, `large`, and `right`, which never errs."""
    folder = tmp_path_factory.mktemp("data")
    written = write_rows(folder / "rows.jsonl", rows(QUERIES))
    llm = candidates(folder / "llm.json")
    for name, strategy in (("small", "smallest"), ("large", "largest")):
        done(mlops("train", "--strategy", strategy, "--data", written, "--llm-data", llm,
                   "--output", folder / f"{name}.tar"))  # fmt: skip
    (folder / "right.tar").write_bytes(tar(right()))
    return folder


def right() -> dict[str, bytes]:
    """One neighbour decides, and every query is its own: sums to small, proofs to large."""
    asked = {row["query"]: int(row["task_name"] == "proof") for row in rows(QUERIES)}
    return bundle_files(
        strategy="llmrouter-knn",
        labels=[Label(name="small"), Label(name="large")],
        tensors={
            "points": np.stack([embedder("static").embed(query) for query in asked]),
            "point_labels": np.array(list(asked.values()), dtype=np.int32),
        },
        parameters={"n_neighbors": 1, "weights": "uniform", "metric": "euclidean"},
        training=Training(sha256="0" * 64, queries=QUERIES, rows=2 * QUERIES),
        created="2026-01-01",
        embedder=used(),
    )


def evaluated(mlops: Mlops, data: Path, bundle: str) -> Path:
    """The folder with the report."""
    options = ("--llm-data", data / "llm.json", "--output", data / f"{bundle} report")
    rows = ("--data", data / "rows.jsonl", "--resamples", 200)
    done(mlops("evaluate", data / f"{bundle}.tar", *rows, *options))
    return data / f"{bundle} report"


@pytest.fixture(scope="module")
def of_right(mlops: Mlops, data: Path) -> Path:
    return evaluated(mlops, data, "right")


@pytest.fixture(scope="module")
def of_small(mlops: Mlops, data: Path) -> Path:
    return evaluated(mlops, data, "small")


def read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    return found


@pytest.mark.criterion("R5.4")
def test_quality_cost_accuracy_and_regret_are_those_of_the_decisions(of_right: Path) -> None:
    found = read(of_right)

    router, simple = found["router"], found["baselines"]
    # The small model does the sums, 10 tokens at $0.2 a million; the large one proofs, 400 at $2.
    answers = (10 * 0.2 + 400 * 2.0) / 2
    asked = sum(
        len(row["query"].encode()) / 4 * (1.0 if row["task_name"] == "proof" else 0.1)
        for row in rows(QUERIES)[::2]
    )
    cost = (answers + asked / QUERIES) / 1e6 * 1000
    assert found["cost_unit"] == "$ per 1,000 queries"
    assert router["cost"]["value"] == pytest.approx(cost, rel=1e-4)
    assert router["quality"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert router["accuracy"]["value"] == 1.0
    assert router["regret"]["value"] == 0.0
    assert router["calls"] == {"large": QUERIES // 2, "small": QUERIES // 2}
    assert simple["best_single"]["model"] == "large"
    assert simple["cheapest"] == {
        "model": "small", "quality": 0.5, "cost": simple["cheapest"]["cost"]
    }  # fmt: skip
    assert simple["random"]["quality"] == 0.75
    assert simple["oracle"] == {"quality": 1.0, "cost": pytest.approx(cost, rel=1e-4)}
    assert simple["cheapest"]["cost"] < router["cost"]["value"] < simple["best_single"]["cost"]
    assert found["tasks"]["sum"]["quality"] == found["tasks"]["proof"]["quality"] == 1.0
    assert set(found["latency_ms"]) == {"p50", "p95", "p99", "mean"}
    assert all(value > 0 for value in found["latency_ms"].values())


@pytest.mark.criterion("R5.4")
def test_a_constant_choice_is_worth_what_its_model_is(of_small: Path) -> None:
    found = read(of_small)

    router = found["router"]
    assert router["quality"]["value"] == router["accuracy"]["value"] == 0.5
    assert router["regret"]["value"] == 0.5
    assert router["gain_over_best_single"]["value"] == -0.5
    low, high = router["quality"]["low"], router["quality"]["high"]
    assert 0.35 < low < 0.5 < high < 0.65
    assert found["tasks"]["sum"]["quality"] == 1.0
    assert found["tasks"]["proof"]["quality"] == 0.0


def test_between_two_models_the_gap_that_is_recovered_is_told(
    of_right: Path, of_small: Path
) -> None:
    best, constant = read(of_right)["two_models"], read(of_small)["two_models"]

    assert (best["strong"], best["weak"]) == ("large", "small")
    # With the half that need it sent to the strong model, all is recovered: a triangle and a half.
    assert best["apgr"] == pytest.approx(0.75)
    assert best["cpt_50%"] == pytest.approx(0.25)
    assert best["cpt_80%"] == pytest.approx(0.4)
    # Who prefers neither recovers as much as chance does.
    assert constant["apgr"] == pytest.approx(0.5)
    assert constant["cpt_80%"] == pytest.approx(0.8)


def test_the_report_is_there_for_people_too(of_right: Path) -> None:
    text = (of_right / "report.md").read_text("utf-8")
    assert "| best single (large) | 1.000 |" in text
    drawn = ElementTree.parse(of_right / "frontier.svg")
    labels = {element.text for element in drawn.iter() if element.tag.endswith("text")}
    assert {"small", "large", "oracle", "random", "router"} <= labels


def test_a_bundle_of_models_that_the_data_does_not_know_is_refused(
    mlops: Mlops, data: Path, tmp_path: Path
) -> None:
    strange = write_rows(
        tmp_path / "rows.jsonl", [{"query": "a", "model_name": "other", "performance": 1}]
    )

    ran = mlops("evaluate", data / "small.tar", "--data", strange)

    assert ran.returncode == 2
    assert "the data has no answers of large, small" in ran.stderr


COMPARED = (
    # a, b, options, exit code, what is said of B
    ("large", "right", (), 0, "B may replace A"),
    ("large", "large", ("--margin", "0"), 0, "100.0% decided alike"),
    ("right", "small", (), 1, "its quality may be worse by more than 0.02"),
    ("right", "small", ("--margin", "0.9"), 0, "B may replace A"),
    ("small", "right", (), 1, "it costs"),
    ("small", "right", ("--cost-margin", "1000"), 0, "B may replace A"),
)


@pytest.mark.parametrize(("a", "b", "options", "code", "told"), COMPARED)
def test_the_exit_code_says_whether_b_may_replace_a(
    mlops: Mlops, data: Path, a: str, b: str, options: tuple[str, ...], code: int, told: str
) -> None:
    ran = mlops("compare", data / f"{a}.tar", data / f"{b}.tar", "--data", data / "rows.jsonl",
                "--llm-data", data / "llm.json", *options)  # fmt: skip

    assert told in done(ran, code)


def test_a_difference_that_is_chance_is_not_taken_for_one(mlops: Mlops, data: Path) -> None:
    arguments = ("compare", data / "right.tar", data / "small.tar", "--data", data / "rows.jsonl",
                 "--llm-data", data / "llm.json", "--json")  # fmt: skip

    found = json.loads(done(mlops(*arguments), 1))
    same = json.loads(
        done(mlops("compare", data / "right.tar", data / "right.tar", *arguments[3:]), 0)
    )

    assert found["quality"]["difference"] == -0.5
    assert found["quality"]["low"] < -0.5 < found["quality"]["high"] < -0.4
    assert found["quality"]["p"] < 0.01
    assert same["quality"]["p"] == 1.0


def test_what_cannot_be_compared_ends_with_2(mlops: Mlops, data: Path, tmp_path: Path) -> None:
    (tmp_path / "no.tar").write_bytes(b"no bundle")

    ran = mlops("compare", data / "right.tar", tmp_path / "no.tar", "--data", data / "rows.jsonl")

    assert ran.returncode == 2
    assert "no.tar: not a bundle" in ran.stderr
