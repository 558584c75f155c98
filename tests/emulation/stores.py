"""PostgreSQL and Redis where the emulated Aurora, its proxy and ElastiCache lead to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import sql

from tests.support.certificates import self_signed
from tests.support.postgres import OWNER, PostgresServer, postgres_server
from tests.support.redis import RedisServer, redis_server

from . import loopback

POSTGRES_PORT, REDIS_PORT = 5432, 6379
_PASSWORD = "known-to-this-program-alone"


@dataclass(frozen=True, slots=True)
class Stores:
    """address: where both listen, on their usual ports. authority: who signed for them.

    owner: the URL of a user of PostgreSQL who is none of the stacks'.
    """

    address: str
    authority: Path
    postgres: PostgresServer
    redis: RedisServer
    owner: str

    def made(self, about: Any) -> dict[str, Any]:
        """Does what AWS would when a store is made: its database, its user, its password."""
        kind, properties = about["type"], about["properties"]
        if kind == "AWS::RDS::DBCluster":
            self._database(properties)
        elif kind.startswith("AWS::ElastiCache") and properties.get("AuthToken"):
            self.redis.client.config_set("requirepass", properties["AuthToken"])
            self.redis.client.connection_pool.connection_kwargs["password"] = properties[
                "AuthToken"
            ]
        return {}

    def _database(self, properties: Any) -> None:
        user = properties.get("MasterUsername") or "trunkline"
        name = properties.get("DatabaseName") or "postgres"
        known = self._column("SELECT rolname FROM pg_roles")
        verb = "ALTER" if user in known else "CREATE"
        role = sql.SQL(verb + " ROLE {} SUPERUSER LOGIN PASSWORD {}").format(
            sql.Identifier(user), sql.Literal(properties["MasterUserPassword"])
        )
        self.postgres.execute(role, url=self.owner)
        if name not in self._column("SELECT datname FROM pg_database"):
            create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
            self.postgres.execute(create, url=self.owner)

    def _column(self, query: str) -> list[Any]:
        return [row[0] for row in self.postgres.execute(query, url=self.owner)]


@contextmanager
def running(folder: Path) -> Iterator[Stores]:
    """Runs both while the block lasts, with TLS, and with the passwords that the stacks give."""
    address = loopback.address([POSTGRES_PORT, REDIS_PORT])
    certificate = folder / "stores.crt"
    pair = certificate, self_signed(address, certificate)
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server(password=_PASSWORD))
        _encrypt(postgres, pair)
        postgres.execute(f"CREATE ROLE emulation SUPERUSER LOGIN PASSWORD '{_PASSWORD}'")
        owner = f"postgresql://emulation:{_PASSWORD}@127.0.0.1:{postgres.port}/postgres"
        redis = stack.enter_context(redis_server(folder))
        stack.enter_context(loopback.relay(address, POSTGRES_PORT, postgres.port))
        stack.enter_context(loopback.relay(address, REDIS_PORT, redis.port, pair))
        yield Stores(address, pair[0], postgres, redis, owner)


def _encrypt(server: PostgresServer, pair: tuple[Path, Path]) -> None:
    """Lets clients ask for TLS. The files go where the server's own user may read them."""
    data = Path(server.execute("SHOW data_directory")[0][0])
    for source, name in zip(pair, ("server.crt", "server.key"), strict=True):
        target = data / name
        shutil.copy(source, target)
        target.chmod(0o600)
        if OWNER:
            shutil.chown(target, OWNER)
    server.execute("ALTER SYSTEM SET ssl = on")
    server.execute("SELECT pg_reload_conf()")
