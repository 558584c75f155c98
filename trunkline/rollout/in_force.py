"""The configuration in force, for whoever judges what is to be served by it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..errors import ConfigError
from ..live.following import Empty, followed
from ..live.s3 import SCHEME, S3Source, parse_url
from ..live.sources import Source, Unfit
from ..settings import Settings, load
from .outcomes import RolloutError

CONFIGURATION_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of a configuration."""


_UNSET = re.compile(r"the environment variable (\S+) isn't set")


def configuration(
    place: str, environ: Mapping[str, str], *, assuming: bool = False
) -> Settings | None:
    """What a file, an object or a pointer holds; None behind a pointer to nothing.

    place: a path or `s3://…`. assuming: see `loaded`.

    Raises RolloutError where it can't be used; SourceError where it can't be had.
    """
    source: Source | None = followed(place, CONFIGURATION_LIMIT)
    if source is None and place.startswith(SCHEME):
        source = S3Source(*parse_url(place), CONFIGURATION_LIMIT)
    if source is None:
        return _told(Path(place), place, environ, assuming)
    with tempfile.TemporaryDirectory(prefix="trunkline-rollout-") as folder:
        try:
            fetched = source.fetch(None, Path(folder) / "config.yaml")
        except Empty:
            return None
        except Unfit as error:
            raise RolloutError(str(error)) from None
        assert fetched is not None
        return _told(fetched.path, place, environ, assuming)


def _told(file: Path, place: str, environ: Mapping[str, str], assuming: bool) -> Settings:
    try:
        return loaded(file, environ, assuming=assuming)
    except ConfigError as error:
        told = str(error).replace(str(file), place)
        raise RolloutError(f"the configuration in force can't be read:\n{told}") from None


def loaded(file: Path, environ: Mapping[str, str], *, assuming: bool = False) -> Settings:
    """A configuration, as `settings.load` reads it.

    assuming: take secrets without which it couldn't be read for given, where they aren't: who
    judges a configuration needs none of them. Raises ConfigError.
    """
    try:
        return load(file, environ)
    except ConfigError as error:
        names = _UNSET.findall(str(error)) if assuming else []
        if not names:
            raise
    return load(file, {**environ, **dict.fromkeys(names, "assumed")})
