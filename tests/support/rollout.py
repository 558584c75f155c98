"""Buckets that roll out by the function on Lambda, as AWS would call it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from trunkline.live.depot import Found
from trunkline.live.depot_s3 import S3Depot
from trunkline.live.pointer import Pointer

from .s3 import S3

CONTEXT = SimpleNamespace(
    function_name="rollout",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:1:function:rollout",
    aws_request_id="1",
)


class Buckets:
    """Versioned buckets of bundles and configurations, a topic, and the function between them.

    Its environment is this process's while the test lasts.
    """

    def __init__(self, s3: S3, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.s3 = s3
        self.bundles, self.configuration = f"{name}-bundles", f"{name}-configuration"
        for bucket in (self.bundles, self.configuration):
            s3.client.create_bucket(Bucket=bucket)
            versioned = {"Status": "Enabled"}
            s3.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versioned)
        self._name = name
        self._monkeypatch = monkeypatch
        for unwanted in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE"):
            monkeypatch.delenv(unwanted, raising=False)
        self._set({**s3.environment(), "AWS_DEFAULT_REGION": "us-east-1"})
        self._topic, self._queue = self._told_by(name)
        self.function: Any = None
        self.configure()

    @property
    def pointer(self) -> Pointer:
        """Of the bundles."""
        return self.found(self.bundles).pointer

    def found(self, bucket: str) -> Found:
        found = S3Depot(bucket).read()
        assert found is not None
        return found

    def configure(self, **settings: object) -> None:
        """Starts the function anew. settings: beside its buckets, as `TRUNKLINE_…` or `REDIS_…`."""
        own = {"bundles": self.bundles, "configuration": self.configuration}
        named = {**own, "alarm_topic": self._topic, **settings}
        self._set(
            {
                name if name.startswith("REDIS_") else f"TRUNKLINE_{name.upper()}": str(value)
                for name, value in named.items()
            }
        )
        for module in ("functions.rollout.handler", "functions.rollout.settings"):
            sys.modules.pop(module, None)
        self.function = importlib.import_module("functions.rollout.handler")

    def secret(self, name: str, value: str | Mapping[str, str]) -> None:
        """Keeps a secret, called by the buckets' name and its own: a text, or texts by name."""
        text = value if isinstance(value, str) else json.dumps(value)
        name = f"{self._name}/{name}"
        self._ask("secretsmanager", "create_secret", Name=name, SecretString=text)

    def put(self, key: str, body: bytes, bucket: str = "") -> dict[str, Any]:
        """Uploads; the event that S3 then has EventBridge send."""
        bucket = bucket or self.bundles
        answer = self.s3.client.put_object(Bucket=bucket, Key=key, Body=body)
        uploaded = {"key": key, "size": len(body), "etag": answer["ETag"].strip('"')}
        uploaded |= {"version-id": answer["VersionId"], "sequencer": "0064D3901D00059242"}
        detail = {"version": "0", "bucket": {"name": bucket}, "object": uploaded}
        return {
            "version": "0",
            "id": "17793124-05d4-b198-2fde-7ededc63b103",
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": "111122223333",
            "time": "2026-11-12T00:00:00Z",
            "region": "us-east-1",
            "resources": [f"arn:aws:s3:::{bucket}"],
            "detail": {**detail, "reason": "PutObject"},
        }

    def invoke(self, event: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self.function.handler(event, CONTEXT))

    def upload(self, key: str, body: bytes, bucket: str = "") -> dict[str, Any]:
        """What the function makes of an upload."""
        return self.invoke(self.put(key, body, bucket))

    def tick(self) -> dict[str, Any]:
        return self.invoke({"trunkline": "tick"})

    def tags(self, event: Mapping[str, Any]) -> dict[str, str]:
        """Of what an event is about."""
        detail = event["detail"]
        found = self.s3.client.get_object_tagging(
            Bucket=detail["bucket"]["name"],
            Key=detail["object"]["key"],
            VersionId=detail["object"]["version-id"],
        )
        return {each["Key"]: each["Value"] for each in found["TagSet"]}

    def told(self) -> list[tuple[str, str]]:
        """Subjects and messages that people were sent since the last time."""
        found = []
        while messages := self._ask("sqs", "receive_message", QueueUrl=self._queue).get("Messages"):
            for each in messages:
                body = json.loads(each["Body"])
                found.append((body["Subject"], body["Message"]))
                handle = each["ReceiptHandle"]
                self._ask("sqs", "delete_message", QueueUrl=self._queue, ReceiptHandle=handle)
        return found

    def _told_by(self, name: str) -> tuple[str, str]:
        topic = self._ask("sns", "create_topic", Name=f"{name}-alarms")["TopicArn"]
        queue = self._ask("sqs", "create_queue", QueueName=f"{name}-alarms")["QueueUrl"]
        attributes = self._ask(
            "sqs", "get_queue_attributes", QueueUrl=queue, AttributeNames=["QueueArn"]
        )
        arn = attributes["Attributes"]["QueueArn"]
        self._ask("sns", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return topic, queue

    def _ask(self, service: str, operation: str, **fields: Any) -> Any:
        import boto3

        return getattr(boto3.session.Session().client(service), operation)(**fields)

    def _set(self, environment: Mapping[str, str]) -> None:
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
