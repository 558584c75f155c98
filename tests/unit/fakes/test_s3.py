"""boto3 accepts the fake of S3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ResponseStreamingError

from tests.fakes import CutMidStream, Status
from tests.fakes.s3 import FakeS3


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    with FakeS3() as fake:
        yield fake


def client(fake: FakeS3, secret: str = "fake-secret-key") -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=fake.url,
        aws_access_key_id="AKIAFAKEFAKEFAKEFAKE",
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )


def refused(fake: FakeS3, key: str = "a/b.tar", bucket: str = "models", **options: Any) -> str:
    with pytest.raises(ClientError) as caught:
        client(fake).get_object(Bucket=bucket, Key=key, **options)
    return str(caught.value.response["Error"]["Code"])


def test_an_object_is_read_with_its_etag(fake: FakeS3) -> None:
    etag = fake.put("models", "a/b.tar", b"content")
    answer = client(fake).get_object(Bucket="models", Key="a/b.tar")
    assert (answer["ETag"], answer["ContentLength"]) == (etag, 7)
    assert answer["Body"].read() == b"content"
    assert client(fake).head_object(Bucket="models", Key="a/b.tar")["ETag"] == etag


def test_an_object_that_is_known_is_not_sent(fake: FakeS3) -> None:
    etag = fake.put("models", "a/b.tar", b"content")
    assert refused(fake, IfNoneMatch=etag) == "304"
    fake.put("models", "a/b.tar", b"changed")
    answer = client(fake).get_object(Bucket="models", Key="a/b.tar", IfNoneMatch=etag)
    assert answer["Body"].read() == b"changed"


def test_errors_have_their_codes(fake: FakeS3) -> None:
    fake.put("models", "a/b.tar", b"content")
    assert refused(fake, key="other") == "NoSuchKey"
    assert refused(fake, bucket="other") == "NoSuchBucket"
    fake.fault(Status(503))
    assert refused(fake) == "SlowDown"
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client(fake, secret="wrong").get_object(Bucket="models", Key="a/b.tar")


def test_connections_break(fake: FakeS3) -> None:
    fake.put("models", "a/b.tar", b"content")
    fake.fault(CutMidStream())
    body = client(fake).get_object(Bucket="models", Key="a/b.tar")["Body"]
    with pytest.raises(ResponseStreamingError):
        body.read()
    fake.stop()
    with pytest.raises(EndpointConnectionError):
        client(fake).get_object(Bucket="models", Key="a/b.tar")
