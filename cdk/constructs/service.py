"""The service on Fargate: tasks of the gateway, each with a collector of traces and metrics."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Duration, Stack, Validations
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from .. import assets
from ..settings import Settings
from .balancer import TASK_PORT, Balancer
from .function import TRACES
from .logs import log_group
from .stores import Stores

USER = "1000"
DATA = "/var/lib/trunkline"
"""The image's data directory: a journal where there is no cache, what was served last."""
WRITABLE = {"temporary": "/tmp", "data": DATA}  # noqa: S108 - a path within the container
START = Duration.seconds(120)
STOP_MARGIN = 10
"""Seconds that a task has to end in, after those in which calls finish."""
CPU_PERCENT = 60
COLLECTOR = assets.ROOT / "ecs" / "collector.yaml"


class Service(Construct):
    """fargate: the service. role: of its tasks."""

    def __init__(self, scope: Construct, id: str, stores: Stores, balancer: Balancer) -> None:
        super().__init__(scope, id)
        settings = stores.settings
        self.log = log_group(self, "Log", settings)
        self.metrics_log = log_group(self, "Metrics", settings)
        self.cluster = ecs.Cluster(
            self,
            "Cluster",
            vpc=stores.network.vpc,
            container_insights_v2=(
                ecs.ContainerInsights.ENABLED if settings.prod else ecs.ContainerInsights.DISABLED
            ),
        )
        self.task = self._task(settings)
        self.role = self.task.task_role
        stores.let_serve(self.role)
        self._let_collect()
        self._serving(stores)
        self._collector(stores)
        group = self._group(stores, balancer)
        Validations.of(self.task).acknowledge(
            Acknowledgment(
                id="CloudFormation-Validate::E1029",
                reason="The collector puts its environment in place of ${env:…}.",
            )
        )
        self.fargate = self._service(stores, group)
        self.fargate.attach_to_application_target_group(balancer.targets)
        self._scale(settings, balancer)

    def _task(self, settings: Settings) -> ecs.FargateTaskDefinition:
        return ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=settings.cpu,
            memory_limit_mib=settings.memory,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=assets.cpu_architecture(settings),
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
            volumes=[ecs.Volume(name=name) for name in WRITABLE],
        )

    def _let_collect(self) -> None:
        assert isinstance(self.role, iam.Role)
        sampling = ("xray:GetSamplingRules", "xray:GetSamplingTargets")
        self.role.add_to_policy(iam.PolicyStatement(actions=[*TRACES, *sampling], resources=["*"]))
        self.metrics_log.grant_write(self.role)

    def _serving(self, stores: Stores) -> None:
        settings = stores.settings
        container = self.task.add_container(
            "gateway",
            image=assets.gateway_image(self, settings),
            user=USER,
            readonly_root_filesystem=True,
            linux_parameters=_without_capabilities(self, "Capabilities"),
            environment={
                **stores.environment(),
                "PORT": str(TASK_PORT),
                "TRUNKLINE_DATA_DIRECTORY": DATA,
                "TRUNKLINE_WORKERS": str(max(1, settings.cpu // 1024)),
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
                "OTEL_SERVICE_NAME": Stack.of(self).stack_name,
                # As API Gateway decided; where it decided nothing, a share.
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": str(settings.traces_share),
            },
            health_check=ecs.HealthCheck(
                command=["CMD", "trunkline-health"],
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                retries=3,
                start_period=START,
            ),
            stop_timeout=Duration.seconds(settings.drain_seconds + STOP_MARGIN),
            logging=ecs.LogDriver.aws_logs(
                stream_prefix="gateway",
                log_group=self.log,
                # The gateway goes on when logs can't be taken, and leaves some out.
                mode=ecs.AwsLogDriverMode.NON_BLOCKING,
            ),
            port_mappings=[ecs.PortMapping(container_port=TASK_PORT)],
            essential=True,
        )
        container.add_mount_points(
            *(
                ecs.MountPoint(source_volume=name, container_path=path, read_only=False)
                for name, path in WRITABLE.items()
            )
        )

    def _collector(self, stores: Stores) -> None:
        master = stores.secrets.master
        self.task.add_container(
            "collector",
            image=ecs.ContainerImage.from_registry(stores.settings.collector_image),
            readonly_root_filesystem=True,
            linux_parameters=_without_capabilities(self, "CollectorCapabilities"),
            environment={
                "AOT_CONFIG_CONTENT": COLLECTOR.read_text("utf-8"),
                "METRICS_LOG_GROUP": self.metrics_log.log_group_name,
            },
            secrets={"METRICS_KEY": ecs.Secret.from_secrets_manager(master, "LITELLM_MASTER_KEY")},
            health_check=ecs.HealthCheck(command=["CMD", "/healthcheck"], retries=3),
            memory_reservation_mib=128,
            logging=ecs.LogDriver.aws_logs(stream_prefix="collector", log_group=self.log),
            # Without it the gateway serves on, unseen.
            essential=False,
        )

    def _group(self, stores: Stores, balancer: Balancer) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self,
            "Tasks",
            vpc=stores.network.vpc,
            description="The tasks of the gateway",
        )
        group.add_ingress_rule(balancer.group, ec2.Port.tcp(TASK_PORT), "The load balancer")
        balancer.group.add_egress_rule(group, ec2.Port.tcp(TASK_PORT), "The tasks")
        return group

    def _service(self, stores: Stores, group: ec2.SecurityGroup) -> ecs.FargateService:
        settings = stores.settings
        # Not to be changed from here: the balancer's rules are for the tasks' own group.
        clients = ec2.SecurityGroup.from_security_group_id(
            self, "Clients", stores.network.clients.security_group_id, mutable=False
        )
        return ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=self.task,
            desired_count=settings.tasks_least,
            min_healthy_percent=100,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.ENABLED,
            assign_public_ip=False,
            vpc_subnets=stores.network.private,
            security_groups=[group, clients],
            health_check_grace_period=START,
            enable_execute_command=False,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )

    def _scale(self, settings: Settings, balancer: Balancer) -> None:
        tasks = self.fargate.auto_scale_task_count(
            min_capacity=settings.tasks_least, max_capacity=settings.tasks_most
        )
        quick, slow = Duration.seconds(30), Duration.minutes(5)
        tasks.scale_on_cpu_utilization(
            "Cpu",
            target_utilization_percent=CPU_PERCENT,
            scale_out_cooldown=quick,
            scale_in_cooldown=slow,
        )
        target = tasks.node.find_child("Target")
        assert isinstance(target, scaling.ScalableTarget)
        _by_calls_in_flight(
            self, target, _per_task(balancer), settings.calls_in_flight, quick, slow
        )


def _without_capabilities(scope: Construct, id: str) -> ecs.LinuxParameters:
    parameters = ecs.LinuxParameters(scope, id)
    parameters.drop_capabilities(ecs.Capability.ALL)
    return parameters


Query = scaling.CfnScalingPolicy.TargetTrackingMetricDataQueryProperty


def _per_task(balancer: Balancer) -> list[Query]:
    """Calls in flight of each task, by CloudWatch's arithmetic.

    A call, streamed or not, holds two connections of the load balancer as long as it lasts: to the
    client, here API Gateway, and to the task. Counts of requests don't say how long these last.
    """
    return [
        _measured(balancer.internal.metrics.active_connection_count(), "connections", "Sum"),
        _measured(balancer.targets.metrics.healthy_host_count(), "tasks", "Maximum"),
        Query(
            id="calls",
            expression="connections / 2 / MAX([tasks, 1])",
            label="Calls in flight per task",
            return_data=True,
        ),
    ]


def _measured(metric: cloudwatch.Metric, id: str, statistic: str) -> Query:
    policy = scaling.CfnScalingPolicy
    dimensions = metric.dimensions or {}
    return Query(
        id=id,
        metric_stat=policy.TargetTrackingMetricStatProperty(
            metric=policy.TargetTrackingMetricProperty(
                namespace=metric.namespace,
                metric_name=metric.metric_name,
                dimensions=[
                    policy.TargetTrackingMetricDimensionProperty(name=name, value=value)
                    for name, value in dimensions.items()
                ],
            ),
            stat=statistic,
        ),
        return_data=False,
    )


def _by_calls_in_flight(
    scope: Construct,
    target: scaling.ScalableTarget,
    queries: list[Query],
    calls: int,
    quick: Duration,
    slow: Duration,
) -> None:
    policy = scaling.CfnScalingPolicy
    policy(
        scope,
        "CallsInFlight",
        policy_name="calls-in-flight",
        policy_type="TargetTrackingScaling",
        scaling_target_id=target.scalable_target_id,
        target_tracking_scaling_policy_configuration=(
            policy.TargetTrackingScalingPolicyConfigurationProperty(
                target_value=calls,
                scale_out_cooldown=quick.to_seconds(),
                scale_in_cooldown=slow.to_seconds(),
                customized_metric_specification=policy.CustomizedMetricSpecificationProperty(
                    metrics=queries
                ),
            )
        ),
    )
