"""What the checks are told: which finding is meant so, where, and why.

`AwsSolutions` are cdk-nag's rules, `CloudFormation-Validate` those of the CDK itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


@dataclass(frozen=True, slots=True)
class Meant:
    """rule: its id. where: what the construct's path ends with, as a regular expression."""

    rule: str
    where: str
    reason: str


_NETWORK_AND_TRACES = (
    "What puts a function into a network, and what hands in traces, can't be narrowed to resources."
)
_OBJECTS = "Reads and judges objects of the deployment's own buckets, whatever their names."
_ROTATED_BY_HAND = (
    "Rotating it takes people: the callers who use the master key, the providers that make theirs,"
    " the cache that has to learn its password; the salt key must stay, or stored keys are lost."
)

MEANT: tuple[Meant, ...] = (
    Meant("AwsSolutions-EC23", "/Network/Endpoints", "Open to the network's own addresses only."),
    Meant("AwsSolutions-SMG4", "/Secrets/.*", _ROTATED_BY_HAND),
    Meant(
        "AwsSolutions-IAM4",
        "/BucketNotificationsHandler\\w+",
        "CDK's own function, which may write its log.",
    ),
    Meant(
        "AwsSolutions-IAM5",
        "/BucketNotificationsHandler\\w+",
        "CDK's own function, which sets up buckets while the stack is deployed.",
    ),
    Meant(
        "AwsSolutions-IAM4",
        "/Rest/CloudWatchRole",
        "AWS's policy for API Gateway's logs is the one that its documentation demands.",
    ),
    Meant("AwsSolutions-IAM5", "/(Role|TaskRole)", f"{_NETWORK_AND_TRACES} {_OBJECTS}"),
    Meant("AwsSolutions-SQS3", "/(Failures|Undelivered)", "These are the dead-letter queues."),
    Meant(
        "AwsSolutions-L1",
        "",
        "Dependencies are locked, with hashes, for Python 3.12; all of it changes together.",
    ),
    Meant(
        "AwsSolutions-ELB2",
        "/Balancer/Internal",
        "Only API Gateway reaches it, whose access log has every request.",
    ),
    Meant(
        "AwsSolutions-ECS2",
        "/Service/Task",
        "Addresses and names; what is secret comes from Secrets Manager.",
    ),
    Meant(
        "AwsSolutions-APIG2",
        "/Api/Rest",
        "The gateway checks requests, and answers in the format of the API that was asked.",
    ),
    Meant(
        "AwsSolutions-APIG4",
        "/Api",
        "Who may call what is the gateway's affair: virtual keys, teams, budgets.",
    ),
    Meant("AwsSolutions-COG4", "/Api", "Clients are programs with keys, as OpenAI's are."),
    Meant(
        "AwsSolutions-APIG6",
        "/Api/Rest",
        "Execution logs hold headers and bodies, which are keys and prompts; the access log is on.",
    ),
    Meant(
        "CloudFormation-Validate::E1029",
        "/Service/Task",
        "${env:…} is for the collector, which replaces it when it starts.",
    ),
)


def acknowledge(root: IConstruct) -> None:
    """Tells the checks of all that is meant so below a construct."""
    for construct in root.node.find_all():
        found = list(_meant(construct.node.path))
        if found:
            Validations.of(construct).acknowledge(*found)


def _meant(path: str) -> Iterator[Acknowledgment]:
    for each in MEANT:
        if each.where and re.search(f"{each.where}$", path):
            yield Acknowledgment(id=each.rule, reason=each.reason)
