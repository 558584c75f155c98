"""Routing records in PostgreSQL, where all gateways of a database keep them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import psycopg
from psycopg import sql
from sqlalchemy import URL, Table

from . import tables
from .aws import address
from .routing_records import NotWritten
from .rows import Feedback, RoutingRecord, Row, values

CONNECT_SECONDS = 5

_TABLES: dict[type[Row], Table] = {
    RoutingRecord: tables.routing_records,
    Feedback: tables.routing_feedback,
}


class Tables:
    """The tables of a database, which `store.schema` has made. url: of PostgreSQL."""

    def __init__(self, url: URL) -> None:
        self._url = url

    def insert(self, rows: Sequence[Row]) -> None:
        try:
            with (
                psycopg.connect(address(self._url), connect_timeout=CONNECT_SECONDS) as connection,
                connection.cursor() as cursor,
            ):
                for kind, into in _INTO.items():
                    cursor.executemany(into, [values(row) for row in rows if type(row) is kind])
        except (psycopg.Error, ConnectionError) as error:
            # What the server says of a row may hold what is in it.
            raise NotWritten(type(error).__name__) from None


def _into(kind: type[Row]) -> sql.Composed:
    names = [sql.Identifier(field.name) for field in fields(kind)]
    return sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (call_id) DO UPDATE SET {}").format(
        sql.Identifier(_TABLES[kind].name),
        sql.SQL(", ").join(names),
        sql.SQL(", ").join([sql.Placeholder()] * len(names)),
        sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in names[1:]),
    )


_INTO = {kind: _into(kind) for kind in _TABLES}
