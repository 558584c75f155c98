"""The part of SageMaker: what its jobs leave in S3, or why they fail."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .emulated import ACCOUNT, AWS, REGION
from .world import Refused

REASON = "AlgorithmError: the training data holds no two models"


@dataclass
class Trainer:
    """bundle: that a job makes. fails: whether jobs do. jobs: that were asked for.

    rows: that the last job found as its training data.
    """

    aws: AWS | None = None
    bundle: bytes = b""
    fails: bool = False
    jobs: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def train(self, asked: Any) -> dict[str, Any]:
        """A training job from its beginning to its end: `DescribeTrainingJob`'s answer of then."""
        assert self.aws is not None
        self.jobs.append(asked)
        self.rows = list(self._rows(asked["InputDataConfig"][0]["DataSource"]["S3DataSource"]))
        name = asked["TrainingJobName"]
        if self.fails:
            raise Refused("States.TaskFailed", f'{{"TrainingJobName":"{name}","TrainingJobStatus":'
                          f'"Failed","FailureReason":"{REASON}"}}')  # fmt: skip
        output = urlsplit(asked["OutputDataConfig"]["S3OutputPath"])
        key = f"{output.path.strip('/')}/{name}/output/model.tar.gz"
        body = _archive(self.bundle)
        self.aws.client("s3").put_object(Bucket=output.netloc, Key=key, Body=body)
        return {
            **asked,
            "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{name}",
            "TrainingJobStatus": "Completed",
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://{output.netloc}/{key}"},
        }

    def _rows(self, source: Any) -> Iterator[dict[str, Any]]:
        assert self.aws is not None
        s3, place = self.aws.client("s3"), urlsplit(source["S3Uri"])
        prefix = place.path.strip("/")
        for each in s3.list_objects_v2(Bucket=place.netloc, Prefix=prefix)["Contents"]:
            body = s3.get_object(Bucket=place.netloc, Key=each["Key"])["Body"].read()
            yield from map(json.loads, body.splitlines())


def _archive(bundle: bytes) -> bytes:
    """`/opt/ml/model` of a job, as SageMaker packs it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("bundle.tar")
        entry.size = len(bundle)
        archive.addfile(entry, io.BytesIO(bundle))
    return packed.getvalue()
