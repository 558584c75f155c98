"""From what was trained to the files of a bundle, signed where there is a key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trunkline.errors import BundleError
from trunkline.routing.bundles.writing import bundle_files

from .dataset import Dataset
from .errors import MlopsError
from .training.trainer import Trained

SIGNING_KEY = "TRUNKLINE_BUNDLE_SIGNING_KEY"


def signing_key(path: Path | None) -> bytes | None:
    """The PEM of the key that signs: of a file, or of the environment; None where there is none.

    The variable holds the PEM itself, or names a file. Raises MlopsError.
    """
    written = os.environ.get(SIGNING_KEY, "").strip()
    if path is None:
        if not written or written.startswith("-----"):
            return written.encode() or None
        path = Path(written)
    try:
        return path.read_bytes()
    except OSError as error:
        raise MlopsError(f"the signing key {path}: {error.strerror}") from None


def exported(
    dataset: Dataset,
    trained: Trained,
    strategy: str,
    *,
    version: str = "",
    evaluation: Mapping[str, Any] | None = None,
    key: bytes | None = None,
) -> dict[str, bytes]:
    """The files of the bundle. Raises MlopsError."""
    try:
        return bundle_files(
            strategy=strategy,
            labels=dataset.labels,
            tensors=trained.tensors,
            training=dataset.training,
            created=dataset.created,
            version=version,
            embedder=dataset.embedder if trained.embeds else None,
            parameters=trained.parameters,
            libraries=trained.libraries,
            evaluation=evaluation,
            others=trained.others,
            signing_key=key,
        )
    except BundleError as error:
        raise MlopsError(str(error)) from None
