"""The buckets: configurations, bundles, training data; and what tells of uploads to them."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ..settings import Settings

_OLD_VERSIONS = 10
"""Of each object, that are kept however old they are: what can be rolled back to."""


class Buckets(Construct):
    """configuration, bundles: uploads below `incoming/`, and the pointer `active.json`.
    training: records, the jobs' inputs and outputs, checkpoints. access_logs: of the others.
    """

    def __init__(self, scope: Construct, id: str, settings: Settings) -> None:
        super().__init__(scope, id)
        self._settings = settings
        self.access_logs = self._bucket("AccessLogs", expire=settings.log_days)
        self.configuration = self._watched("Configuration")
        self.bundles = self._watched("Bundles")
        self.training = self._watched("Training", expire=90)

    @property
    def all(self) -> tuple[s3.Bucket, ...]:
        return self.configuration, self.bundles, self.training, self.access_logs

    def _watched(self, id: str, expire: int | None = None) -> s3.Bucket:
        bucket = self._bucket(id, expire=expire, logged=True)
        # Told to CloudFormation itself: CDK's own way is a function, whose log outlives it.
        own = bucket.node.default_child
        assert isinstance(own, s3.CfnBucket)
        own.add_property_override(
            "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True
        )
        return bucket

    def _bucket(self, id: str, *, expire: int | None = None, logged: bool = False) -> s3.Bucket:
        """expire: days after which objects go."""
        keep = self._settings.keep
        return s3.Bucket(
            self,
            id,
            versioned=True,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            server_access_logs_bucket=self.access_logs if logged else None,
            server_access_logs_prefix=f"{id.lower()}/" if logged else None,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=Duration.days(expire) if expire else None,
                    noncurrent_version_expiration=Duration.days(90),
                    noncurrent_versions_to_retain=_OLD_VERSIONS,
                    abort_incomplete_multipart_upload_after=Duration.days(2),
                )
            ],
            removal_policy=RemovalPolicy.RETAIN if keep else RemovalPolicy.DESTROY,
            auto_delete_objects=not keep,
        )
