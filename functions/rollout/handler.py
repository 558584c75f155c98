"""Lambda: an upload to a bucket, or the tick of a schedule.

    EventBridge "Object Created" of aws.s3   the upload is judged, and put into force or on trial
    {"trunkline": "tick"}                    a trial whose time is over, or whose guards don't hold,
                                             ends

Events may come twice, late and in any order: what is judged twice changes nothing, and of two
uploads the later one wins (see `trunkline.rollout.rollout`), so that nothing else has to remember
them. Whatever can't be carried out now raises, so that the event is tried again and in the end lies
where an alarm finds it.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent

from trunkline.configuration import unguarded
from trunkline.live.depot import INCOMING
from trunkline.live.depot_s3 import S3Depot
from trunkline.live.s3 import connect
from trunkline.rollout.in_force import configuration
from trunkline.rollout.judges import BundleJudge, ConfigurationJudge, Judge
from trunkline.rollout.outcomes import Action, Outcome
from trunkline.rollout.rollout import NO_TRIALS, Rollout
from trunkline.rollout.shared import address, announce, tallies_of

from .environment import Environment
from .settings import RolloutSettings

SERVICE = "rollout"
TOLD = frozenset({Action.REFUSED, Action.WITHDRAWN, Action.PROMOTED})
"""What people are told by SNS."""
SUBJECT, MESSAGE = 100, 200_000
"""Characters of a message to SNS, which takes 256 KiB."""

settings = RolloutSettings.read()
environment = Environment()
logger = Logger(service=SERVICE)
metrics = Metrics(namespace="Trunkline", service=SERVICE)
tracer = Tracer(service=SERVICE)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """What became of it. Raises for what is to be tried again."""
    try:
        outcome = _tick() if event.get("trunkline") == "tick" else _uploaded(event)
    except Exception:
        _count("FAILED")
        raise
    if outcome is None:
        _count("IGNORED")
        return {"action": "ignored"}
    _count(outcome.action.name)
    logger.info(
        "rollout",
        place=outcome.place,
        key=outcome.key,
        bundle=outcome.name,
        action=str(outcome.action),
        reason=outcome.reason,
    )
    return {
        "action": str(outcome.action),
        "key": outcome.key,
        "name": outcome.name,
        "reason": outcome.reason,
        "revision": outcome.revision,
    }


def _count(what: str) -> None:
    metrics.add_metric(name=f"Rollout_{what}", unit=MetricUnit.Count, value=1)


def _tick() -> Outcome | None:
    if not settings.bundles:
        return None
    rollout = _rollout(settings.bundles)
    return rollout.tick(tallies_of(address(environment.read()), rollout.depot.name))


def _uploaded(event: dict[str, Any]) -> Outcome | None:
    found = S3EventBridgeNotificationEvent(event)
    bucket, uploaded = found.detail.bucket.name, found.detail.object
    judge = _judge(bucket, uploaded.key)
    if judge is None:
        return None
    return _rollout(bucket).judge(judge, uploaded.key, uploaded.get("version-id") or "")


def _judge(bucket: str, key: str) -> Judge | None:
    """Who judges an upload; None for what isn't rolled out."""
    if not key.startswith(INCOMING):
        return None
    if bucket == settings.bundles and key.endswith(".tar"):
        keys = (settings.public_key,) if settings.public_key else ()
        in_force = None
        if settings.in_force:
            in_force = configuration(settings.in_force, os.environ, assuming=_assuming())
        return BundleJudge(in_force, keys, settings.margins)
    if bucket == settings.configuration and key.endswith((".yaml", ".yml")):
        return ConfigurationJudge(os.environ, unguarded, assuming=_assuming())
    return None


def _assuming() -> bool:
    return not settings.secrets


def _rollout(bucket: str) -> Rollout:
    depot = S3Depot(bucket)
    trials = settings.trials if bucket == settings.bundles else NO_TRIALS
    return Rollout(depot, trials, partial(announce, address(environment.read()), depot.name), _tell)


def _tell(outcome: Outcome) -> None:
    """Tells people by SNS. Raises botocore's errors."""
    if outcome.action not in TOLD or not settings.alarm_topic:
        return
    what = outcome.name or outcome.key
    subject = f"Trunkline: {outcome.action}: {what}".encode("ascii", "replace").decode()
    connect("sns").publish(
        TopicArn=settings.alarm_topic,
        Subject=subject.replace("\n", " ")[:SUBJECT],
        Message=f"{outcome}\n\n{outcome.place}"[:MESSAGE],
    )
