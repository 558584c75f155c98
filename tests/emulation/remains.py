"""What of the stacks is still there once they are destroyed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .emulated import AWS

OWN = ("cdk-", "CDKToolkit", "people-who-are-told", "AWSServiceRole")
"""Beginnings of names of what isn't the stacks': the bootstrap's, the scenario's, AWS's."""

_LISTS: Mapping[str, tuple[str, str, str, str]] = {
    "stacks": ("cloudformation", "describe_stacks", "Stacks", "StackName"),
    "buckets": ("s3", "list_buckets", "Buckets", "Name"),
    "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
    "layers": ("lambda", "list_layers", "Layers", "LayerName"),
    "log groups": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "APIs": ("apigateway", "get_rest_apis", "items", "name"),
    "secrets": ("secretsmanager", "list_secrets", "SecretList", "Name"),
    "roles": ("iam", "list_roles", "Roles", "RoleName"),
    "topics": ("sns", "list_topics", "Topics", "TopicArn"),
    "queues": ("sqs", "list_queues", "QueueUrls", ""),
    "rules": ("events", "list_rules", "Rules", "Name"),
    "state machines": ("stepfunctions", "list_state_machines", "stateMachines", "name"),
    "load balancers": ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerName"),
    "target groups": ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupName"),
    "database clusters": ("rds", "describe_db_clusters", "DBClusters", "DBClusterIdentifier"),
    "caches": ("elasticache", "describe_replication_groups", "ReplicationGroups",
               "ReplicationGroupId"),
    "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "firewalls": ("wafv2", "list_web_acls", "WebACLs", "Name"),
}  # fmt: skip
"""The service, its list, where the list is in the answer, and the name of an entry."""


def remains(aws: AWS) -> dict[str, list[str]]:
    """Names, by what they are; nothing where all is gone."""
    found = {what: list(_names(aws, *where)) for what, where in _LISTS.items()}
    return {what: names for what, names in found.items() if names}


def _names(aws: AWS, service: str, method: str, answer: str, field: str) -> Iterable[str]:
    more = {"Scope": "REGIONAL"} if service == "wafv2" else {}
    listed: Callable[..., Any] = getattr(aws.client(service), method)
    for each in listed(**more).get(answer, []):
        name = str(each[field]) if field else str(each).rsplit("/", 1)[-1]
        if not name.startswith(OWN):
            yield name
