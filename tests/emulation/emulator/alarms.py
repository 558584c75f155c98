"""Alarms over several metrics, which the emulator refuses: they are kept as stubs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stubs import ACCOUNT, REGION, handlers

KIND = "AWS::CloudWatch::Alarm"


def _arn(name: str) -> Mapping[str, str]:
    return {"Arn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"}


def install() -> None:
    from ministack.services.cloudformation import provisioners

    own, stub = provisioners._RESOURCE_HANDLERS[KIND], handlers(_arn)
    names: set[str] = set()

    def create(logical: str, properties: Any, stack: str) -> Any:
        if "Metrics" not in properties:
            return own["create"](logical, properties, stack)
        name, attributes = stub["create"](logical, properties, stack)
        names.add(name)
        return name, attributes

    def update(name: str, old: Any, new: Any, *rest: Any, **named: Any) -> Any:
        if name in names:
            return stub["update"](name, old, new, "")
        return own["update"](name, old, new, *rest, **named)

    def delete(name: str, properties: Any, *rest: Any, **named: Any) -> Any:
        if name not in names:
            return own["delete"](name, properties, *rest, **named)
        names.remove(name)
        return None

    made = {"create": create, "update": update, "delete": delete}
    provisioners._RESOURCE_HANDLERS[KIND] = {**own, **made}
