"""The database, the one seam to it: PostgreSQL through psycopg, or a file of SQLite.

database = Database(address(…), …)
async with database.reading() as connection:   nothing is written
async with database.writing() as connection:   a transaction
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ..errors import GatewayError
from .aws import signing_in

log = logging.getLogger("trunkline.store")

FILE = "trunkline.db"
BUSY_SECONDS = 10
CONNECT_SECONDS = 5
RETRY_AFTER = 2.0

_OF_PRISMA = frozenset(
    """
    connection_limit pool_timeout pgbouncer schema socket_timeout statement_cache_size sslidentity
    sslpassword sslaccept
    """.split()
)
"""Parameters that LiteLLM's database client reads in the URL, and libpq doesn't know."""


class StoreError(Exception):
    """The database can't be used at all: why, without its password."""


class StoreUnavailable(GatewayError):
    """The database doesn't answer now."""

    status = 503
    type = "service_unavailable_error"

    def __init__(self) -> None:
        super().__init__(
            "The database can't be reached.", code="database_unavailable", retry_after=RETRY_AFTER
        )


def address(database_url: str | None, folder: Path) -> URL:
    """Where the database is, as SQLAlchemy says it; a file of the folder where none is named.

    Raises StoreError for what is no address of PostgreSQL or SQLite.
    """
    if not database_url:
        return URL.create("sqlite+aiosqlite", database=str(folder / FILE))
    try:
        url = make_url(_without_prisma(database_url))
    except (SQLAlchemyError, ValueError):
        raise StoreError(_NO_ADDRESS) from None
    kind = url.drivername.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and url.database:
        return url.set(drivername="sqlite+aiosqlite")
    raise StoreError(_NO_ADDRESS)


_NO_ADDRESS = "database_url must be postgresql://user:password@host:port/name or sqlite:///file"


def _without_prisma(database_url: str) -> str:
    parts = urlsplit(database_url)
    query = [(n, v) for n, v in parse_qsl(parts.query) if n not in _OF_PRISMA]
    return parts._replace(query=urlencode(query)).geturl() if parts.query else database_url


class Database:
    """Connections, no more at a time than the pool has."""

    def __init__(self, url: URL, *, connections: int, timeout: float) -> None:
        """connections: the pool's size. timeout: seconds that one is waited for."""
        self.url = url
        self._timeout = timeout
        self._engine = _engine(url, connections, timeout)
        self._writer = self._engine.execution_options(writes=True)

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""
        return self._engine.dialect.name

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection. Raises StoreUnavailable."""
        with _told():
            async with self._engine.connect() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, kept if the block ends well. Raises StoreUnavailable."""
        with _told():
            async with self._writer.begin() as connection:
                yield connection

    async def ping(self) -> bool:
        """Whether it answers."""
        try:
            async with asyncio.timeout(self._timeout), self.reading() as connection:
                await connection.execute(text("SELECT 1"))
        except (StoreUnavailable, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        await self._engine.dispose()


def _engine(url: URL, connections: int, timeout: float) -> AsyncEngine:
    if url.get_backend_name() == "postgresql":
        engine = create_async_engine(
            url,
            pool_size=max(1, connections),
            max_overflow=0,
            pool_timeout=timeout,
            pool_pre_ping=True,
            pool_recycle=1800,
            connect_args={"connect_timeout": CONNECT_SECONDS, "application_name": "trunkline"},
        )
        signing_in(engine.sync_engine, url, asynchronous=True)
        return engine
    engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine.sync_engine, "connect")
    def _settings(connection: Any, record: Any) -> None:
        # Left to itself, the driver would begin transactions as readers, which can't all become
        # writers: they would fail at once instead of waiting for each other.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "invalidate")
    def _let_go(connection: Any, record: Any, error: BaseException | None) -> None:
        # Whose caller is cancelled is closed, but that ends no transaction while anything, as a
        # traceback, refers to a statement: nobody else could write.
        with contextlib.suppress(Exception, asyncio.CancelledError):
            connection.rollback()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN")

    return engine


def _writes(connection: Any) -> bool:
    return bool(connection.get_execution_options().get("writes"))


@contextlib.contextmanager
def _told() -> Any:
    """Turns a database that doesn't answer into StoreUnavailable; faults of ours stay faults."""
    try:
        yield
    except (NoConnection, OperationalError, InterfaceError) as error:
        log.warning("the database can't be reached", extra={"error": type(error).__name__})
        raise StoreUnavailable from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable from error
        raise
    except OSError as error:
        raise StoreUnavailable from error
