"""The load balancer between API Gateway and the tasks; nobody else reaches it."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from ..settings import Settings
from .network import Network

TASK_PORT = 4000
READINESS = "/health/readiness"


class Balancer(Construct):
    """internal: an application load balancer. group: of the tasks behind it, as targets.
    links: the security group from which API Gateway's VPC link comes. url: its own address.
    """

    def __init__(self, scope: Construct, id: str, settings: Settings, network: Network) -> None:
        super().__init__(scope, id)
        port = 443 if settings.internal_certificate else 80
        self.links = ec2.SecurityGroup(
            self,
            "Links",
            vpc=network.vpc,
            description="The way in of API Gateway",
            allow_all_outbound=False,
        )
        own = ec2.SecurityGroup(
            self,
            "Group",
            vpc=network.vpc,
            description="The load balancer",
            allow_all_outbound=False,
        )
        self.links.add_egress_rule(own, ec2.Port.tcp(port), "The load balancer")
        own.add_ingress_rule(self.links, ec2.Port.tcp(port), "API Gateway")
        self.group = own
        self.internal = elb.ApplicationLoadBalancer(
            self,
            "Internal",
            vpc=network.vpc,
            vpc_subnets=network.private,
            internet_facing=False,
            security_group=own,
            idle_timeout=Duration.seconds(settings.idle_seconds),
            drop_invalid_header_fields=True,
            desync_mitigation_mode=elb.DesyncMitigationMode.DEFENSIVE,
        )
        self.targets = self._targets(settings, network)
        self._listener(settings, port)
        host = settings.domain if settings.internal_certificate else self._name()
        scheme = "https" if settings.internal_certificate else "http"
        self.url = f"{scheme}://{host}"

    def _name(self) -> str:
        return self.internal.load_balancer_dns_name

    def _targets(self, settings: Settings, network: Network) -> elb.ApplicationTargetGroup:
        return elb.ApplicationTargetGroup(
            self,
            "Tasks",
            vpc=network.vpc,
            port=TASK_PORT,
            protocol=elb.ApplicationProtocol.HTTP,
            target_type=elb.TargetType.IP,
            # Calls differ a thousandfold in length, so the task with the fewest gets the next.
            load_balancing_algorithm_type=(
                elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS
            ),
            # A task is told to stop only after this, and has `drain_seconds` more: see Service.
            deregistration_delay=Duration.seconds(settings.drain_seconds),
            health_check=elb.HealthCheck(
                path=READINESS,
                healthy_http_codes="200",
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )

    def _listener(self, settings: Settings, port: int) -> None:
        secure = bool(settings.internal_certificate)
        self.internal.add_listener(
            "Calls",
            port=port,
            protocol=elb.ApplicationProtocol.HTTPS if secure else elb.ApplicationProtocol.HTTP,
            certificates=(
                [
                    elb.ListenerCertificate.from_certificate_manager(
                        acm.Certificate.from_certificate_arn(
                            self, "Certificate", settings.internal_certificate
                        )
                    )
                ]
                if secure
                else None
            ),
            ssl_policy=elb.SslPolicy.TLS13_RES if secure else None,
            default_target_groups=[self.targets],
            open=False,
        )
