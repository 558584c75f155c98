"""From what a user names as a source to what it tells of calls."""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import MlopsError
from . import database, log_lines, otlp
from .seen import Seen

_SQLITE, _GZIP = b"SQLite format 3\0", b"\x1f\x8b"
_S3 = "s3://"
_BESIDE = ("-wal", "-shm", "-journal", ".lock", ".journal", "trunkline.db", "refused.rows")
"""Endings of files that lie beside routing records: SQLite's own, and the gateway's accounts."""


def calls(source: str) -> Iterator[Seen]:
    """What a source tells: a file or folder, `sqlite:///FILE`, `postgresql://…` or
    `s3://BUCKET/PREFIX`.

    Raises MlopsError.
    """
    scheme, separator, rest = source.partition("://")
    if source.startswith(_S3):
        yield from _objects(*rest.partition("/")[::2])
    elif scheme == "sqlite" and separator:
        yield from database.calls(_existing(Path(rest.removeprefix("/"))))
    elif scheme in ("postgresql", "postgres") and separator:
        yield from database.calls_of_server(source)
    elif separator:
        raise MlopsError(
            f"{scheme}://: sources are files, folders, sqlite:///, postgresql:// and s3://"
        )
    else:
        yield from _path(_existing(Path(source)))


def _existing(path: Path) -> Path:
    if not path.exists():
        raise MlopsError(f"{path}: there is no such file or folder")
    return path


def _path(path: Path) -> Iterator[Seen]:
    if not path.is_dir():
        yield from _file(path)
        return
    for inside in sorted(path.rglob("*")):
        if inside.is_file() and not inside.name.endswith(_BESIDE):
            yield from _file(inside)


def _file(path: Path) -> Iterator[Seen]:
    try:
        with path.open("rb") as file:
            start = file.read(len(_SQLITE))
        if start == _SQLITE:
            yield from database.calls(path)
            return
        data = gzip.decompress(path.read_bytes()) if start[:2] == _GZIP else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise MlopsError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    for document in _documents(data):
        if "resourceSpans" in document or "resourceLogs" in document:
            yield from otlp.calls(document)
        else:
            yield from log_lines.calls(document)


def _documents(data: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file: all of it, or one on each line that is one.

    Lines that are not JSON stand in logs where a program printed something, and are passed over.
    """
    whole = _parsed(data)
    for found in [whole] if whole is not None else map(_parsed, data.splitlines()):
        for document in found if isinstance(found, list) else [found]:
            if isinstance(document, dict):
                yield document


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _objects(bucket: str, prefix: str) -> Iterator[Seen]:
    """Of every object below a prefix, as of a file."""
    import boto3  # noqa: PLC0415 - only for those who have data there
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        client = boto3.client("s3")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        if not keys:
            raise MlopsError(f"{_S3}{bucket}/{prefix}: there are no objects")
        with tempfile.TemporaryDirectory() as folder:
            for number, key in enumerate(keys):
                path = Path(folder) / f"{number}-{Path(key).name}"
                client.download_file(bucket, key, str(path))
                yield from _file(path)
                path.unlink()
    except (BotoCoreError, ClientError) as error:
        raise MlopsError(f"{_S3}{bucket}/{prefix}: {error}") from None
