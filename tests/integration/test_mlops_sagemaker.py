"""Training as SageMaker runs it: a folder with what to do, and one for what came of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.mlops import Mlops, done, rows, write_rows
from trunkline.routing.bundles.reading import read_bundle

pytestmark = pytest.mark.timeout(600)


def job(folder: Path, **hyperparameters: str) -> Path:
    """What SageMaker lays into /opt/ml."""
    (folder / "input" / "config").mkdir(parents=True)
    (folder / "input" / "data" / "training").mkdir(parents=True)
    told = json.dumps(hyperparameters)
    (folder / "input" / "config" / "hyperparameters.json").write_text(told)
    write_rows(folder / "input" / "data" / "training" / "rows.jsonl", rows(120))
    return folder


@pytest.mark.criterion("R5.6")
def test_a_job_leaves_a_bundle_and_one_that_lost_its_machine_goes_on_with_what_was_prepared(
    mlops: Mlops, tmp_path: Path
) -> None:
    folder = job(
        tmp_path / "ml",
        strategy="trunkline-scores",
        seed="3",
        test_share="0.25",
        **{"set.model": "ridge"},
    )
    done(mlops("sagemaker", "--folder", folder))
    manifest = read_bundle(folder / "model" / "bundle.tar").manifest
    assert manifest.strategy == "trunkline-scores"
    assert manifest.evaluation["router"]["quality"]
    # The machine of another try has the checkpoints, and the same rows.
    (folder / "model" / "bundle.tar").unlink()
    (folder / "input" / "data" / "training" / "rows.jsonl").unlink()
    done(mlops("sagemaker", "--folder", folder))
    again = read_bundle(folder / "model" / "bundle.tar").manifest
    assert again.version == manifest.version


def test_why_a_job_failed_stands_where_sagemaker_looks_for_it(mlops: Mlops, tmp_path: Path) -> None:
    folder = job(tmp_path / "ml", strategy="trunkline-scores", colour="blue")
    assert mlops("sagemaker", "--folder", folder).returncode == 1
    reason = (folder / "output" / "failure").read_text()
    assert reason.startswith("no hyperparameter is called 'colour'")
    assert not (folder / "model" / "bundle.tar").exists()
