"""What the gateway's processes share: where each finds it, and what each may do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from ..settings import Settings
from .buckets import Buckets
from .cache import Cache
from .database import Database
from .network import Network
from .secrets import Secrets

POINTER = "active.json"
INCOMING = "incoming/*"


@dataclass(frozen=True, slots=True)
class Stores:
    settings: Settings
    network: Network
    buckets: Buckets
    secrets: Secrets
    database: Database
    cache: Cache | None
    topic: sns.Topic

    def environment(self) -> Mapping[str, str]:
        """Of everything that runs the gateway's code; no value is secret."""
        configuration = self.buckets.configuration.bucket_name
        return {
            "TRUNKLINE_CONFIG": f"s3://{configuration}/{POINTER}",
            "TRUNKLINE_BUNDLES": self.buckets.bundles.bucket_name,
            "TRUNKLINE_CONFIGURATION": configuration,
            "TRUNKLINE_TRAINING": self.buckets.training.bucket_name,
            "TRUNKLINE_ALARM_TOPIC": self.topic.topic_arn,
            "TRUNKLINE_SECRETS": ",".join(secret.secret_arn for secret in self.secrets.read),
            "DATABASE_URL": self.database.url,
            **self._redis(),
            **self._public_key(),
        }

    def _redis(self) -> Mapping[str, str]:
        if self.cache is None:
            return {}
        return {
            "REDIS_HOST": self.cache.host,
            "REDIS_PORT": str(self.cache.port),
            "REDIS_SSL": "true",
        }

    def _public_key(self) -> Mapping[str, str]:
        if not self.settings.public_key:
            return {}
        return {"TRUNKLINE_PUBLIC_KEY": Path(self.settings.public_key).read_text("utf-8")}

    def let_serve(self, role: iam.IRole) -> None:
        """What serving takes: what `let_know` allows, and the models."""
        self.let_know(role)
        role.add_to_principal_policy(self._models())

    def let_know(self, role: iam.IRole) -> None:
        """The configuration, bundles, secrets, the database."""
        for bucket in (self.buckets.configuration, self.buckets.bundles):
            let_read(role, bucket)
        for secret in self.secrets.read:
            secret.grant_read(role)
        self.database.grant(role)

    def _models(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid="AskModels",
            actions=["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
            resources=[_model(self.network, name) for name in self.settings.bedrock_models],
        )


def let_read(role: iam.IRole, bucket: s3.IBucket, *keys: str) -> None:
    """Objects and their versions; that there is none is told, rather than refused."""
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["s3:GetObject", "s3:GetObjectVersion"],
            resources=[bucket.arn_for_objects(key) for key in keys or ("*",)],
        )
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket.bucket_arn])
    )


def let_write(role: iam.IRole, bucket: s3.IBucket, *keys: str) -> None:
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["s3:PutObject", "s3:AbortMultipartUpload"],
            resources=[bucket.arn_for_objects(key) for key in keys],
        )
    )


def _model(scope: Construct, name: str) -> str:
    """The ARN of `foundation-model/…`, which is of no account, or `inference-profile/…`."""
    if name.startswith("arn:"):
        return name
    stack = Stack.of(scope)
    account = "" if name.startswith("foundation-model/") else stack.account
    return f"arn:{stack.partition}:bedrock:{stack.region}:{account}:{name}"
