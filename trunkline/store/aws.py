"""Signing in to a database on AWS: `aws_password` in the address says where the password is.

    …?sslmode=require&aws_password=iam   a token of IAM, made for each connection (RDS, RDS Proxy)
    …&aws_password=<name or ARN>         Secrets Manager, as RDS keeps it: the field `password` of a
                                         JSON object, read each time, so that a rotation
                                         needs nothing else

Tokens are signed here, without asking anybody, and hold for fifteen minutes; a connection lasts
longer than the token that it began with.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.Python.html
"""

from __future__ import annotations

import asyncio
import functools
import json
from importlib import import_module
from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.util import await_only

PARAMETER = "aws_password"
IAM = "iam"
PORT = 5432
SECONDS = 5


def signing_in(engine: Engine, url: URL, *, asynchronous: bool) -> None:
    """Has each new connection of the engine sign in as its address says; does nothing for others.

    asynchronous: whether it is the inner one of an asynchronous engine, whose loop goes on while
        AWS is asked. Connecting raises botocore's errors, as OSErrors.
    """
    where = url.query.get(PARAMETER)
    if not isinstance(where, str):
        return
    ask = functools.partial(_password, url, where)

    @event.listens_for(engine, "do_connect")
    def _sign_in(dialect: Any, record: Any, arguments: Any, named: dict[str, Any]) -> None:
        named.pop(PARAMETER, None)
        named["password"] = await_only(asyncio.to_thread(ask)) if asynchronous else ask()


def address(url: URL) -> str:
    """For libpq: with the password that the URL tells of, where it tells of one.

    Raises ConnectionError where AWS doesn't give it.
    """
    where = url.query.get(PARAMETER)
    plain = url.set(drivername="postgresql")
    if isinstance(where, str):
        plain = plain.difference_update_query([PARAMETER]).set(password=_password(url, where))
    return plain.render_as_string(hide_password=False)


def _password(url: URL, where: str) -> str:
    failures = import_module("botocore.exceptions")
    find = _token if where == IAM else functools.partial(_kept, where)
    try:
        return find(url)
    except (failures.BotoCoreError, failures.ClientError) as error:
        raise ConnectionError(f"AWS gives no password of the database: {error}") from error


def _token(url: URL) -> str:
    client = _client("rds")
    token: str = client.generate_db_auth_token(
        DBHostname=url.host, Port=url.port or PORT, DBUsername=url.username
    )
    return token


def _kept(secret: str, url: URL) -> str:
    found = _client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    return str(json.loads(found)["password"])


@functools.cache
def _client(service: str) -> Any:
    config = import_module("botocore.config").Config(
        connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 2}
    )
    return import_module("boto3").client(service, config=config)
