"""From a folder or a `.tar` to a bundle, with everything checked that can be without its strategy.

Sizes come first, so that nothing large is read; then the signature, so that nothing of a bundle
that isn't trusted is parsed but its signature; then the manifest, and every file against it.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from ...dataclass import dataclass
from ...errors import BundleError
from .manifest import LARGEST_MANIFEST, MANIFEST, MOST_FILES, SIGNATURE, WEIGHTS, Manifest, parse
from .weights import Weights, read

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIZE_LIMIT = 256 * 1024 * 1024
"""Bytes that a bundle may have where nothing else is configured."""

_ROUNDING = 64 * 1024
"""What a tar may have beyond its files: headers and padding."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What is accepted. keys: whose signatures; any bundle where there are none.

    size_limit: bytes.
    """

    keys: tuple[Ed25519PublicKey, ...] = ()
    size_limit: int = SIZE_LIMIT


ANYBODY = Trust()


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle whose files are what its manifest says.

    digest: SHA-256 of its manifest, and so of all that it holds.
    files: those beside the weights, by name.
    signed_by: the id of the key that signed it; empty where signatures aren't asked for.
    """

    manifest: Manifest
    weights: Weights = field(repr=False)
    digest: str
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    signed_by: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        return self.manifest.names


def read_bundle(path: Path, trust: Trust = ANYBODY) -> Bundle:
    """The bundle at a path: a folder, or a `.tar` file. Raises BundleError."""
    return _bundle(str(path), files_of(path, trust), trust)


def files_of(path: Path, trust: Trust = ANYBODY) -> dict[str, bytes]:
    """The files of a bundle, unchecked but for their sizes. Raises BundleError."""
    try:
        return _folder(path, trust) if path.is_dir() else _archive(path, trust)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror or error}") from None
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None


def parse_bundle(name: str, data: bytes, trust: Trust = ANYBODY) -> Bundle:
    """The bundle that the bytes of a `.tar` are. name: what errors call it. Raises BundleError."""
    try:
        _check_size(len(data), trust)
        files = _unpack(io.BytesIO(data), trust)
    except BundleError as error:
        raise BundleError(f"{name}: {error}") from None
    return _bundle(name, files, trust)


def _bundle(name: str, files: Mapping[str, bytes], trust: Trust) -> Bundle:
    try:
        return _checked(files, trust)
    except BundleError as error:
        raise BundleError(f"{name}: {error}") from None


def _checked(files: Mapping[str, bytes], trust: Trust) -> Bundle:
    text = files.get(MANIFEST)
    if text is None:
        raise BundleError(f"not a bundle: it holds no {MANIFEST}")
    signer = ""
    if trust.keys:
        from .signing import verify  # noqa: PLC0415 - cryptography loads only where it is needed

        signer = verify(text, files.get(SIGNATURE), trust.keys)
    manifest = parse(text)
    held = {name: data for name, data in files.items() if name not in {MANIFEST, SIGNATURE}}
    _compare(manifest, held)
    sizes = {"labels": len(manifest.labels)}
    if manifest.embedder is not None:
        sizes["dimension"] = manifest.embedder.dimension
    weights = read(held.pop(WEIGHTS), sizes)
    return Bundle(manifest, weights, hashlib.sha256(text).hexdigest(), held, signer)


def _compare(manifest: Manifest, held: Mapping[str, bytes]) -> None:
    for name in sorted(held.keys() ^ manifest.files.keys()):
        what = "is there but not in the manifest" if name in held else "is missing"
        raise BundleError(f"the file {name!r} {what}")
    for name, entry in manifest.files.items():
        if len(held[name]) != entry.size:
            raise BundleError(
                f"the file {name!r} has {len(held[name])} bytes, and its manifest says {entry.size}"
            )
        if hashlib.sha256(held[name]).hexdigest() != entry.sha256:
            raise BundleError(f"the file {name!r} is not the one that its manifest describes")


def _folder(path: Path, trust: Trust) -> dict[str, bytes]:
    found = [each for each in sorted(path.iterdir()) if not each.name.startswith(".")]
    _check_count(found)
    for each in found:
        if each.is_symlink() or not each.is_file():
            raise BundleError(f"{each.name!r} is not a plain file")
    _check_size(sum(each.stat().st_size for each in found), trust)
    return {each.name: _limited(each) for each in found}


def _limited(path: Path) -> bytes:
    """A file's bytes; of a manifest no more than one may have, which parsing then refuses."""
    with path.open("rb") as file:
        return file.read(LARGEST_MANIFEST + 1 if path.name == MANIFEST else -1)


def _archive(path: Path, trust: Trust) -> dict[str, bytes]:
    _check_size(path.stat().st_size - _ROUNDING, trust)
    with path.open("rb") as file:
        return _unpack(file, trust)


def _unpack(file: io.BufferedReader | io.BytesIO, trust: Trust) -> dict[str, bytes]:
    """The files of an archive. Compressed ones aren't taken: their size can't be known before."""
    files: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isdir() and name in {"", "."}:
                    continue
                if not member.isreg() or "/" in name or "\\" in name or member.issparse():
                    raise BundleError(f"{name!r} is not a plain file at the top of the archive")
                if name in files:
                    raise BundleError(f"the file {name!r} is there twice")
                total += member.size
                _check_size(total, trust)
                content = archive.extractfile(member)
                assert content is not None
                files[name] = content.read()
                _check_count(files)
    except tarfile.TarError as error:
        raise BundleError(f"not a bundle: neither a folder nor a tar file ({error})") from None
    return files


def _check_count(files: Sequence[object] | Mapping[str, object]) -> None:
    if len(files) > MOST_FILES + 2:
        raise BundleError(f"more than {MOST_FILES} files")


def _check_size(size: int, trust: Trust) -> None:
    if size > trust.size_limit:
        raise BundleError(f"{size} bytes, more than the {trust.size_limit} that a bundle may have")
