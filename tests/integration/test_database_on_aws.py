"""A database on AWS: its password comes from IAM or Secrets Manager, at each connection."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from sqlalchemy import text

from mlops.sources.database import calls_of_server
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.s3 import moto
from trunkline.store import aws
from trunkline.store.database import Database, StoreUnavailable, address
from trunkline.store.routing_tables import Tables
from trunkline.store.schema import upgrade

SECRET = "trunkline/database"


@pytest.fixture
def on_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with moto(tmp_path) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        aws._client.cache_clear()
        yield server
        aws._client.cache_clear()


def _keep(password: str, *, new: bool = False) -> None:
    manager = boto3.client("secretsmanager")
    value = json.dumps({"username": "trunkline", "password": password, "engine": "postgres"})
    if new:
        manager.create_secret(Name=SECRET, SecretString=value)
    else:
        manager.put_secret_value(SecretId=SECRET, SecretString=value)


@pytest.mark.criterion("R10.4")
async def test_a_rotated_password_is_taken_at_the_next_connection(on_aws, tmp_path: Path) -> None:
    with postgres_server(password="first") as server:
        _keep("first", new=True)
        url = address(f"{_without_password(server)}?aws_password={SECRET}", tmp_path)
        assert upgrade(url), "the schema is made by a connection that signs in the same way"

        database = Database(url, connections=1, timeout=10)
        async with database.reading() as connection:
            assert (await connection.execute(text("SELECT current_user"))).scalar() == "trunkline"
        Tables(url).insert([])
        assert list(calls_of_server(f"{_without_password(server)}?aws_password={SECRET}")) == []
        server.execute("ALTER USER trunkline PASSWORD 'second'")
        await database.close()
        with pytest.raises(StoreUnavailable):
            async with database.reading():
                pass
        _keep("second")
        assert await database.ping()
        await database.close()


async def test_without_an_answer_of_aws_the_database_is_away(
    on_aws, tmp_path: Path, postgres: PostgresServer
) -> None:
    url = address(f"{postgres.database()}?aws_password=no-such-secret", tmp_path)
    database = Database(url, connections=1, timeout=10)
    with pytest.raises(StoreUnavailable):
        async with database.reading():
            pass
    await database.close()


async def test_a_token_of_iam_takes_the_place_of_the_password(
    on_aws, tmp_path: Path, postgres: PostgresServer
) -> None:
    url = address(f"{postgres.database()}?sslmode=prefer&aws_password=iam", tmp_path)
    token = aws._password(url, "iam")
    assert token.startswith(f"127.0.0.1:{url.port}/?Action=connect&DBUser=trunkline&")
    assert "X-Amz-Signature=" in token

    database = Database(url, connections=1, timeout=10)
    assert await database.ping(), "a server that asks for no password takes any"
    await database.close()


def _without_password(server: PostgresServer) -> str:
    return f"postgresql://trunkline@127.0.0.1:{server.port}/postgres"
