"""The dashboard and the alarms: they read what the other stacks count."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from ..constructs import watched
from ..constructs.alarms import FIVE, Alarms
from ..constructs.stores import Stores
from ..settings import Settings
from .base import TrunklineStack
from .gateway import GatewayStack
from .operations import OperationsStack

WIDTH, HEIGHT = 8, 6


class ObservabilityStack(TrunklineStack):
    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        stores: Stores,
        operations: OperationsStack,
        gateway: GatewayStack,
    ) -> None:
        super().__init__(scope, "Observability", settings, "Trunkline: dashboard and alarms")
        self.alarms = Alarms(self, "Alarms", stores.topic)
        self._watch(settings, stores, operations, gateway)
        self._show(stores, gateway)

    def _watch(
        self,
        settings: Settings,
        stores: Stores,
        operations: OperationsStack,
        gateway: GatewayStack,
    ) -> None:
        alarms = self.alarms
        watched.api(alarms, gateway.api)
        watched.function(alarms, gateway.function)
        if gateway.balancer is not None:
            watched.balancer(alarms, gateway.balancer, settings)
            watched.reloads(alarms)
        watched.spend(alarms, settings)
        watched.database(alarms, stores)
        watched.cache(alarms, stores)
        rollout, maintenance = operations.rollout, operations.maintenance.function
        watched.rollout(alarms, rollout.function)
        watched.maintenance(alarms, maintenance)
        if operations.training is not None:
            watched.training(alarms, operations.training)
        watched.queue(alarms, "UploadsUndelivered", rollout.undelivered, "Events of uploads")
        for id, function, what in (
            ("RolloutLeft", rollout.function, "Uploads"),
            ("MaintenanceLeft", maintenance, "Runs of maintenance"),
        ):
            assert function.failures is not None
            watched.queue(alarms, id, function.failures, what)

    def _show(self, stores: Stores, gateway: GatewayStack) -> None:
        board = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=stores.settings.name,
        )
        board.add_widgets(
            cloudwatch.AlarmStatusWidget(
                title="Alarms",
                alarms=list(self.alarms.made.values()),
                width=3 * WIDTH,
                height=4,
            )
        )
        board.add_widgets(*self._calls(gateway))
        board.add_widgets(*self._shells(gateway))
        board.add_widgets(*self._stores(stores))

    def _calls(self, gateway: GatewayStack) -> Sequence[cloudwatch.IWidget]:
        rest = gateway.api.rest
        return (
            _graph("Calls", rest.metric_count(period=FIVE)),
            _graph(
                "Refused and failed",
                rest.metric_client_error(period=FIVE),
                rest.metric_server_error(period=FIVE),
            ),
            _graph(
                "Milliseconds of a call",
                *(
                    rest.metric_latency(period=FIVE, statistic=each, label=each)
                    for each in ("p50", "p95", "p99")
                ),
            ),
            _graph("Dollars", watched.counted("litellm_spend_metric_total")),
            _graph("Tokens", watched.counted("litellm_total_tokens_metric_total")),
            _graph(
                "What providers failed at, and attempts made anew",
                watched.counted("litellm_deployment_failure_responses_total"),
                watched.counted("trunkline_retries_total"),
            ),
        )

    def _shells(self, gateway: GatewayStack) -> Sequence[cloudwatch.IWidget]:
        function = gateway.function.function
        graphs = [
            _graph(
                "Lambda: calls, errors, refused",
                function.metric_invocations(period=FIVE),
                function.metric_errors(period=FIVE),
                function.metric_throttles(period=FIVE),
            )
        ]
        if gateway.balancer is not None and gateway.service is not None:
            metrics = gateway.balancer.targets.metrics
            graphs += [
                _graph(
                    "Fargate: seconds to the first byte",
                    *(
                        metrics.target_response_time(period=FIVE, statistic=each, label=each)
                        for each in ("p50", "p95")
                    ),
                ),
                _graph(
                    "Fargate: tasks and their CPU",
                    metrics.healthy_host_count(period=FIVE),
                    gateway.service.fargate.metric_cpu_utilization(period=FIVE),
                    gateway.service.fargate.metric_memory_utilization(period=FIVE),
                ),
            ]
        return graphs

    def _stores(self, stores: Stores) -> Sequence[cloudwatch.IWidget]:
        cluster = stores.database.cluster
        graphs = [
            _graph(
                "Database: capacity units, connections",
                cluster.metric_serverless_database_capacity(period=FIVE),
                cluster.metric_database_connections(period=FIVE),
            ),
            _graph(
                "Reloads, and what they came to",
                *(
                    watched.counted("trunkline_reloads_total", outcome=each)
                    for each in ("reloaded", "refused", "unreachable")
                ),
            ),
        ]
        if stores.cache is not None:
            node = f"{stores.cache.nodes.ref}-001"
            graphs.append(
                _graph(
                    "Cache: memory and engine, percent",
                    watched.of_cache("DatabaseMemoryUsagePercentage", node),
                    watched.of_cache("EngineCPUUtilization", node),
                )
            )
        return graphs


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=WIDTH, height=HEIGHT)
