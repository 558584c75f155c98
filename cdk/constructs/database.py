"""The database: Aurora PostgreSQL Serverless v2, and RDS Proxy in front of it in prod.

Nobody holds its password but the proxy: tasks and functions sign in with a token of IAM that is
valid for fifteen minutes. Without a proxy they read the password, which changes each month, from
Secrets Manager when they connect.
"""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from ..settings import Settings
from .network import Network

PORT = 5432
USER = NAME = "trunkline"
PAUSE = Duration.minutes(10)
ROTATION = Duration.days(30)


class Database(Construct):
    """cluster, proxy: None without one. secret: the user's name and password."""

    def __init__(self, scope: Construct, id: str, settings: Settings, network: Network) -> None:
        super().__init__(scope, id)
        group = ec2.SecurityGroup(
            self,
            "Group",
            vpc=network.vpc,
            description="The database",
            allow_all_outbound=False,
        )
        self.cluster = self._cluster(settings, network, group)
        assert self.cluster.secret is not None
        self.secret = self.cluster.secret
        if settings.keep:
            made = self.cluster.node.find_child("Secret")
            assert isinstance(made, secretsmanager.Secret)
            made.apply_removal_policy(RemovalPolicy.RETAIN)
        self._rotate(network)
        self.proxy = self._proxy(network, group) if settings.proxy else None
        if self.proxy is None:
            group.add_ingress_rule(network.clients, ec2.Port.tcp(PORT), "Tasks and functions")

    @property
    def url(self) -> str:
        """Where it is, and how the password is found; it holds none."""
        if self.proxy is not None:
            host, password = self.proxy.endpoint, "iam"
        else:
            host, password = self.cluster.cluster_endpoint.hostname, self.secret.secret_arn
        return f"postgresql://{USER}@{host}:{PORT}/{NAME}?sslmode=require&aws_password={password}"

    def grant(self, grantee: iam.IGrantable) -> None:
        """Lets it sign in."""
        if self.proxy is not None:
            self.proxy.grant_connect(grantee, USER)
        else:
            self.secret.grant_read(grantee)

    def _cluster(
        self, settings: Settings, network: Network, group: ec2.SecurityGroup
    ) -> rds.DatabaseCluster:
        readers = []
        if settings.prod:
            readers = [rds.ClusterInstance.serverless_v2("Reader", scale_with_writer=True)]
        return rds.DatabaseCluster(
            self,
            "Cluster",
            engine=rds.DatabaseClusterEngine.aurora_postgres(
                version=rds.AuroraPostgresEngineVersion.VER_17_5
            ),
            credentials=rds.Credentials.from_generated_secret(USER),
            default_database_name=NAME,
            writer=rds.ClusterInstance.serverless_v2(
                "Writer",
                enable_performance_insights=settings.prod or None,
            ),
            readers=readers,
            serverless_v2_min_capacity=settings.database_least,
            serverless_v2_max_capacity=settings.database_most,
            serverless_v2_auto_pause_duration=PAUSE if settings.database_least == 0 else None,
            vpc=network.vpc,
            vpc_subnets=network.private,
            security_groups=[group],
            iam_authentication=True,
            storage_encrypted=True,
            backup=rds.BackupProps(retention=Duration.days(settings.backup_days)),
            copy_tags_to_snapshot=True,
            deletion_protection=settings.keep,
            removal_policy=RemovalPolicy.SNAPSHOT if settings.keep else RemovalPolicy.DESTROY,
            cloudwatch_logs_exports=["postgresql"],
        )

    def _rotate(self, network: Network) -> None:
        self.cluster.add_rotation_single_user(
            automatically_after=ROTATION,
            exclude_characters=" %+~`#$&*()|[]{}:;<>?!'/@\"\\",
            vpc_subnets=network.private,
        )

    def _proxy(self, network: Network, database: ec2.SecurityGroup) -> rds.DatabaseProxy:
        group = ec2.SecurityGroup(
            self,
            "ProxyGroup",
            vpc=network.vpc,
            description="The proxy in front of the database",
            allow_all_outbound=False,
        )
        group.add_ingress_rule(network.clients, ec2.Port.tcp(PORT), "Tasks and functions")
        group.add_egress_rule(database, ec2.Port.tcp(PORT), "The database")
        database.add_ingress_rule(group, ec2.Port.tcp(PORT), "The proxy")
        return self.cluster.add_proxy(
            "Proxy",
            secrets=[self.secret],
            iam_auth=True,
            require_tls=True,
            borrow_timeout=Duration.seconds(10),
            idle_client_timeout=Duration.minutes(30),
            max_connections_percent=90,
            vpc=network.vpc,
            vpc_subnets=network.private,
            security_groups=[group],
        )
