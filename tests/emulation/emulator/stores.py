"""Aurora, its proxy, ElastiCache and secrets: their endpoints lead to real servers.

`EMULATED_STORES` is a loopback address on which PostgreSQL listens on 5432 and Redis, behind TLS,
on 6379, as they do at AWS.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from outside import tell
from stubs import ACCOUNT, REGION, handlers

POSTGRES, REDIS = "5432", "6379"

_DATABASE = ("AWS::RDS::DBCluster", "AWS::RDS::DBInstance")
_CACHE = ("AWS::ElastiCache::ReplicationGroup", "AWS::ElastiCache::CacheCluster")


def _endpoints() -> dict[str, dict[str, str]]:
    address = os.environ["EMULATED_STORES"]
    database = {"Endpoint.Address": address, "Endpoint.Port": POSTGRES}
    cache = {"Address": address, "Port": REDIS}
    names = ("Endpoint", "PrimaryEndPoint", "ReaderEndPoint", "ReaderEndpoint", "RedisEndpoint")
    caches = {f"{name}.{field}": value for name in names for field, value in cache.items()}
    caches |= {"ConfigurationEndPoint.Address": address, "ConfigurationEndPoint.Port": REDIS}
    database |= {"ReadEndpoint.Address": address}
    return dict.fromkeys(_DATABASE, database) | dict.fromkeys(_CACHE, caches)


def _leading(kind: str, own: Mapping[str, Any], endpoints: Mapping[str, str]) -> dict[str, Any]:
    """The emulator's handlers, with endpoints of ours; the world hears of what was made."""

    def create(logical: str, properties: Any, stack: str) -> Any:
        tell("made", {"type": kind, "properties": properties})
        name, attributes = own["create"](logical, properties, stack)
        return name, {**attributes, **endpoints}

    def update(*arguments: Any, **named: Any) -> Any:
        tell("made", {"type": kind, "properties": arguments[2]})
        result = own["update"](*arguments, **named)
        if isinstance(result, tuple):
            return result[0], {**result[1], **endpoints}
        return result

    return {**own, "create": create, "update": update}


def _proxy(name: str) -> dict[str, str]:
    arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:db-proxy:{name}"
    return {"Endpoint": os.environ["EMULATED_STORES"], "DBProxyArn": arn}


def _serverless(name: str) -> dict[str, str]:
    address = os.environ["EMULATED_STORES"]
    ends = {"Address": address, "Port": REDIS}
    both = {f"{end}.{field}": value for end in ("Endpoint", "ReaderEndpoint")
            for field, value in ends.items()}  # fmt: skip
    return both | {"ARN": f"arn:aws:elasticache:{REGION}:{ACCOUNT}:serverlesscache:{name}"}


def _by_arn(own: Mapping[str, Any]) -> dict[str, Any]:
    """Secrets, which CloudFormation knows by their ARN, and the emulator by their name."""

    def name(identity: str) -> str:
        from ministack.services import secretsmanager

        known = secretsmanager._secrets.items()
        return next((name for name, secret in known if secret["ARN"] == identity), identity)

    def whole(properties: Any) -> Any:
        if properties.get("GenerateSecretString") == {}:
            return {**properties, "GenerateSecretString": {"PasswordLength": 32}}
        return properties

    def create(logical: str, properties: Any, stack: str) -> Any:
        _, attributes = own["create"](logical, whole(properties), stack)
        return attributes["Arn"], attributes

    def update(identity: str, old: Any, new: Any, *rest: Any, **named: Any) -> Any:
        result = own["update"](name(identity), whole(old), whole(new), *rest, **named)
        if isinstance(result, tuple):
            return result[1].get("Arn", identity), result[1]
        return result

    def delete(identity: str, properties: Any, *rest: Any, **named: Any) -> Any:
        return own["delete"](name(identity), properties, *rest, **named)

    return {**own, "create": create, "update": update, "delete": delete}


def install() -> None:
    from ministack.services import elasticache
    from ministack.services.cloudformation import provisioners

    elasticache.REDIS_DEFAULT_HOST = os.environ["EMULATED_STORES"]
    elasticache.REDIS_DEFAULT_PORT = int(REDIS)
    known = provisioners._RESOURCE_HANDLERS
    known["AWS::RDS::DBProxy"] = handlers(_proxy)
    known["AWS::ElastiCache::ServerlessCache"] = handlers(_serverless)
    for kind, endpoints in _endpoints().items():
        known[kind] = _leading(kind, known[kind], endpoints)
    known["AWS::SecretsManager::Secret"] = _by_arn(known["AWS::SecretsManager::Secret"])
