"""What was deployed, found as its users would: by the services' own lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import events
from .emulated import AWS

LIVE = "live"
"""The alias of the version that is called."""


@dataclass
class Deployment:
    aws: AWS

    @cached_property
    def url(self) -> str:
        """Of the REST API, without a slash at the end."""
        gateway = self.aws.client("apigateway")
        for api in gateway.get_rest_apis()["items"]:
            for stage in gateway.get_stages(restApiId=api["id"])["item"]:
                return f"{self.aws.url}/_aws/execute-api/{api['id']}/{stage['stageName']}"
        raise AssertionError("no REST API was deployed")

    @cached_property
    def functions(self) -> Mapping[str, Mapping[str, Any]]:
        """Their configurations, by the folder of their code (`api`, `rollout` …)."""
        pages = self.aws.client("lambda").get_paginator("list_functions").paginate()
        found = {}
        for function in (each for page in pages for each in page["Functions"]):
            match function["Handler"].split("."):
                case ["functions", name, "handler", "handler"]:
                    found[name] = function
        return found

    @cached_property
    def told(self) -> Mapping[str, str]:
        """The environment of the function that rolls out, which knows all buckets."""
        told: Mapping[str, str] = self.functions["rollout"]["Environment"]["Variables"]
        return told

    @property
    def bundles(self) -> str:
        return self.told["TRUNKLINE_BUNDLES"]

    @property
    def configuration(self) -> str:
        return self.told["TRUNKLINE_CONFIGURATION"]

    @property
    def training(self) -> str:
        return self.told["TRUNKLINE_TRAINING"]

    @property
    def topic(self) -> str:
        return self.told["TRUNKLINE_ALARM_TOPIC"]

    @cached_property
    def state_machine(self) -> str:
        """The ARN of the one that trains."""
        machines = self.aws.client("stepfunctions").list_state_machines()["stateMachines"]
        assert len(machines) == 1, [machine["name"] for machine in machines]
        return str(machines[0]["stateMachineArn"])

    @cached_property
    def target_group(self) -> str:
        groups = self.aws.client("elbv2").describe_target_groups()["TargetGroups"]
        assert len(groups) == 1, [group["TargetGroupName"] for group in groups]
        return str(groups[0]["TargetGroupArn"])

    def task_definition(self) -> Mapping[str, Any]:
        """The one that the service runs now."""
        ecs = self.aws.client("ecs")
        for cluster in ecs.list_clusters()["clusterArns"]:
            services = ecs.list_services(cluster=cluster)["serviceArns"]
            if services:
                service = ecs.describe_services(cluster=cluster, services=services)["services"][0]
                named = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])
                definition: Mapping[str, Any] = named["taskDefinition"]
                return definition
        raise AssertionError("no service was deployed")

    def pointer(self, bucket: str) -> dict[str, Any]:
        """What is in force of a bucket; empty where nothing is."""
        s3 = self.aws.client("s3")
        try:
            body = s3.get_object(Bucket=bucket, Key="active.json")["Body"].read()
        except s3.exceptions.NoSuchKey:
            return {}
        found: dict[str, Any] = json.loads(body)
        return found

    def upload(self, bucket: str, key: str, body: bytes) -> str:
        """The version of what was uploaded."""
        s3 = self.aws.client("s3")
        version: str = s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
        return version

    def tags(self, bucket: str, key: str, version: str) -> dict[str, str]:
        s3 = self.aws.client("s3")
        tags = s3.get_object_tagging(Bucket=bucket, Key=key, VersionId=version)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in tags}

    def secret_name(self, part: str) -> str:
        """Of the only secret whose name holds that.

        The stacks' outputs say it as AWS makes names up, which the emulator does otherwise.
        """
        listed = self.aws.client("secretsmanager").list_secrets()["SecretList"]
        found = [secret["Name"] for secret in listed if part in secret["Name"]]
        assert len(found) == 1, (part, [secret["Name"] for secret in listed])
        return str(found[0])

    def secret(self, part: str) -> str:
        manager = self.aws.client("secretsmanager")
        return str(manager.get_secret_value(SecretId=self.secret_name(part))["SecretString"])

    def invoke(self, function: str, event: Any) -> Any:
        """What a function answers. Raises AssertionError for one that failed."""
        answer = self.aws.client("lambda").invoke(
            FunctionName=self.functions[function]["FunctionName"],
            Qualifier=LIVE,
            Payload=json.dumps(event),
        )
        said = answer["Payload"].read()
        assert "FunctionError" not in answer, said
        return json.loads(said)

    def chat_by_function(self, key: str, model: str) -> dict[str, Any]:
        """What the function answers API Gateway to a chat call, which must be a success.

        headers: the answer's, with small letters.
        """
        answer = self.invoke("api", events.chat(key, model))
        assert answer["statusCode"] == 200, answer
        several = {name: values[-1] for name, values in answer["multiValueHeaders"].items()}
        headers = {**several, **answer.get("headers", {})}
        return {**answer, "headers": {name.lower(): value for name, value in headers.items()}}
