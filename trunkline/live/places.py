"""What is watched at a place: the one way from a path or URL to a source."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from . import gcs
from .following import followed
from .s3 import SCHEME, S3Source, parse_url
from .sources import FileSource, Source

SCHEMES: Final = (SCHEME, gcs.SCHEME)


def is_remote(place: str) -> bool:
    """Whether a place isn't on this machine, so that a copy of what it holds is kept here."""
    return place.startswith(SCHEMES)


def source_of(place: str, size_limit: int, *, trials: bool = False) -> Source:
    """The source of a path, `s3://bucket/key`, `gs://bucket/object`, or what a pointer names.

    size_limit: bytes. trials: whether candidates that a pointer names are wanted.

    Raises ValueError for a URL that names no object.
    """
    if place.startswith(gcs.SCHEME):
        return gcs.GcsSource(*gcs.parse_url(place), size_limit)
    pointed = followed(place, size_limit, trials=trials)
    if pointed is not None:
        return pointed
    if place.startswith(SCHEME):
        return S3Source(*parse_url(place), size_limit)
    return FileSource(Path(place), size_limit)
