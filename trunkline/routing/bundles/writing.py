"""Writes bundles: the same content gives the same bytes, as a folder and as a `.tar`."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import json_text
from .manifest import FORMAT, MANIFEST, SIGNATURE, WEIGHTS, EmbedderUsed, Label, Training, parse
from .signing import sign

if TYPE_CHECKING:
    import numpy as np


def bundle_files(
    *,
    strategy: str,
    labels: Iterable[Label],
    tensors: Mapping[str, np.ndarray],
    training: Training,
    created: str,
    version: str = "",
    embedder: EmbedderUsed | None = None,
    parameters: Mapping[str, Any] | None = None,
    libraries: Mapping[str, str] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    others: Mapping[str, bytes] | None = None,
    signing_key: bytes | None = None,
) -> dict[str, bytes]:
    """The files of a bundle, by name.

    tensors: numpy arrays. others: files beside the weights. signing_key: PEM; unsigned without.
    version: empty for one made of the day and of what the bundle holds.

    Raises BundleError where the result would not be a bundle.
    """
    from safetensors.numpy import save  # noqa: PLC0415

    held = {WEIGHTS: save({name: tensors[name] for name in sorted(tensors)}), **(others or {})}
    described: dict[str, Any] = {
        "format_version": FORMAT,
        "strategy": strategy,
        "version": version,
        "created": created,
        "labels": [label.model_dump(exclude_none=True) for label in labels],
        "embedder": embedder.model_dump() if embedder else None,
        "parameters": dict(parameters or {}),
        "libraries": dict(sorted((libraries or {}).items())),
        "training": training.model_dump(),
        "evaluation": dict(evaluation or {}),
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in sorted(held.items())
        },
    }
    if not version:
        digest = hashlib.sha256(json_text.dumps(described)).hexdigest()
        described["version"] = f"{created[:10]}-{digest[:12]}"
    manifest = json_text.dumps(described)
    parse(manifest)
    signature = {SIGNATURE: sign(manifest, signing_key)} if signing_key else {}
    return {MANIFEST: manifest, **signature, **held}


def write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Writes a bundle's files into a folder that isn't there yet, or is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def tar(files: Mapping[str, bytes]) -> bytes:
    """A bundle as one archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
