"""The part of SageMaker: what its jobs leave in S3, or why they fail."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .emulated import ACCOUNT, AWS, REGION
from .world import Refused

REASON = "AlgorithmError: the training data holds no two models"


@dataclass
class Trainer:
    """bundle: that a job makes. fails: whether jobs do. jobs: that were asked for."""

    aws: AWS | None = None
    bundle: bytes = b""
    fails: bool = False
    jobs: list[dict[str, Any]] = field(default_factory=list)

    def train(self, asked: Any) -> dict[str, Any]:
        """A training job from its beginning to its end: `DescribeTrainingJob`'s answer of then."""
        assert self.aws is not None
        self.jobs.append(asked)
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


def _archive(bundle: bytes) -> bytes:
    """`/opt/ml/model` of a job, as SageMaker packs it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("bundle.tar")
        entry.size = len(bundle)
        archive.addfile(entry, io.BytesIO(bundle))
    return packed.getvalue()
