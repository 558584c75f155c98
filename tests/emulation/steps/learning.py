"""The state machine that trains, and the upkeep."""

from __future__ import annotations

from typing import Any

from .. import documents
from ..cast import Cast
from ..documents import SMALL
from ..progress import until
from ..training import REASON
from .rolling_out import after_training, judge


def training(cast: Cast) -> str:
    judge(cast)
    cast.trainer.bundle = documents.bundle(SMALL, created="2026-01-04")
    _train(cast, "SUCCEEDED")
    assert cast.trainer.jobs, "no job was asked for: the function's log says why"
    after_training(cast)
    return f"of {len(cast.trainer.rows)} rows, by {cast.trainer.jobs[-1]['TrainingJobName']}"


def failed_training(cast: Cast) -> str:
    judge(cast)
    cast.trainer.fails = True
    _train(cast, "FAILED")
    cast.inbox.told(REASON)
    return REASON


def _train(cast: Cast, expected: str) -> None:
    """Starts an execution, and waits for its end."""
    states = cast.aws.client("stepfunctions")
    started = states.start_execution(stateMachineArn=cast.deployment.state_machine, input="{}")

    def look() -> Any:
        return states.describe_execution(executionArn=started["executionArn"])

    until(lambda: look()["status"] != "RUNNING", "the execution ends", 180)
    told = {name: look().get(name) for name in ("status", "error", "cause", "output")}
    assert told["status"] == expected, told


def maintenance(cast: Cast) -> str:
    steps = cast.deployment.invoke("maintenance", {})["steps"]
    return ", ".join(step["name"] for step in steps)
