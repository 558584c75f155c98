"""What must outlive everything else: buckets, database, cache, secrets, the alarms' topic."""

from __future__ import annotations

from aws_cdk import CfnOutput
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from ..constructs.buckets import Buckets
from ..constructs.cache import Cache
from ..constructs.database import Database
from ..constructs.network import Network
from ..constructs.secrets import Secrets
from ..constructs.stores import Stores
from ..settings import Settings
from .base import TrunklineStack


class DataStack(TrunklineStack):
    def __init__(self, scope: Construct, settings: Settings, network: Network) -> None:
        super().__init__(scope, "Data", settings, "Trunkline: data, secrets, and the alarms' topic")
        secrets = Secrets(self, "Secrets", settings)
        cache = None
        if secrets.cache is not None:
            cache = Cache(self, "Cache", settings, network, secrets.cache)
        topic = sns.Topic(self, "Alarms", display_name=f"{settings.name}: alarms", enforce_ssl=True)
        if settings.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(settings.alarm_email))
        self.stores = Stores(
            settings=settings,
            network=network,
            buckets=Buckets(self, "Buckets", settings),
            secrets=secrets,
            database=Database(self, "Database", settings, network),
            cache=cache,
            topic=topic,
        )
        for name, value in self._outputs().items():
            CfnOutput(self, name, value=value)

    def _outputs(self) -> dict[str, str]:
        buckets = self.stores.buckets
        return {
            "ConfigurationBucket": buckets.configuration.bucket_name,
            "BundlesBucket": buckets.bundles.bucket_name,
            "TrainingBucket": buckets.training.bucket_name,
            "MasterKeySecret": self.stores.secrets.master.secret_name,
            "ProviderKeysSecret": self.stores.secrets.providers.secret_name,
            "AlarmTopic": self.stores.topic.topic_arn,
        }
