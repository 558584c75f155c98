"""The network: subnets over the zones, ways out of them, and the groups that may talk."""

from __future__ import annotations

from aws_cdk import Fn
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from ..settings import Settings
from .logs import log_group

_INTERFACES = {
    "Ecr": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrImages": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "Secrets": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "Bedrock": ec2.InterfaceVpcEndpointAwsService.BEDROCK_RUNTIME,
    "SageMaker": ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_API,
    "Topics": ec2.InterfaceVpcEndpointAwsService.SNS,
    "Traces": ec2.InterfaceVpcEndpointAwsService.XRAY,
    "Tokens": ec2.InterfaceVpcEndpointAwsService.STS,
}


class Network(Construct):
    """vpc: private subnets in each zone, and public ones where there is NAT. clients: the group of
    all that may reach the stores.
    """

    def __init__(self, scope: Construct, id: str, settings: Settings) -> None:
        super().__init__(scope, id)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr("10.40.0.0/16"),
            # Said by number, so that nothing of an account is looked up and written down.
            availability_zones=[Fn.select(n, Fn.get_azs()) for n in range(settings.zones)],
            subnet_configuration=_subnets(settings),
            nat_gateways=_gateways(settings),
            nat_gateway_provider=_provider(settings),
            restrict_default_security_group=True,
        )
        self.private = ec2.SubnetSelection(subnets=self._private(settings))
        self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        self.clients = ec2.SecurityGroup(
            self,
            "Clients",
            vpc=self.vpc,
            description="What may reach the database and the cache: tasks and functions",
        )
        if settings.endpoints:
            self._endpoints()
        if settings.prod:
            self._flow_logs(settings)

    def _private(self, settings: Settings) -> list[ec2.ISubnet]:
        if settings.nat == "none":
            return list(self.vpc.isolated_subnets)
        return list(self.vpc.private_subnets)

    def _endpoints(self) -> None:
        group = ec2.SecurityGroup(
            self,
            "Endpoints",
            vpc=self.vpc,
            description="Private addresses of services of AWS",
            allow_all_outbound=False,
        )
        group.add_ingress_rule(
            ec2.Peer.ipv4(self.vpc.vpc_cidr_block), ec2.Port.tcp(443), "All of the network"
        )
        for name, service in _INTERFACES.items():
            self.vpc.add_interface_endpoint(
                name,
                service=service,
                subnets=self.private,
                security_groups=[group],
                open=False,
            )

    def _flow_logs(self, settings: Settings) -> None:
        group = log_group(self, "FlowLogs", settings)
        self.vpc.add_flow_log(
            "Flows",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(group),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )


def _subnets(settings: Settings) -> list[ec2.SubnetConfiguration]:
    if settings.nat == "none":
        isolated = ec2.SubnetType.PRIVATE_ISOLATED
        return [ec2.SubnetConfiguration(name="Private", subnet_type=isolated, cidr_mask=20)]
    return [
        ec2.SubnetConfiguration(
            name="Public",
            subnet_type=ec2.SubnetType.PUBLIC,
            cidr_mask=24,
            map_public_ip_on_launch=False,
        ),
        ec2.SubnetConfiguration(
            name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20
        ),
    ]


def _gateways(settings: Settings) -> int:
    if settings.nat == "none":
        return 0
    return settings.zones if settings.prod and settings.nat == "gateway" else 1


def _provider(settings: Settings) -> ec2.NatProvider | None:
    if settings.nat != "instance":
        return None
    return ec2.NatProvider.instance_v2(
        instance_type=ec2.InstanceType("t4g.nano"),
        machine_image=ec2.MachineImage.latest_amazon_linux2023(
            cpu_type=ec2.AmazonLinuxCpuType.ARM_64
        ),
        default_allowed_traffic=ec2.NatTrafficDirection.OUTBOUND_ONLY,
    )
