"""What a job of SageMaker's leaves: `model.tar.gz`, with what was in /opt/ml/model."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlops.errors import MlopsError

BUNDLE = "bundle.tar"
LARGEST = 2**30
"""Bytes of the archive, and of the bundle in it."""


def fetch(s3: Any, url: str, folder: Path) -> Path:
    """The bundle, in the folder. Raises MlopsError, botocore's errors."""
    parts = urlsplit(url)
    bucket, key = parts.netloc, parts.path.lstrip("/")
    if parts.scheme != "s3" or not bucket or not key:
        raise MlopsError(f"{url!r} is no object in S3")
    if s3.head_object(Bucket=bucket, Key=key)["ContentLength"] > LARGEST:
        raise MlopsError(f"{url} is larger than {LARGEST} bytes")
    archive, bundle = folder / "model.tar.gz", folder / BUNDLE
    s3.download_file(bucket, key, str(archive))
    try:
        with tarfile.open(archive, "r:gz") as opened:
            _extract(opened, url, bundle)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise MlopsError(f"{url} can't be read: {error}") from None
    archive.unlink()
    return bundle


def _extract(opened: tarfile.TarFile, url: str, bundle: Path) -> None:
    member = next((each for each in opened if Path(each.name).name == BUNDLE), None)
    if member is None or not member.isfile() or member.size > LARGEST:
        raise MlopsError(f"{url} holds no {BUNDLE}: the job didn't end well")
    source = opened.extractfile(member)
    assert source is not None
    with bundle.open("wb") as target:
        while chunk := source.read(2**20):
            target.write(chunk)
