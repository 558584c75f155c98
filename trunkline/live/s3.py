"""An object in S3, or in what speaks its protocol, as a source: conditional GETs by its ETag.

Credentials, region and endpoint are as boto3 finds them (`AWS_ENDPOINT_URL` names another one).
boto3 is imported with the first fetch.
"""

from __future__ import annotations

import contextlib
import time
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from .sources import Fetched, SourceError, too_large

SCHEME: Final = "s3://"
CHUNK = 1024 * 1024
FETCH_SECONDS = 300
"""In which an object has to be there: a server that sends a byte now and then ends no sooner."""
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 20, 3

_NOT_MODIFIED = 304
_TOLD = {
    "NoSuchKey": "there is no such object",
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": "the AWS credentials in use may not read it",
    "403": "the AWS credentials in use may not read it",
}


def parse_url(url: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`. Raises ValueError."""
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME) or not bucket or not key or key.endswith("/"):
        raise ValueError(f"{url!r} must be s3://bucket/key, and name one object")
    return bucket, key


class S3Source:
    """One object. size_limit: bytes."""

    def __init__(self, bucket: str, key: str, size_limit: int) -> None:
        self.name = f"{SCHEME}{bucket}/{key}"
        self._object = {"Bucket": bucket, "Key": key}
        self._size_limit = size_limit
        self._client: Any = None

    def fetch(self, known: str | None, into: Path) -> Fetched | None:
        exceptions = import_module("botocore.exceptions")
        unless = {} if known is None else {"IfNoneMatch": known}
        try:
            answer = self._connected().get_object(**self._object, **unless)
            with contextlib.closing(answer["Body"]) as body:
                self._check(answer)
                self._save(body, into)
            return Fetched(answer["ETag"], into)
        except exceptions.ClientError as error:
            if error.response["ResponseMetadata"].get("HTTPStatusCode") == _NOT_MODIFIED:
                return None
            raise self._failure(told(error.response["Error"])) from None
        # ValueError: an endpoint that is no URL.
        except (exceptions.BotoCoreError, ValueError) as error:
            raise self._failure(str(error)) from None
        except OSError as error:
            raise self._failure(error.strerror or str(error)) from None

    def _failure(self, reason: str) -> SourceError:
        # The next fetch looks for credentials and addresses anew.
        self._client = None
        return SourceError(f"{self.name}: {reason}")

    def _check(self, answer: dict[str, Any]) -> None:
        size = answer["ContentLength"]
        if size > self._size_limit:
            raise too_large(self.name, size, self._size_limit, answer["ETag"])

    def _save(self, body: Any, into: Path) -> None:
        deadline = time.monotonic() + FETCH_SECONDS
        with into.open("xb") as file:
            for chunk in body.iter_chunks(CHUNK):
                file.write(chunk)
                if time.monotonic() > deadline:
                    raise self._failure(f"not there after {FETCH_SECONDS} seconds")

    def _connected(self) -> Any:
        if self._client is None:
            self._client = connect()
        return self._client


def connect(service: str = "s3", region: str | None = None) -> Any:
    """boto3's client of a service of AWS, which gives up in time.

    region: in the place of the one that boto3 finds.
    """
    config = import_module("botocore.config").Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    session = import_module("botocore.session").get_session()
    # Reading how services are described takes most of the 0.2 s that each session otherwise takes.
    session.register_component("data_loader", _descriptions())
    return (
        import_module("boto3")
        .session.Session(botocore_session=session)
        .client(service, config=config, region_name=region)
    )


@lru_cache(maxsize=1)
def _descriptions() -> Any:
    return import_module("botocore.loaders").create_loader()


def told(error: dict[str, Any]) -> str:
    """What S3 answered, in words. error: as botocore's ClientError has it."""
    code = str(error.get("Code", "unknown"))
    return f"{_TOLD.get(code) or error.get('Message') or 'S3 refused'} ({code})"
