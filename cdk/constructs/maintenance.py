"""Maintenance: budgets that begin anew, partitions, keys that expire, rows that wait to be kept."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .function import Function
from .stores import Stores

EVERY = {"dev": Duration.hours(1), "prod": Duration.minutes(10)}
"""In dev, rarely enough that the database can pause in between."""


class Maintenance(Construct):
    def __init__(
        self,
        scope: Construct,
        id: str,
        stores: Stores,
        layers: Sequence[lambda_.ILayerVersion],
    ) -> None:
        super().__init__(scope, id)
        self.function = Function(
            self,
            "Upkeep",
            stores,
            "maintenance",
            layers=layers,
            memory=512,
            timeout=Duration.minutes(5),
            asynchronous=True,
            at_once=1 if stores.settings.prod else None,
        )
        stores.let_know(self.function.role)
        self.schedule = events.Rule(
            self,
            "Schedule",
            description="The upkeep of the database and the ledger",
            schedule=events.Schedule.rate(EVERY[stores.settings.profile]),
            targets=[targets.LambdaFunction(self.function.live, retry_attempts=1)],
        )
