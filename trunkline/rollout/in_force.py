"""The configuration in force, for whoever judges what is to be served by it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from ..configuration import Configuration
from ..errors import BundleError, ConfigError
from ..live.depot import FOLLOWED, depot
from ..settings import Settings
from .outcomes import RolloutError

T = TypeVar("T")

_UNSET = re.compile(r"the environment variable (\S+) isn't set")


def configuration(
    place: str, environ: Mapping[str, str], *, assuming: bool = False
) -> Settings | None:
    """What a file, an object or a pointer holds, as it is served; None behind a pointer to nothing.

    place: see `Configuration`. environ: also names the secrets. assuming: see `read`.

    Raises RolloutError where it can't be used; SourceError where a pointer can't be had.
    """
    if place.endswith(FOLLOWED):
        found = depot(place).read()
        if found is None or found.pointer.current is None:
            return None
    try:
        return read(lambda known: Configuration(place, known).read(), environ, assuming=assuming)
    except (ConfigError, BundleError) as error:
        raise RolloutError(f"the configuration in force can't be read:\n{error}") from None


def read(by: Callable[[Mapping[str, str]], T], environ: Mapping[str, str], *, assuming: bool) -> T:
    """What is read by an environment.

    assuming: take secrets without which it couldn't be read for given, where they aren't: who
    judges a configuration needs none of them. Raises what reading raises.
    """
    try:
        return by(environ)
    except (ConfigError, BundleError) as error:
        names = _UNSET.findall(str(error)) if assuming else []
        if not names:
            raise
    return by({**environ, **dict.fromkeys(names, "assumed")})
