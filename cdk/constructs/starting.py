"""The first configuration, so that a new deployment has something to serve."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .. import assets
from ..settings import SettingsError
from .logs import log_group
from .rollout import Rollout
from .stores import POINTER, Stores, let_read, let_write

SEED = Path(__file__).parents[1] / "seed"
LARGEST = 200_000
"""Bytes: a template holds at most a megabyte."""


class Starting(Construct):
    """Uploads the configuration where none is in force, and is done when rollout has accepted it.

    It isn't in the network, so that it needs no way out of it to answer CloudFormation.
    """

    def __init__(self, scope: Construct, id: str, stores: Stores, rollout: Rollout) -> None:
        super().__init__(scope, id)
        bucket = stores.buckets.configuration
        self.log = log_group(self, "Log", stores.settings)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log.grant_write(role)
        let_read(role, bucket, POINTER)
        let_write(role, bucket, "incoming/starting.yaml")
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
                resources=[bucket.arn_for_objects("incoming/starting.yaml")],
            )
        )
        function = lambda_.Function(
            self,
            "Seed",
            description="Trunkline: puts the first configuration into force",
            runtime=assets.RUNTIME,
            architecture=assets.architecture(stores.settings),
            code=lambda_.Code.from_asset(str(SEED)),
            handler="index.handler",
            role=role,
            log_group=self.log,
            memory_size=256,
            timeout=Duration.minutes(5),
        )
        resource = CustomResource(
            self,
            "Configuration",
            resource_type="Custom::StartingConfiguration",
            service_token=function.function_arn,
            properties={
                "Bucket": bucket.bucket_name,
                "Configuration": _configuration(stores.settings.configuration),
            },
        )
        resource.node.add_dependency(role, rollout)


def _configuration(name: str) -> str:
    path = assets.ROOT / name
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise SettingsError(f"configuration: {name}: {error.strerror}") from None
    if len(text) > LARGEST:
        raise SettingsError(f"configuration: {name} is too large to start with; upload it later")
    return text
