"""What the tests of the functions share: a database, Redis, S3, and providers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lambda_runtime import missing
from tests.support.redis import RedisServer, redis_server
from tests.support.s3 import S3, moto


@pytest.fixture(scope="session", autouse=True)
def _what_functions_run_with() -> None:
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server
