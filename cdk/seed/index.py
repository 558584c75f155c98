"""Puts a first configuration into force: uploads it where nothing is in force, and waits for that.

CloudFormation calls it when the stack is made or changed, and goes on when it has answered. Nothing
is ever removed by it.
"""

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

import boto3  # type: ignore[import-not-found]
from botocore.exceptions import ClientError  # type: ignore[import-not-found]

POINTER = "active.json"
UPLOADED = "incoming/starting.yaml"
MARGIN = 15.0
"""Seconds before the function's end, in which it still answers."""
PAUSE = 2.0


def handler(event: dict[str, Any], context: Any) -> None:
    status, reason = "SUCCESS", ""
    try:
        if event["RequestType"] != "Delete":
            seed(event["ResourceProperties"], context)
    except Exception as error:  # noqa: BLE001 - without an answer, CloudFormation waits an hour
        status, reason = "FAILED", f"{type(error).__name__}: {error}"
    answer(event, status, reason)


def seed(properties: Mapping[str, str], context: Any) -> None:
    s3 = boto3.client("s3")
    bucket = properties["Bucket"]
    if in_force(s3, bucket):
        return
    version = s3.put_object(Bucket=bucket, Key=UPLOADED, Body=properties["Configuration"].encode())[
        "VersionId"
    ]
    while context.get_remaining_time_in_millis() > MARGIN * 1000:
        if in_force(s3, bucket):
            return
        refused(s3, bucket, version)
        time.sleep(PAUSE)
    raise TimeoutError(f"s3://{bucket}/{UPLOADED} was not put into force: see the log of rollout")


def in_force(s3: Any, bucket: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=POINTER)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def refused(s3: Any, bucket: str, version: str) -> None:
    """Raises ValueError with the reason, if rollout has refused it."""
    found = s3.get_object_tagging(Bucket=bucket, Key=UPLOADED, VersionId=version)["TagSet"]
    tags = {tag["Key"]: tag["Value"] for tag in found}
    if tags.get("trunkline") == "refused":
        raise ValueError(f"the configuration was refused: {json.dumps(tags)}")


def answer(event: Mapping[str, Any], status: str, reason: str) -> None:
    body = {
        "Status": status,
        "Reason": reason or "in force",
        "PhysicalResourceId": "starting-configuration",
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's
        event["ResponseURL"],
        data=json.dumps(body).encode(),
        method="PUT",
        headers={"content-type": ""},
    )
    urllib.request.urlopen(request, timeout=MARGIN).close()  # noqa: S310
