"""Everything that takes part in the scenario."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.fakes.openai import FakeOpenAI

from . import documents
from .cdk import CDK
from .deployment import Deployment
from .emulated import AWS
from .inbox import Inbox
from .progress import until
from .tasks import Service
from .training import Trainer
from .user import User

AUTO = "auto"
BUNDLE = "incoming/router.tar"
CONFIGURATION = "incoming/config.yaml"


@dataclass
class Cast:
    """master, key: of the administrator and of a user, once they are known."""

    aws: AWS
    cdk: CDK
    deployment: Deployment
    service: Service
    provider: FakeOpenAI
    trainer: Trainer
    inbox: Inbox
    master: str = ""
    key: str = ""

    @property
    def user(self) -> User:
        return User(self.deployment.url, self.key)

    @property
    def administrator(self) -> User:
        return User(self.deployment.url, self.master)

    def at_tasks(self) -> list[User]:
        """The user, who asks each task by itself."""
        return [User(task.url, self.key) for task in self.service.running]

    def everywhere(self) -> Iterator[User]:
        """The user, who asks each task by itself, and what is behind the API."""
        yield from self.at_tasks()
        yield self.user

    def give_key(self, key: str) -> None:
        """As whoever runs the gateway does: the provider's key, into the secret of such keys."""
        self.aws.client("secretsmanager").put_secret_value(
            SecretId=self.deployment.secret_name("ProviderKeys"),
            SecretString=json.dumps({"OPENAI_API_KEY": key}),
        )

    def roll_out(self, bucket: str, key: str, body: bytes) -> None:
        """Uploads, and waits until it is in force."""
        version = self.deployment.upload(bucket, key, body)
        until(lambda: self.in_force(bucket) == version, f"{key} is in force")

    def roll_out_bundle(self, chosen: str, created: str) -> None:
        body = documents.bundle(chosen, created=created)
        self.roll_out(self.deployment.bundles, BUNDLE, body)

    def roll_out_configuration(self, *more: str) -> None:
        """more: groups beside the usual ones."""
        bundles = self.deployment.bundles
        document = documents.configuration(self.provider.url, bundles, *more)
        self.roll_out(self.deployment.configuration, CONFIGURATION, document)

    def in_force(self, bucket: str) -> str:
        """The version of the upload that is in force; empty where none is."""
        current = self.deployment.pointer(bucket).get("current") or {}
        return str(current.get("version_id", ""))

    def chosen(self) -> str:
        """The model that the API chooses for a call of `auto`."""
        return model_of(self.user.chat(AUTO).headers)


def model_of(headers: Mapping[str, str]) -> str:
    """The provider's name of the model that answered, without the provider's."""
    return headers["x-trunkline-model"].removeprefix("openai/")
