"""Calls in the database in which a gateway keeps what its learned strategies decided."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ..errors import MlopsError
from .seen import Seen

_RECORDS = """
SELECT call_id, query_text, embedding, embedder_sha256, user_id, model, output_tokens, status
FROM routing_records ORDER BY at, call_id
"""
_FEEDBACK = "SELECT call_id, score FROM feedback ORDER BY at, call_id"


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
