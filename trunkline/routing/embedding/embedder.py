"""What every embedder is, what it fails with, and the digest that names exactly one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


class EmbedderError(Exception):
    """An embedder can't be built: what is missing or wrong, and what mends it, in one line."""


class Embedder(Protocol):
    """Maps texts to vectors. It may be shared by threads.

    id: its name and size, as "static-minilm-256".
    sha256: hex digest of the files it is made of, so that a bundle can say what it was trained
        with. Embeddings are comparable only where it is the same.
    dimension: length of a vector. max_tokens: of a longer text, the start and the end count.
    blocking: whether `embed` takes milliseconds, and has to run off the event loop.
    """

    @property
    def id(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def blocking(self) -> bool: ...

    def embed(self, text: str) -> np.ndarray:
        """float32[dimension] of length 1; zeros where the text has no token that says anything.

        Any `str` will do, lone surrogates too; what it costs is bounded, however long the text.
        """
        ...


def contents(folder: Path, names: Iterable[str], remedy: str) -> dict[str, bytes]:
    """The bytes of files in a folder, by name.

    remedy: how to get the files, for the error. Raises EmbedderError where one can't be read.
    """
    try:
        return {name: (folder / name).read_bytes() for name in names}
    except OSError as error:
        raise EmbedderError(
            f"The embedder's file {error.filename} can't be read ({error.strerror}). {remedy}"
        ) from None


def digest(files: dict[str, bytes]) -> str:
    """SHA-256 over the SHA-256 of each file, in the order of their names, in hex."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n".encode())
    return whole.hexdigest()
