"""Lambda, on a schedule: budgets begin anew, partitions are made and dropped, keys that expired
long ago are deleted, rows that gateways left behind come to the database, and batches that have
ended are charged.

Running gateways do all but the keys by themselves; this does it where none runs, and tells an alarm
where it can't be done. Each step is told of; a run fails in the end where one did.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

from trunkline.rollout.in_force import configuration
from trunkline.settings import Settings

from .settings import MaintenanceSettings
from .steps import Step, run

SERVICE = "maintenance"
MARGIN_SECONDS = 5.0
"""Of the function's time that is left for telling."""

settings = MaintenanceSettings.read()
os.environ.setdefault("TRUNKLINE_DATA_DIRECTORY", settings.data_directory)
logger = Logger(service=SERVICE)
metrics = Metrics(namespace="Trunkline", service=SERVICE)
tracer = Tracer(service=SERVICE)


class MaintenanceFailed(Exception):
    """Some steps could not be done: which, and why."""


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """What was done. Raises MaintenanceFailed."""
    found = _configuration()
    if found is None or not found.general_settings.charges:
        logger.info("there is nothing to maintain: no configuration with accounts is in force")
        return {"steps": []}

    def left() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000 - MARGIN_SECONDS

    steps = asyncio.run(run(found, settings.expired_key_days, left))
    for step in steps:
        _tell(step)
    if failed := [f"{step.name}: {step.error}" for step in steps if step.error]:
        raise MaintenanceFailed("; ".join(failed))
    return {"steps": [{"name": step.name, "count": step.count} for step in steps]}


def _configuration() -> Settings | None:
    """What is in force; None where nothing was rolled out yet."""
    in_force = configuration(settings.place, os.environ)
    if in_force is not None:
        os.environ.update(in_force.environment)
    return in_force


def _tell(step: Step) -> None:
    fields = {"step": step.name, "seconds": round(step.seconds, 3), "count": step.count}
    if step.error:
        logger.error("a step failed", extra={"reason": step.error, **fields})
    else:
        logger.info("a step is done", extra=fields)
    told = f"Maintenance_{step.name}"
    metrics.add_metric(f"{told}_failed", MetricUnit.Count, int(bool(step.error)))
    metrics.add_metric(f"{told}_seconds", MetricUnit.Seconds, step.seconds)
    if step.count is not None:
        metrics.add_metric(f"{told}_count", MetricUnit.Count, step.count)
