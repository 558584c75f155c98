"""A bucket, or a part of it, as a depot. See `depot.py`.

The pointer is written with S3's conditional writes (`If-Match`, `If-None-Match`), and an upload is
read by its version, so that what comes later under its key is nothing to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from .depot import Conflict, Found, Gone, Upload, read_pointer
from .pointer import MOST_BYTES, NAME, Pointer, Target, encode
from .s3 import CHUNK, FETCH_SECONDS, SCHEME, connect, told
from .sources import SourceError, too_large

T = TypeVar("T")

_NOT_MODIFIED, _NOT_FOUND = 304, 404
_CONFLICTS = frozenset({409, 412})
"""Somebody else writes at the same time; somebody else has written."""
_UNVERSIONED = "null"


class S3Depot:
    """prefix: what keys begin with; empty, or ending with a slash."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.name = f"{SCHEME}{bucket}/{prefix}{NAME}"
        self.prefix = prefix
        self._bucket = bucket
        self._client: Any = None

    def read(self, known: str | None = None) -> Found | None:
        unless = {} if known is None else {"IfNoneMatch": known}
        try:
            answer = self._ask("get_object", self.prefix + NAME, **unless)
        except _Refused as error:
            if error.status == _NOT_MODIFIED:
                return None
            if error.status == _NOT_FOUND and error.code != "NoSuchBucket":
                return Found(Pointer(), None)
            raise self._failure(NAME, error) from None
        data = self._told(NAME, lambda: answer["Body"].read(MOST_BYTES + 1))
        return read_pointer(self.name, data, answer["ETag"])

    def write(self, pointer: Pointer, tag: str | None) -> None:
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        try:
            self._ask(
                "put_object",
                self.prefix + NAME,
                Body=encode(pointer),
                ContentType="application/json",
                **condition,
            )
        except _Refused as error:
            # Not found: somebody has removed the pointer.
            if error.status in _CONFLICTS or (tag and error.status == _NOT_FOUND):
                raise Conflict(self.name) from None
            raise self._failure(NAME, error) from None

    def fetch(self, what: Upload | Target, into: Path, size_limit: int) -> str:
        if what.size > size_limit:
            raise too_large(what.key, what.size, size_limit, what.etag)
        try:
            answer = self._ask("get_object", what.key, **_version(what))
        except _Refused as error:
            raise self._failure(what.key, error) from None
        if answer["ContentLength"] > size_limit:
            raise too_large(what.key, answer["ContentLength"], size_limit, what.etag)
        return self._told(what.key, lambda: self._saved(answer, into))

    def _saved(self, answer: dict[str, Any], into: Path) -> str:
        deadline, digest = time.monotonic() + FETCH_SECONDS, hashlib.sha256()
        with contextlib.closing(answer["Body"]) as body, into.open("xb") as file:
            for chunk in body.iter_chunks(CHUNK):
                file.write(chunk)
                digest.update(chunk)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not there after {FETCH_SECONDS} seconds")
        return digest.hexdigest()

    def upload(self, name: str, file: Path) -> Upload:
        key = f"{self.prefix}incoming/{name}"
        try:
            with file.open("rb") as body:
                answer = self._ask("put_object", key, Body=body)
        except OSError as error:
            raise SourceError(f"{file}: {error.strerror or error}") from None
        except _Refused as error:
            raise self._failure(key, error) from None
        return self.look(key, answer.get("VersionId", ""))

    def look(self, key: str, version_id: str = "") -> Upload:
        version = {"VersionId": version_id} if version_id not in ("", _UNVERSIONED) else {}
        try:
            answer = self._ask("head_object", key, **version)
        except _Refused as error:
            if error.status == _NOT_FOUND:
                raise Gone(f"{self._place(key)}: there is no such object") from None
            raise self._failure(key, error) from None
        found = answer.get("VersionId", "")
        return Upload(
            key,
            "" if found == _UNVERSIONED else found,
            answer["ETag"],
            answer["ContentLength"],
            answer["LastModified"].timestamp(),
        )

    def listed(self, folder: str) -> list[str]:
        try:
            answer = self._ask("list_objects_v2", None, Prefix=self.prefix + folder)
        except _Refused as error:
            raise self._failure(folder, error) from None
        keys = (each["Key"] for each in answer.get("Contents", ()))
        return sorted(key for key in keys if not key.endswith("/"))

    def marks(self, what: Upload | Target) -> dict[str, str]:
        try:
            answer = self._ask("get_object_tagging", what.key, **_tagged(what))
        except _Refused as error:
            raise self._failure(what.key, error) from None
        return {each["Key"]: each["Value"] for each in answer["TagSet"]}

    def mark(self, what: Upload | Target, marks: dict[str, str]) -> None:
        tags = [{"Key": name, "Value": value} for name, value in marks.items()]
        try:
            self._ask("put_object_tagging", what.key, Tagging={"TagSet": tags}, **_tagged(what))
        except _Refused as error:
            raise self._failure(what.key, error) from None

    # Asking

    def _ask(self, operation: str, key: str | None, **more: Any) -> Any:
        """What S3 answers. Raises _Refused for what it refuses, SourceError for all else."""
        errors = import_module("botocore.exceptions")
        names = {"Key": key} if key is not None else {}

        def ask() -> Any:
            if self._client is None:
                self._client = connect()
            return getattr(self._client, operation)(Bucket=self._bucket, **names, **more)

        try:
            return self._told(key or "", ask)
        except errors.ClientError as error:
            raise _Refused(error.response) from None

    def _told(self, key: str, do: Callable[[], T]) -> T:
        """What a function returns; SourceError for what keeps the bucket from being reached."""
        errors = import_module("botocore.exceptions")
        try:
            return do()
        # ValueError: an endpoint that is no URL.
        except (errors.BotoCoreError, ValueError, OSError) as error:
            self._client = None  # the next one looks for credentials and addresses anew
            raise SourceError(f"{self._place(key)}: {error}") from None

    def _failure(self, key: str, refused: _Refused) -> SourceError:
        self._client = None
        return SourceError(f"{self._place(key)}: {told(refused.error)}")

    def _place(self, key: str) -> str:
        return self.name if key == NAME else f"{SCHEME}{self._bucket}/{key}"


class _Refused(Exception):
    """What S3 answered in the place of what was asked for."""

    def __init__(self, response: dict[str, Any]) -> None:
        super().__init__()
        self.error: dict[str, Any] = response["Error"]
        self.status: int = response["ResponseMetadata"].get("HTTPStatusCode", 0)
        self.code = str(self.error.get("Code", ""))


def _version(what: Upload | Target) -> dict[str, str]:
    """What names the very upload: its version, or its ETag where there are no versions."""
    return {"VersionId": what.version_id} if what.version_id else {"IfMatch": what.etag}


def _tagged(what: Upload | Target) -> dict[str, str]:
    return {"VersionId": what.version_id} if what.version_id else {}
