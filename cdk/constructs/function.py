"""A function of the gateway: its code, layers, role, log, and where its failures lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Acknowledgment, Duration, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from .. import assets
from .logs import log_group
from .stores import Stores

ALIAS = "live"
RETRIES = 2
KEPT = Duration.days(14)
NETWORK_INTERFACES = (
    "ec2:CreateNetworkInterface ec2:DescribeNetworkInterfaces ec2:DeleteNetworkInterface "
    "ec2:DescribeSubnets ec2:AssignPrivateIpAddresses ec2:UnassignPrivateIpAddresses"
).split()
TRACES = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")


class Function(Construct):
    """`functions/<name>`, with the environment of all.

    live: what is called, the published version. failures: where events lie
        that weren't carried out, for functions that are called asynchronously.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        stores: Stores,
        name: str,
        *,
        layers: Sequence[lambda_.ILayerVersion],
        memory: int,
        timeout: Duration,
        environment: Mapping[str, str] | None = None,
        asynchronous: bool = False,
        at_once: int | None = None,
        frozen: bool = False,
    ) -> None:
        """memory: MiB. at_once: how many may run at the same time, reserved for it.

        frozen: whether it is frozen after its start, to be restored from there (SnapStart). Each
        GiB costs about four dollars a month, so it is for what people wait for.
        """
        super().__init__(scope, id)
        settings = stores.settings
        self.log = log_group(self, "Log", settings)
        self.role = self._role()
        self.failures = self._queue() if asynchronous else None
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"Trunkline: functions/{name}",
            runtime=assets.RUNTIME,
            architecture=assets.architecture(settings),
            code=assets.code(name, settings),
            handler=f"functions.{name}.handler.handler",
            layers=list(layers),
            memory_size=memory,
            timeout=timeout,
            role=self.role,
            log_group=self.log,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE,
            vpc=stores.network.vpc,
            vpc_subnets=stores.network.private,
            security_groups=[stores.network.clients],
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if frozen else None,
            reserved_concurrent_executions=at_once,
            environment={
                "POWERTOOLS_SERVICE_NAME": name,
                "POWERTOOLS_METRICS_NAMESPACE": "Trunkline",
                **stores.environment(),
                **(environment or {}),
            },
        )
        Validations.of(self.function).acknowledge(
            Acknowledgment(
                id="Annotation::@aws-cdk/aws-lambda:snapStartRequirePublish",
                reason="Only the alias of a published version is called.",
            )
        )
        self.live = lambda_.Alias(
            self,
            "Live",
            alias_name=ALIAS,
            version=self.function.current_version,
            retry_attempts=RETRIES if asynchronous else None,
            on_failure=destinations.SqsDestination(self.failures) if self.failures else None,
        )

    def _role(self) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log.grant_write(role)
        # What puts a function into a network can't be narrowed down: see AWS's own policy
        # AWSLambdaVPCAccessExecutionRole.
        for actions in (NETWORK_INTERFACES, TRACES):
            role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=["*"]))
        return role

    def _queue(self) -> sqs.Queue:
        return dead_letters(self, "Failures")


def dead_letters(scope: Construct, id: str) -> sqs.Queue:
    """Where events lie that couldn't be carried out, for an alarm to find them."""
    return sqs.Queue(
        scope,
        id,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=KEPT,
    )
