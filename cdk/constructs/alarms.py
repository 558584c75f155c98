"""Alarms: each says what is wrong, and what to do."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

MINUTE = Duration.minutes(1)
FIVE = Duration.minutes(5)
HOUR = Duration.hours(1)
OVER = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
UNDER = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
QUIET = cloudwatch.TreatMissingData.NOT_BREACHING


class Alarms(Construct):
    """topic: who is told, also when it is over. made: by their ids."""

    def __init__(self, scope: Construct, id: str, topic: sns.ITopic) -> None:
        super().__init__(scope, id)
        self._action = actions.SnsAction(topic)
        self.made: dict[str, cloudwatch.Alarm] = {}

    def watch(
        self,
        id: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        *,
        wrong: str,
        do: str,
        times: int = 1,
        of: int | None = None,
        compare: cloudwatch.ComparisonOperator = OVER,
        missing: cloudwatch.TreatMissingData = QUIET,
    ) -> None:
        """wrong: what it means. do: what whoever is told should do. times, of: how many periods,
        of how many, have to be past the threshold.
        """
        alarm = cloudwatch.Alarm(
            self,
            id,
            metric=metric,
            threshold=threshold,
            comparison_operator=compare,
            evaluation_periods=of or times,
            datapoints_to_alarm=times,
            treat_missing_data=missing,
            alarm_description=f"{wrong} What to do: {do}",
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
        self.made[id] = alarm


def share(part: cloudwatch.IMetric, whole: cloudwatch.IMetric, least: int) -> cloudwatch.IMetric:
    """The percentage of a part, where there are at least so many of the whole; else none."""
    return cloudwatch.MathExpression(
        expression=f"IF(whole >= {least}, 100 * FILL(part, 0) / whole, 0)",
        using_metrics={"part": part, "whole": whole},
        period=FIVE,
        label="percent",
    )
