"""Answers as objects in S3, or in what speaks its protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, TypeVar

from ..settings.schema import CacheParams
from .stores import StoreFailed

T = TypeVar("T")

THREADS = 16
CONNECT_SECONDS, READ_SECONDS = 2, 5
AT_ONCE = 1000
"""Objects that S3 deletes by one request."""
EXPIRES = "expires-at"
"""An object's metadata: seconds since the epoch. A life cycle of the bucket deletes the objects."""

_MISSING = frozenset({"NoSuchKey", "404"})


class S3Store:
    """See `Store`. boto3 is imported with the first request."""

    kind = "s3"

    def __init__(self, params: CacheParams, clock: Callable[[], float] = time.time) -> None:
        self._params = params
        self._bucket = params.s3_bucket_name
        folder = params.s3_path.strip("/")
        self._folder = f"{folder}/" if folder else ""
        self._clock = clock
        self._client: Any = None
        self._threads = ThreadPoolExecutor(THREADS, "trunkline-answers")

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        return list(await asyncio.gather(*(self._run(self._get, key) for key in keys)))

    def _get(self, key: str) -> bytes | None:
        exceptions = import_module("botocore.exceptions")
        try:
            answer = self._connected().get_object(Bucket=self._bucket, Key=self._folder + key)
        except exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        with answer["Body"] as body:
            value: bytes = body.read()
        return value if float(answer["Metadata"].get(EXPIRES, 0)) > self._clock() else None

    async def put(self, values: Sequence[tuple[str, bytes]], ttl: float) -> None:
        await asyncio.gather(*(self._run(self._put, key, value, ttl) for key, value in values))

    def _put(self, key: str, value: bytes, ttl: float) -> None:
        self._connected().put_object(
            Bucket=self._bucket,
            Key=self._folder + key,
            Body=value,
            ContentType="application/octet-stream",
            Metadata={EXPIRES: f"{self._clock() + ttl:.3f}"},
        )

    async def delete(self, keys: Sequence[str]) -> int:
        found = await self.get(keys)
        await self._run(self._delete, [self._folder + key for key in keys])
        return sum(value is not None for value in found)

    def _delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), AT_ONCE):
            objects = [{"Key": key} for key in keys[start : start + AT_ONCE]]
            self._connected().delete_objects(Bucket=self._bucket, Delete={"Objects": objects})

    async def flush(self, prefix: str) -> int:
        return await self._run(self._flush, prefix)

    def _flush(self, prefix: str) -> int:
        keys = list(self._listed(prefix))
        self._delete(keys)
        return len(keys)

    def _listed(self, prefix: str) -> Iterator[str]:
        pages = self._connected().get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._folder + prefix):
            for each in page.get("Contents", ()):
                yield each["Key"]

    async def ping(self) -> None:
        await self._run(lambda: self._connected().head_bucket(Bucket=self._bucket))

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _connected(self) -> Any:
        if self._client is None:
            params = self._params
            config = import_module("botocore.config").Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"total_max_attempts": 1},
                max_pool_connections=THREADS,
            )
            self._client = import_module("boto3").client(
                "s3",
                region_name=params.s3_region_name,
                endpoint_url=params.s3_endpoint_url,
                aws_access_key_id=params.s3_aws_access_key_id,
                aws_secret_access_key=params.s3_aws_secret_access_key,
                aws_session_token=params.s3_aws_session_token,
                use_ssl=params.s3_use_ssl,
                verify=params.s3_verify,
                config=config,
            )
        return self._client

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
        except import_module("botocore.exceptions").ClientError as error:
            told = error.response.get("Error", {})
            raise StoreFailed(f"S3: {told.get('Code')}: {told.get('Message')}") from None
        except (OSError, import_module("botocore.exceptions").BotoCoreError) as error:
            raise StoreFailed(f"S3: {error}") from None
