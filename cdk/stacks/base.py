"""What all stacks have in common."""

from __future__ import annotations

from aws_cdk import CliCredentialsStackSynthesizer, DefaultStackSynthesizer, Stack, Tags
from constructs import Construct

from ..settings import Settings

_WITHOUT_TAGS = ["AWS::RDS::DBProxyTargetGroup"]
"""Types that CloudFormation refuses with the tags that CDK would give them."""


class TrunklineStack(Stack):
    def __init__(self, scope: Construct, part: str, settings: Settings, description: str) -> None:
        """part: of the product ("Gateway"); the stack is called `Trunkline-Gateway`."""
        synthesizer = (
            CliCredentialsStackSynthesizer()
            if settings.synthesizer == "cli"
            else DefaultStackSynthesizer()
        )
        name = f"{settings.name}-{part}"
        super().__init__(
            scope,
            name,
            description=description,
            synthesizer=synthesizer,
            termination_protection=settings.keep and part in ("Network", "Data"),
        )
        for name, value in (("deployment", settings.name), ("profile", settings.profile)):
            Tags.of(self).add(f"trunkline:{name}", value, exclude_resource_types=_WITHOUT_TAGS)
