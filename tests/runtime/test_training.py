"""The steps of a training on Lambda, from records to a bundle that the rollout finds."""

from __future__ import annotations

import io
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import quality_files
from tests.support.lambda_runtime import FunctionFailed, function, told
from tests.support.s3 import S3
from trunkline.routing.bundles.writing import tar
from trunkline.store.routing_records import File
from trunkline.store.rows import Feedback, RoutingRecord

pytestmark = pytest.mark.timeout(600)

TRAINING, BUNDLES = "trainings", "trained-bundles"
MODELS = ("small", "large")
NOW = "2026-11-26T10:00:00+00:00"


def records(folder: Path, count: int) -> bytes:
    """What a gateway keeps of so many calls that were judged, as the file of its database."""
    place = File(folder)
    for number in range(count):
        call, model = f"call-{number}", MODELS[number % 2]
        row = RoutingRecord(
            *(call, NOW, "trunkline-scores", "1", f"What is {number} owls?", None, None, "ada"),
            *(model, model, model, "{}", 5, 9, None, 12.5, "ok"),
        )
        place.insert([row, Feedback(call, NOW, 1.0, "", "ada")])
    with closing(sqlite3.connect(place.path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    return place.path.read_bytes()


def model(files: dict[str, bytes]) -> bytes:
    """The archive that SageMaker makes of /opt/ml/model."""
    bundle, packed = tar(files), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("bundle.tar")
        member.size = len(bundle)
        archive.addfile(member, io.BytesIO(bundle))
    return packed.getvalue()


@pytest.mark.criterion("R5.6", "R10.3")
def test_records_become_a_job_and_its_bundle_an_upload(s3: S3, tmp_path: Path) -> None:
    for bucket in (TRAINING, BUNDLES):
        s3.client.create_bucket(Bucket=bucket)
        s3.client.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    env = {
        **s3.environment(),
        "TRUNKLINE_TRAINING": TRAINING,
        "TRUNKLINE_BUNDLES": BUNDLES,
        "TRUNKLINE_TRAINING_LEAST": "20",
    }
    asked: dict[str, Any] = {
        "step": "prepare",
        "execution": "2026-11-26/nightly run",
        "input": {"strategy": "trunkline-scores", "hyperparameters": {"model": "ridge"}},
    }
    with function("training", tmp_path / "function", env) as made:
        assert made.invoke(asked)["worth"] is False
        s3.put(TRAINING, "records/routing.db", records(tmp_path / "few", 10))
        few = made.invoke(asked)
        assert few["worth"] is False
        assert few["reason"].endswith("20 new ones are needed")
        s3.put(TRAINING, "records/routing.db", records(tmp_path / "many", 40))
        prepared = made.invoke(asked)
        job = prepared["job"]
        assert prepared["worth"] is True, prepared
        assert job["name"].startswith("trunkline-2026-11-26-nightly-run-")
        assert job["hyperparameters"] == {
            "strategy": "trunkline-scores",
            "seed": "0",
            "set.model": "ridge",
        }
        rows = s3.client.get_object(Bucket=TRAINING, Key=f"jobs/{job['name']}/input/rows.jsonl")[
            "Body"
        ].read()
        assert len(rows.splitlines()) == 40

        files = quality_files({"small": 0.4, "large": 0.8}, {"small": 1.0, "large": 2.0})
        key = f"jobs/{job['name']}/output/model.tar.gz"
        s3.put(TRAINING, key, model(files))
        done = {"job": job, "artifacts": f"s3://{TRAINING}/{key}"}
        evaluated = made.invoke({"step": "evaluate", **done})
        assert evaluated["better"] is True, evaluated
        broken = dict(files, **{"manifest.json": b"{}"})
        s3.put(TRAINING, "broken", model(broken))
        refused = made.invoke({**done, "step": "evaluate", "artifacts": f"s3://{TRAINING}/broken"})
        assert refused["better"] is False
        assert refused["reason"]

        published = made.invoke({"step": "publish", **done, "evaluation": evaluated})
        body = s3.client.get_object(Bucket=BUNDLES, Key=published["key"])["Body"].read()
        assert published["key"] == f"incoming/{job['name']}.tar"
        assert body == tar(files)
        # What was learned from is nothing new.
        assert made.invoke({**asked, "execution": "the next"})["worth"] is False

        cause = '{"TrainingJobName": "x", "FailureReason": "AlgorithmError: no two models"}'
        error = {"Error": "States.TaskFailed", "Cause": cause}
        assert made.invoke({"step": "failed", "execution": "x", "error": error}) == {
            "told": False,
            "reason": "AlgorithmError: no two models",
        }
        with pytest.raises(FunctionFailed, match="there is no step 'dance'"):
            made.invoke({"step": "dance"})
        assert any("_aws" in event for event in told(made.log()))
