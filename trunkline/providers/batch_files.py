"""Batch files name models in every line: our clients' names become the provider's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from .. import json_text
from ..call import Upload

SPOOLED = 1024 * 1024
"""Bytes up to which a file stays in memory."""
LONGEST_LINE = 64 * 1024 * 1024


def first_model(upload: Upload) -> str:
    """The model that the file's first line names; empty where it names none."""
    upload.file.seek(0)
    line = upload.file.readline(LONGEST_LINE)
    upload.file.seek(0)
    request = _request(line)
    model = request["body"].get("model") if request else None
    return model if isinstance(model, str) else ""


async def with_models(upload: Upload, rename: Callable[[str], str | None]) -> Upload:
    """The file with its models renamed; whoever asked for it closes it.

    rename: the provider's name for a model; None leaves the line as it is.
    """
    renamed = await asyncio.to_thread(_rename, upload.file, lru_cache(maxsize=1024)(rename))
    return replace(upload, file=renamed)


def _rename(source: IO[bytes], rename: Callable[[str], str | None]) -> IO[bytes]:
    target = SpooledTemporaryFile(max_size=SPOOLED)  # noqa: SIM115
    source.seek(0)
    try:
        while line := source.readline(LONGEST_LINE):
            target.write(_renamed(line, rename))
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return target


def _renamed(line: bytes, rename: Callable[[str], str | None]) -> bytes:
    request = _request(line)
    if request is None:
        return line
    model = request["body"].get("model")
    name = rename(model) if isinstance(model, str) else None
    if name is None or name == model:
        return line
    request["body"]["model"] = name
    return json_text.dumps(request) + line[len(line.rstrip()) :]


def _request(line: bytes) -> dict[str, Any] | None:
    try:
        request = json_text.loads(line)
    except ValueError:
        return None
    if not isinstance(request, dict) or not isinstance(request.get("body"), dict):
        return None
    return request
