"""Resource types that the emulator has not: their names and attributes are made up, and no more.

What stands here counts as "stubbed" in the table that `make emulate` prints.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from outside import tell

ACCOUNT = "000000000000"
REGION = "us-east-1"

Attributes = Callable[[str], Mapping[str, str]]


def _arn(service: str, kind: str) -> Attributes:
    return lambda name: {"Arn": f"arn:aws:{service}:{REGION}:{ACCOUNT}:{kind}/{name}"}


def _none(name: str) -> Mapping[str, str]:
    return {}


STUBS: Mapping[str, Attributes] = {
    "AWS::ApiGateway::VpcLink": lambda name: {"VpcLinkId": name},
    "AWS::ApiGatewayV2::VpcLink": lambda name: {"VpcLinkId": name},
    "AWS::ApplicationAutoScaling::ScalableTarget": lambda name: {"Id": name},
    "AWS::ApplicationAutoScaling::ScalingPolicy": lambda name: {"Arn": name},
    "AWS::CloudWatch::CompositeAlarm": _arn("cloudwatch", "alarm"),
    "AWS::EC2::EIP": lambda name: {"AllocationId": name, "PublicIp": "203.0.113.10"},
    "AWS::EC2::FlowLog": lambda name: {"Id": name},
    "AWS::EC2::NatGateway": lambda name: {"NatGatewayId": name},
    "AWS::EC2::SecurityGroupEgress": _none,
    "AWS::EC2::SecurityGroupIngress": _none,
    "AWS::RDS::DBProxyTargetGroup": lambda name: {"TargetGroupArn": name},
    "AWS::SecretsManager::ResourcePolicy": _none,
    "AWS::SecretsManager::RotationSchedule": _none,
    # The function that changes a password, published by AWS as an application.
    "AWS::Serverless::Application": lambda name: {
        "Outputs.RotationLambdaARN": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    },
    "AWS::WAFv2::LoggingConfiguration": _none,
    "AWS::WAFv2::WebACLAssociation": _none,
    # CDK's own functions, in JavaScript, whose libraries the emulator has not.
    "Custom::LogRetention": _none,
    "Custom::S3AutoDeleteObjects": _none,
    "Custom::VpcRestrictDefaultSG": _none,
}

_log = logging.getLogger("emulation.stubs")


def handlers(attributes: Attributes) -> dict[str, Any]:
    """What the emulator's CloudFormation calls to make, change and remove a resource."""

    def create(logical: str, properties: Any, stack: str) -> tuple[str, dict[str, str]]:
        name = f"{logical[:24].lower()}-{uuid.uuid4().hex[:8]}"
        return name, {"Id": name, **attributes(name)}

    def update(name: str, old: Any, new: Any, stack: str) -> tuple[str, dict[str, str]]:
        return name, {"Id": name, **attributes(name)}

    def delete(name: str, properties: Any) -> None:
        return None

    return {"create": create, "update": update, "delete": delete}


def install() -> None:
    from ministack.services.cloudformation import engine, provisioners

    engine._SAM_TRANSFORM = ""  # what it would transform is stubbed as it stands
    for kind, attributes in STUBS.items():
        if provisioners._RESOURCE_HANDLERS.setdefault(kind, handlers(attributes)):
            _log.debug("stubbed %s", kind)
    provisioners._RESOURCE_HANDLERS["Custom::S3AutoDeleteObjects"]["delete"] = _empty


def _empty(name: str, properties: Mapping[str, str]) -> None:
    tell("emptied", {"bucket": properties["BucketName"]})
