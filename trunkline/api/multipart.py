"""Multipart forms: fields and files in their order, large files on disk, all within the limit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import field
from typing import Any

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ..call import Upload
from ..dataclass import dataclass
from ..errors import InvalidRequest, RequestTimeout
from .http import BODY_SECONDS, Receive, broken_off, too_large

LARGEST_FIELD = 8 * 1024 * 1024
MOST_PARTS = 1000
"""Bytes of a field that is no file; parts of each kind in one form."""

_BRACKETS = re.compile(r"(.+?)\[(\w*)\]")


@dataclass(frozen=True, slots=True)
class Form:
    """What a form holds.

    parts: all of it, in its order, under the names that the client gave.
    fields: what isn't a file, by name; `a[]` and repeated names make an array, `a[b]` an object.
    uploads: what is a file.
    """

    parts: tuple[tuple[str, str | Upload], ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    uploads: tuple[Upload, ...] = ()


NO_FORM = Form()


def is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith("multipart/form-data")


async def read_form(receive: Receive, headers: Mapping[str, str], limit: int) -> Form:
    """The form of a request's body of at most `limit` bytes. The caller closes its uploads.

    Raises InvalidRequest, RequestTooLarge, RequestTimeout.
    """
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large(limit)
    parser = MultiPartParser(
        Headers({"content-type": headers["content-type"]}),
        _chunks(receive, limit),
        max_files=MOST_PARTS,
        max_fields=MOST_PARTS,
        max_part_size=LARGEST_FIELD,
    )
    try:
        parsed = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"The request's form can't be read: {error.message}") from None
    return form_of(parsed.multi_items())


async def _chunks(receive: Receive, limit: int) -> AsyncGenerator[bytes, None]:
    size = 0
    more = True
    while more:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            raise RequestTimeout(
                f"No more of the request's body came for {BODY_SECONDS:.0f} seconds."
            ) from None
        if message["type"] == "http.disconnect":
            raise broken_off()
        more = message.get("more_body", False)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        if chunk:
            yield chunk


def form_of(items: Iterable[tuple[str, UploadFile | str]]) -> Form:
    """The form that holds these parts."""
    parts = tuple((name, _part(name, value)) for name, value in items)
    fields: dict[str, Any] = {}
    for name, value in parts:
        if isinstance(value, str):
            _put(fields, name, value)
    return Form(parts, fields, tuple(part for _, part in parts if isinstance(part, Upload)))


def _part(name: str, value: UploadFile | str) -> str | Upload:
    if isinstance(value, str):
        return value
    found = _BRACKETS.fullmatch(name)
    return Upload(
        field=found[1] if found else name,
        filename=value.filename or "",
        content_type=value.content_type or "application/octet-stream",
        file=value.file,
    )


def _put(fields: dict[str, Any], name: str, value: str) -> None:
    found = _BRACKETS.fullmatch(name)
    if found and found[2]:
        inner = fields.setdefault(found[1], {})
        if isinstance(inner, dict):
            inner[found[2]] = value
    elif found:
        _append(fields, found[1], value)
    elif name in fields:
        _append(fields, name, value)
    else:
        fields[name] = value


def _append(fields: dict[str, Any], name: str, value: str) -> None:
    before = fields.get(name, [])
    fields[name] = [*(before if isinstance(before, list) else [before]), value]
