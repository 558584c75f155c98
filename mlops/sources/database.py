"""Calls in the database in which a gateway keeps what its learned strategies decided: a file of
SQLite, or PostgreSQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ..errors import MlopsError
from .seen import Seen

CONNECT_SECONDS = 30

_RECORD = (
    "SELECT call_id, query_text, embedding, embedder_sha256, user_id, model, output_tokens, status"
)
_RECORDS = f"{_RECORD} FROM routing_records ORDER BY at, call_id"
_FEEDBACK = "SELECT call_id, score FROM feedback ORDER BY at, call_id"
_SERVER_RECORDS = f"{_RECORD} FROM trunkline_routing_records ORDER BY at, call_id"
_SERVER_FEEDBACK = "SELECT call_id, score FROM trunkline_routing_feedback ORDER BY at, call_id"


def calls(path: Path) -> Iterator[Seen]:
    """What an SQLite file tells. A gateway may be writing to it. Raises MlopsError."""
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
            for record in connection.execute(_RECORDS):
                yield _seen(*record)
            for call_id, score in connection.execute(_FEEDBACK):
                yield Seen(call_id, score=score)
    except sqlite3.Error as error:
        raise MlopsError(f"{path}: {error}") from None


def calls_of_server(address: str) -> Iterator[Seen]:
    """What PostgreSQL tells. What the address leaves out comes of libpq's environment, as
    PGPASSWORD does; see `trunkline.store.aws` for one on AWS. Raises MlopsError."""
    import psycopg  # noqa: PLC0415 - only for those who have data there
    from sqlalchemy import make_url  # noqa: PLC0415

    from trunkline.store import aws  # noqa: PLC0415

    try:
        signed = aws.address(make_url(address)) if aws.PARAMETER in address else address
        with psycopg.connect(signed, connect_timeout=CONNECT_SECONDS) as connection:
            connection.read_only = True
            with connection.cursor("records") as records:
                for record in records.execute(_SERVER_RECORDS):
                    yield _seen(*record)
            with connection.cursor("feedback") as judgements:
                for call_id, score in judgements.execute(_SERVER_FEEDBACK):
                    yield Seen(call_id, score=score)
    except (psycopg.Error, ConnectionError) as error:
        raise MlopsError(f"postgresql: {str(error).strip()}") from None


def _seen(
    call_id: str,
    query: str | None,
    embedding: bytes | None,
    embedder_sha256: str | None,
    user: str,
    model: str,
    output_tokens: int | None,
    status: str,
) -> Seen:
    return Seen(
        call_id,
        query=query or "",
        embedding=_vector(embedding),
        embedder_sha256=embedder_sha256 or "",
        user=user,
        model=model,
        output_tokens=output_tokens,
        status=status,
    )


def _vector(data: bytes | None) -> tuple[float, ...]:
    """Of float16, little-endian, in as many digits as those have."""
    if not data:
        return ()
    return tuple(float(f"{value:.5g}") for value in np.frombuffer(data, "<f2").tolist())
