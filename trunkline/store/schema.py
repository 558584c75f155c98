"""Brings a database's tables to what this program knows, once, however many start together."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import (
    URL,
    Connection,
    column,
    create_engine,
    event,
    inspect,
    select,
    table,
    text,
)
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from .aws import signing_in
from .database import CONNECT_SECONDS, StoreError

log = logging.getLogger("trunkline.store")

HEAD = "0002"
"""The newest step in `migrations/versions`."""

VERSION_TABLE = "trunkline_schema"
LOCK = 7_239_118_540_112
"""The advisory lock under which the steps are taken, of PostgreSQL's 64-bit ones."""
PAUSE = 0.5


def upgrade(url: URL, *, patience: float = 0.0) -> bool:
    """Takes the steps that are missing; whether there were any.

    url: see `database.address`. patience: seconds in which a database that doesn't answer is asked
        again.

    Raises StoreError where it can't be reached or used, or where a newer program made it.
    """
    until = time.monotonic() + patience
    while True:
        try:
            return _upgrade(url)
        except OperationalError as error:
            if time.monotonic() >= until or url.get_backend_name() == "sqlite":
                raise StoreError(f"{_shown(url)}: {_reason(error)}") from None
            log.warning("the database can't be reached yet", extra={"error": _reason(error)})
            time.sleep(PAUSE)
        except SQLAlchemyError as error:
            raise StoreError(f"{_shown(url)}: {_reason(error)}") from None


def _upgrade(url: URL) -> bool:
    with _engine_lock(url), _connected(url) as connection:
        version = _version(connection)
        if version == HEAD:
            return False
        with _locked(connection):
            version = _version(connection)
            if version == HEAD:
                return False
            _take_steps(connection, version, url)
            return True


def _take_steps(connection: Connection, version: str | None, url: URL) -> None:
    from alembic.command import upgrade as take  # noqa: PLC0415 - only where a step is missing
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise StoreError(
            f"{_shown(url)}: it has schema {version}, and this program knows {HEAD}:"
            " it was made by a newer one"
        )
    take(config, "head")
    connection.commit()
    log.info("the database's schema is %s now", HEAD, extra={"before": version or "none"})


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        connection.rollback()
        return None
    found = connection.execute(
        select(column("version_num")).select_from(table(VERSION_TABLE))
    ).scalar()
    connection.rollback()
    return str(found) if found is not None else None


@contextlib.contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url.set(drivername="sqlite"))
        event.listen(
            engine, "connect", lambda made, record: made.execute("PRAGMA journal_mode=WAL")
        )
    else:
        engine = create_engine(url, connect_args={"connect_timeout": CONNECT_SECONDS})
        signing_in(engine, url, asynchronous=False)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextlib.contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
        connection.commit()


@contextlib.contextmanager
def _engine_lock(url: URL) -> Iterator[None]:
    """SQLite has no lock that lasts longer than a transaction: a file beside it is locked."""
    if url.get_backend_name() != "sqlite" or not url.database:
        yield
        return
    file = Path(url.database)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror or error}") from None


def _shown(url: URL) -> str:
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string()


def _reason(error: SQLAlchemyError) -> str:
    """The driver's first line; a DSN with a password never stands in it."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
