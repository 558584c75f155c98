"""Where bundles are: a folder, a `.tar`, or `s3://BUCKET/KEY`, which is always a tar."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trunkline.errors import BundleError
from trunkline.routing.bundles.manifest import MANIFEST
from trunkline.routing.bundles.reading import Bundle, Trust, files_of, parse_bundle
from trunkline.routing.bundles.writing import tar

from .errors import MlopsError
from .files import replace_file, replace_folder

S3 = "s3://"


def files(place: str, trust: Trust) -> dict[str, bytes]:
    """The files of a bundle as they are there, unchecked but for their size. Raises MlopsError."""
    try:
        if not place.startswith(S3):
            return files_of(Path(place), trust)
        with tempfile.NamedTemporaryFile() as file:
            shutil.copyfileobj(_s3(place, "get_object")["Body"], file)
            file.flush()
            return files_of(Path(file.name), trust)
    except BundleError as error:
        reason = str(error).removeprefix(file.name if place.startswith(S3) else "")
        raise MlopsError(f"{place}{reason}" if reason != str(error) else reason) from None


def bundle(place: str, found: Mapping[str, bytes], trust: Trust) -> Bundle:
    """The bundle that files are, checked. place: where they were, for errors. Raises MlopsError."""
    try:
        return parse_bundle(place, tar(found), trust)
    except BundleError as error:
        raise MlopsError(str(error)) from None


def write(found: Mapping[str, bytes], place: str) -> None:
    """Puts a bundle's files in a place. Raises MlopsError.

    One that is there is replaced in one step: who reads it sees the old or the new one.
    """
    if place.startswith(S3):
        _s3(place, "put_object", Body=tar(found))
    elif place.endswith(".tar"):
        replace_file(tar(found), Path(place))
    else:
        replace_folder(found, Path(place), marker=MANIFEST)


def exists(place: str) -> bool:
    """Whether there is anything. Raises MlopsError where nobody can know."""
    if not place.startswith(S3):
        return Path(place).exists()
    return _s3(place, "head_object") is not None


def _s3(place: str, operation: str, **arguments: Any) -> Any:
    """What S3 answers; None for the head of an object that isn't there. Raises MlopsError."""
    import boto3  # noqa: PLC0415 - only for those whose bundles are there
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    bucket, _, key = place.removeprefix(S3).partition("/")
    if not (bucket and key):
        raise MlopsError(f"{place}: expected s3://BUCKET/KEY")
    try:
        return getattr(boto3.client("s3"), operation)(Bucket=bucket, Key=key, **arguments)
    except ClientError as error:
        if operation == "head_object" and error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            return None
        raise MlopsError(f"{place}: {error}") from None
    except BotoCoreError as error:
        raise MlopsError(f"{place}: {error}") from None
