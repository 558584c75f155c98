"""Multipart forms on their way to a provider: streamed from disk, and sendable again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ..call import Call, Upload

CHUNK = 256 * 1024
IN_MEMORY = 1024 * 1024
"""Bytes up to which a file is read on the spot: larger ones are on disk, which may be slow."""


class FormBody:
    """The form of a call as bytes; iterating anew begins anew.

    fields: what the fields hold now: those that were taken out of a form are not sent on.
    content_type, length: headers of the request that carries it.
    """

    def __init__(self, call: Call, fields: Mapping[str, Any]) -> None:
        boundary = os.urandom(16).hex()
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._closing = f"--{boundary}--\r\n".encode()
        self._parts = [
            (_head(boundary, name, value), value) for name, value in _current(call, fields)
        ]
        self.length = len(self._closing) + sum(
            len(head) + _size(value) + 2 for head, value in self._parts
        )

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for head, value in self._parts:
            yield head
            if isinstance(value, bytes):
                yield value
            else:
                async for chunk in _read(value):
                    yield chunk
            yield b"\r\n"
        yield self._closing


def _current(call: Call, fields: Mapping[str, Any]) -> list[tuple[str, bytes | Upload]]:
    """The form's parts in their order, with the values that the fields have now."""
    parts: list[tuple[str, bytes | Upload]] = []
    seen: dict[str, int] = {}
    for name, value in call.form:
        if isinstance(value, Upload):
            parts.append((name, value))
            continue
        outer, _, inner = name.rstrip("]").partition("[")
        if outer not in fields:
            continue
        now = fields[outer]
        if isinstance(now, dict):
            now = now.get(inner, value)
        elif isinstance(now, list):
            at = seen[outer] = seen.get(outer, -1) + 1
            now = now[at] if at < len(now) else value
        parts.append((name, str(now).encode()))
    sent = {name for name, _ in parts}
    if "model" in fields and "model" not in sent:
        parts.insert(0, ("model", str(fields["model"]).encode()))
    return parts


def _head(boundary: str, name: str, value: bytes | Upload) -> bytes:
    disposition = f'form-data; name="{_quoted(name)}"'
    if isinstance(value, bytes):
        return f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
    return (
        f"--{boundary}\r\n"
        f'Content-Disposition: {disposition}; filename="{_quoted(value.filename)}"\r\n'
        f"Content-Type: {value.content_type}\r\n\r\n"
    ).encode()


def _quoted(name: str) -> str:
    """As browsers quote names in a form (HTML, multipart/form-data encoding algorithm)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _size(value: bytes | Upload) -> int:
    if isinstance(value, bytes):
        return len(value)
    return value.file.seek(0, os.SEEK_END)


async def _read(upload: Upload) -> AsyncIterator[bytes]:
    large = _size(upload) > IN_MEMORY
    upload.file.seek(0)
    while (
        chunk := await asyncio.to_thread(upload.file.read, CHUNK)
        if large
        else (upload.file.read(CHUNK))
    ):
        yield chunk
