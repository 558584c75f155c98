"""Lambda: the steps of the machine that trains, but the training itself, which SageMaker does.

    {"step": "prepare", "execution": NAME, "input": the execution's}
        → {"worth": bool, "reason": text, "job": see `prepare.Job`}
    {"step": "evaluate", "job": …, "artifacts": URL}   → {"better": bool, "reason": text, "bundle",
                                                          "measured"}
    {"step": "publish", "job": …, "artifacts": URL, …}  → {"key", "version_id"}: the rollout begins
    {"step": "failed", "execution": NAME, "error": {"Error", "Cause"}}: people are told

Each may be done twice. What can't be done raises, and the machine goes to `failed`.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

from trunkline.live.depot import INCOMING
from trunkline.live.depot_s3 import S3Depot
from trunkline.live.s3 import connect
from trunkline.rollout.in_force import configuration
from trunkline.rollout.judges import BundleJudge
from trunkline.rollout.margins import Margins
from trunkline.rollout.outcomes import Refused
from trunkline.routing.bundles.reading import Trust, read_bundle
from trunkline.settings import Settings

from .artifacts import fetch
from .prepare import JOBS, LAST, ROWS, prepare
from .settings import TrainingSettings

SERVICE = "training"
SUBJECT, MESSAGE = 100, 200_000
"""Characters of a message to SNS, which takes 256 KiB."""

settings = TrainingSettings.read()
logger = Logger(service=SERVICE)
metrics = Metrics(namespace="Trunkline", service=SERVICE)
tracer = Tracer(service=SERVICE)

Event = dict[str, Any]


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: Event, context: Any) -> dict[str, Any]:
    """What the step's answer is. Raises for what the machine is to fail by."""
    step = event.get("step")
    steps = {"prepare": _prepare, "evaluate": _evaluate, "publish": _publish, "failed": _failed}
    if step not in steps:
        raise ValueError(f"there is no step {step!r}; there are {', '.join(steps)}")
    answer = steps[step](event)
    logger.info("a step is done", extra={"step": step, "answer": answer})
    metrics.add_metric(f"Training_{step}", MetricUnit.Count, 1)
    return answer


def _prepare(event: Event) -> dict[str, Any]:
    asked = event.get("input") or {}
    found = _in_force()
    return prepare(
        *(connect(), settings.training, event["execution"], asked, found, settings.training_least)
    )


def _evaluate(event: Event) -> dict[str, Any]:
    """Whether the bundle may take the place of the one in force, as the rollout will judge it."""
    depot = S3Depot(settings.bundles)
    keys = (settings.public_key,) if settings.public_key else ()
    judge = BundleJudge(_in_force(), keys, Margins())
    with tempfile.TemporaryDirectory() as folder:
        bundle = fetch(connect(), event["artifacts"], Path(folder))
        try:
            version = judge.check(bundle, bundle.name)
            found = depot.read()
            current = found.pointer.current if found else None
            compared = judge.compare(bundle, current, depot) if current else "nothing is in force"
        except Refused as error:
            return {"better": False, "reason": str(error)}
        manifest = read_bundle(bundle, Trust(size_limit=judge.size_limit)).manifest
    measured = manifest.evaluation.get("router", {})
    reason = compared or "there is no evaluation set to compare by"
    return {"better": True, "reason": reason, "bundle": version, "measured": measured}


def _publish(event: Event) -> dict[str, Any]:
    s3, name = connect(), event["job"]["name"]
    key = f"{INCOMING}{name}.tar"
    with tempfile.TemporaryDirectory() as folder:
        bundle = fetch(s3, event["artifacts"], Path(folder))
        answer = s3.put_object(Bucket=settings.bundles, Key=key, Body=bundle.read_bytes())
    told = s3.head_object(Bucket=settings.training, Key=f"{JOBS}{name}/input/{ROWS}")["Metadata"]
    body = json.dumps({"job": name, "rows": int(told["rows"])})
    s3.put_object(Bucket=settings.training, Key=LAST, Body=body.encode())
    return {"key": key, "version_id": answer.get("VersionId", "")}


def _failed(event: Event) -> dict[str, Any]:
    error, execution = event.get("error") or {}, str(event.get("execution", ""))
    name, cause = str(error.get("Error", "unknown")), _cause(str(error.get("Cause", "")))
    logger.error("a training failed", extra={"execution": execution, "error": name, "cause": cause})
    metrics.add_metric("Training_failures", MetricUnit.Count, 1)
    if settings.alarm_topic:
        connect("sns").publish(
            TopicArn=settings.alarm_topic,
            Subject=f"Trunkline: training failed: {name}".encode("ascii", "replace").decode()[
                :SUBJECT
            ],
            Message=f"{execution}\n\n{name}: {cause}"[:MESSAGE],
        )
    return {"told": bool(settings.alarm_topic), "reason": cause}


def _cause(text: str) -> str:
    """What of a cause people have to read: a job's reason, or a function's message."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if not isinstance(found, dict):
        return text
    return str(found.get("FailureReason") or found.get("errorMessage") or text)


def _in_force() -> Settings | None:
    if not settings.in_force:
        return None
    return configuration(settings.in_force, os.environ, assuming=True)
