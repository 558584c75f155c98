"""The secrets: made up by Secrets Manager where they can be, and never in a template.

Each holds a JSON object of names and values, which the configuration gives as `os.environ/NAME`.
"""

from __future__ import annotations

import json

from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from ..settings import Settings

_LENGTH = 48


class Secrets(Construct):
    """master: LITELLM_MASTER_KEY. salt: LITELLM_SALT_KEY, with which stored keys of providers are
    sealed, so that it must stay as it is. cache: REDIS_PASSWORD. providers: empty; who runs the
    gateway puts the providers' keys there. further: named in the settings.
    """

    def __init__(self, scope: Construct, id: str, settings: Settings) -> None:
        super().__init__(scope, id)
        self._removal = RemovalPolicy.RETAIN if settings.keep else RemovalPolicy.DESTROY
        self.master = self._made_up("MasterKey", "LITELLM_MASTER_KEY")
        self.salt = self._made_up("SaltKey", "LITELLM_SALT_KEY")
        self.cache = self._made_up("CachePassword", "REDIS_PASSWORD") if settings.redis else None
        self.providers = secretsmanager.Secret(
            self,
            "ProviderKeys",
            description='Keys of model providers: a JSON object, such as {"OPENAI_API_KEY": "…"}',
            secret_object_value={},
            removal_policy=self._removal,
        )
        self.further = [
            _named(self, f"Further{n}", name) for n, name in enumerate(settings.secrets)
        ]

    @property
    def read(self) -> list[secretsmanager.ISecret]:
        """What the gateway reads."""
        cache = [self.cache] if self.cache else []
        return [self.master, self.salt, *cache, self.providers, *self.further]

    def _made_up(self, id: str, name: str) -> secretsmanager.Secret:
        return secretsmanager.Secret(
            self,
            id,
            description=f"{name} of the gateway",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps({}),
                generate_string_key=name,
                password_length=_LENGTH,
                exclude_punctuation=True,
            ),
            removal_policy=self._removal,
        )


def _named(scope: Construct, id: str, name: str) -> secretsmanager.ISecret:
    if name.startswith("arn:"):
        return secretsmanager.Secret.from_secret_complete_arn(scope, id, name)
    return secretsmanager.Secret.from_secret_name_v2(scope, id, name)
