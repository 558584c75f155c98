"""The cache: Valkey, with TLS and a password, over two zones in prod."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from ..settings import Settings
from .logs import log_group
from .network import Network

PORT = 6379
ENGINE, VERSION, FAMILY = "valkey", "8.1", "valkey8"


class Cache(Construct):
    """Limits, budgets, cached answers, and the rows of calls until the database has them.

    host, port: of the node that takes writes; after a failover, of the other one.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        settings: Settings,
        network: Network,
        password: secretsmanager.ISecret,
    ) -> None:
        super().__init__(scope, id)
        self.group = ec2.SecurityGroup(
            self,
            "Group",
            vpc=network.vpc,
            description="The cache",
            allow_all_outbound=False,
        )
        self.group.add_ingress_rule(network.clients, ec2.Port.tcp(PORT), "Tasks and functions")
        subnets = elasticache.CfnSubnetGroup(
            self,
            "Subnets",
            description="Private subnets",
            subnet_ids=[subnet.subnet_id for subnet in network.private.subnets or []],
        )
        parameters = elasticache.CfnParameterGroup(
            self,
            "Parameters",
            cache_parameter_group_family=FAMILY,
            description="Counters and rows are never evicted; cached answers expire by themselves",
            properties={"maxmemory-policy": "noeviction"},
        )
        slow = log_group(self, "SlowLog", settings)
        self.nodes = elasticache.CfnReplicationGroup(
            self,
            "Nodes",
            replication_group_description="State that the gateway's processes share",
            engine=ENGINE,
            engine_version=VERSION,
            cache_node_type=settings.cache_node,
            num_cache_clusters=2 if settings.prod else 1,
            automatic_failover_enabled=settings.prod,
            multi_az_enabled=settings.prod,
            cache_subnet_group_name=subnets.ref,
            cache_parameter_group_name=parameters.ref,
            security_group_ids=[self.group.security_group_id],
            port=PORT,
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            auth_token=password.secret_value_from_json("REDIS_PASSWORD").unsafe_unwrap(),
            auto_minor_version_upgrade=True,
            snapshot_retention_limit=settings.backup_days if settings.prod else 0,
            log_delivery_configurations=[
                elasticache.CfnReplicationGroup.LogDeliveryConfigurationRequestProperty(
                    destination_type="cloudwatch-logs",
                    destination_details=elasticache.CfnReplicationGroup.DestinationDetailsProperty(
                        cloud_watch_logs_details=(
                            elasticache.CfnReplicationGroup.CloudWatchLogsDestinationDetailsProperty(
                                log_group=slow.log_group_name
                            )
                        )
                    ),
                    log_format="json",
                    log_type="slow-log",
                )
            ],
        )
        self.host = self.nodes.attr_primary_end_point_address
        self.port = PORT
