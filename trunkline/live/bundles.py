"""Watching a bundle, wherever it is: on disk or in S3."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from ..telemetry.metrics import Metrics
from .last_good import LastGood
from .places import is_remote, source_of
from .steps import Steps
from .versions import Versions
from .watch import Watch

T = TypeVar("T")


def share() -> tempfile.TemporaryDirectory[str]:
    """The folder of one run of the gateway, which all its processes watch by.

    Made before they are forked; it lives as long as they do.
    """
    return tempfile.TemporaryDirectory(prefix="trunkline-live-")


def watch_bundle(
    name: str,
    where: str,
    steps: Steps[T],
    *,
    shared: Path,
    copies: Path,
    size_limit: int,
    interval: float | None,
    metrics: Metrics,
) -> Watch[T]:
    """Watches a path, `s3://bucket/key`, `gs://bucket/object`, or what a pointer names
    (`…/active.json`).

    `load` it, then `start` it, and `stop` it in the end.

    name: what status and metrics call it; another one for each that is watched.
    shared: the folder that `share` made. copies: where the last good copies of what S3 holds stay
    for the next start, see `copies_folder`.
    size_limit: bytes. interval: seconds between checks; None for checks on request only.

    Raises ValueError for a URL that names no object.
    """
    source = source_of(where, size_limit, trials=True)
    key = hashlib.sha256(f"{name}\n{where}".encode()).hexdigest()[:16]
    return Watch(
        name,
        source,
        Versions(shared / key),
        steps,
        last_good=LastGood(copies / key) if is_remote(where) else None,
        interval=interval,
        metrics=metrics,
    )


def copies_folder(environ: Mapping[str, str]) -> Path:
    """Where copies outlive the process: below `XDG_CACHE_HOME` or `~/.cache`.

    The folder for temporary files where there is no home folder that can be written to.
    """
    home = environ.get("HOME", "")
    cache = Path(environ.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else ""))
    folder = cache / "trunkline" / "bundles"
    if cache.is_absolute():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            pass
        else:
            if os.access(folder, os.W_OK):
                return folder
    return Path(tempfile.gettempdir()) / f"trunkline-{os.getuid()}" / "bundles"
