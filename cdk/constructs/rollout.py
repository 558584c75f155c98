"""Rollout: an upload is judged, and put into force or on trial; a clock watches the trials."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from .function import Function, dead_letters
from .stores import INCOMING, POINTER, Stores, let_write

TICK = Duration.minutes(1)
OLDEST = Duration.hours(6)
"""How long an upload's event is tried again."""
TICK_EVENT = {"trunkline": "tick"}

_TAGS = (
    "s3:GetObjectTagging s3:GetObjectVersionTagging s3:PutObjectTagging s3:PutObjectVersionTagging"
).split()


class Rollout(Construct):
    """One upload after the other (see `at_once`), so that the later one wins."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        stores: Stores,
        layers: Sequence[lambda_.ILayerVersion],
    ) -> None:
        super().__init__(scope, id)
        settings = stores.settings
        self.function = Function(
            self,
            "Judge",
            stores,
            "rollout",
            layers=layers,
            memory=1769,  # one whole processor: comparing bundles is arithmetic
            timeout=Duration.minutes(5),
            asynchronous=True,
            at_once=1 if settings.prod else None,
            environment={
                "TRUNKLINE_CANARY_SHARE": str(settings.canary_share),
                "TRUNKLINE_CANARY_MINUTES": str(settings.canary_minutes),
            },
        )
        role = self.function.role
        stores.let_know(role)
        for bucket in (stores.buckets.configuration, stores.buckets.bundles):
            let_write(role, bucket, POINTER)
            role.add_to_principal_policy(
                iam.PolicyStatement(actions=_TAGS, resources=[bucket.arn_for_objects(INCOMING)])
            )
        stores.topic.grant_publish(role)
        self.undelivered = dead_letters(self, "Undelivered")
        self.uploads = self._uploads(
            (stores.buckets.configuration, stores.buckets.bundles), self.undelivered
        )
        self._tick()

    def _uploads(self, buckets: Sequence[s3.IBucket], undelivered: sqs.Queue) -> events.Rule:
        return events.Rule(
            self,
            "Uploads",
            description="What is uploaded below incoming/ is judged",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [bucket.bucket_name for bucket in buckets]},
                    "object": {"key": [{"prefix": "incoming/"}]},
                },
            ),
            targets=[
                targets.LambdaFunction(
                    self.function.live,
                    dead_letter_queue=undelivered,
                    max_event_age=OLDEST,
                    retry_attempts=20,
                )
            ],
        )

    def _tick(self) -> None:
        events.Rule(
            self,
            "Tick",
            description="Trials end when their time is over, or when a guard doesn't hold",
            schedule=events.Schedule.rate(TICK),
            targets=[
                targets.LambdaFunction(
                    self.function.live,
                    event=events.RuleTargetInput.from_object(TICK_EVENT),
                    retry_attempts=0,
                    max_event_age=TICK,
                )
            ],
        )
