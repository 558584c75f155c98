"""The vectors of examples, made by the very embedder that serves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from trunkline.routing.bundles.manifest import EmbedderUsed
from trunkline.routing.embedding.embedder import EmbedderError
from trunkline.routing.embedding.known import embedder

from .errors import MlopsError, Problems
from .reading import Row

if TYPE_CHECKING:
    from trunkline.routing.embedding.embedder import Embedder

DEFAULT = "static"


def serving_embedder(name: str, folder: Path | None = None) -> Embedder:
    """Raises MlopsError where there is no such embedder."""
    try:
        return embedder(name, folder)
    except EmbedderError as error:
        raise MlopsError(str(error)) from None


def used(made: Embedder) -> EmbedderUsed:
    """What a bundle says of an embedder."""
    return EmbedderUsed(
        id=made.id, sha256=made.sha256, max_tokens=made.max_tokens, dimension=made.dimension
    )


def embedded(rows: Sequence[Row], made: Embedder) -> np.ndarray:
    """float32[rows, dimension]: the rows' own embeddings, where they have no text.

    Raises MlopsError where one was made by another embedder.
    """
    _check(rows, made)
    vectors = np.empty((len(rows), made.dimension), dtype=np.float32)
    for number, row in enumerate(tqdm(rows, "embedding", unit="query", disable=None)):
        vectors[number] = made.embed(row.query) if row.query else row.embedding
    return vectors


def _check(rows: Sequence[Row], made: Embedder) -> None:
    problems = Problems()
    for row in rows:
        if row.query:
            continue
        if len(row.embedding) != made.dimension:
            problems.add("embedding", f"{len(row.embedding)} numbers, not {made.dimension}")
        elif row.embedder_sha256 and row.embedder_sha256 != made.sha256:
            problems.add("embedding", f"made by {row.embedder_sha256[:12]}…, not by {made.id}")
    problems.raise_any()
