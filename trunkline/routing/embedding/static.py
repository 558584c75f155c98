"""The embedder that ships: a row of a table for each token of the text, added up.

The table is distilled from MiniLM by `mlops/embedders/distill.py`; `data/PROVENANCE.md` says how.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from .embedder import EmbedderError, contents, digest
from .tokens import WordPieces

DATA = Path(__file__).with_name("data")

TABLE = "table.safetensors"
TOKENIZER = "tokenizer.json"
FACTS = "embedder"
"""The entry of the table's metadata: a JSON object with `id` and `max_tokens`."""

_REMEDY = f"A folder with {TABLE} and {TOKENIZER} is made by mlops, as its embedder `static`."


class StaticEmbedder:
    """See `Embedder`. A vector is the sum of scales[t] * rows[t] over the text's tokens t,
    divided by its length.

    The table has `rows`, int8[V, dimension], and `scales`, float32[V], which hold both the step of
    a row's integers and the weight of the token; a token that says nothing has the scale 0.
    """

    blocking = False

    def __init__(self, folder: Path = DATA) -> None:
        """Raises EmbedderError."""
        files = contents(folder, (TABLE, TOKENIZER), _REMEDY)
        facts, self._rows, self._scales = _table(files[TABLE])
        self.id: str = facts["id"]
        self.max_tokens: int = facts["max_tokens"]
        self.dimension: int = self._rows.shape[1]
        self.sha256 = digest(files)
        self._pieces = WordPieces(files[TOKENIZER], self.max_tokens)
        if len(self._pieces) > len(self._rows):
            raise EmbedderError(
                f"{TABLE} has {len(self._rows)} rows, and {TOKENIZER} {len(self._pieces)} tokens"
            )

    def embed(self, text: str) -> np.ndarray:
        ids = self._pieces.ids(text)
        rows = self._rows.take(ids, axis=0).astype(np.float32)
        # Not by BLAS, which rounds otherwise on another kind of processor.
        vector: np.ndarray = np.einsum("i,ij->j", self._scales[ids], rows)
        length = math.sqrt(np.einsum("i,i->", vector, vector))
        if length > 0:
            vector *= 1 / length
        return vector


def _table(data: bytes) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """What the table says of itself, its rows and its scales."""
    try:
        tensors = load(data)
        rows, scales = tensors["rows"], tensors["scales"]
        facts = json.loads(_metadata(data)[FACTS])
        facts = {"id": str(facts["id"]), "max_tokens": int(facts["max_tokens"])}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise EmbedderError(f"{TABLE} is no table of an embedder: {error!r}. {_REMEDY}") from None
    fits = rows.ndim == 2 and scales.shape == rows.shape[:1]
    if not fits or rows.dtype != np.int8 or scales.dtype != np.float32:
        raise EmbedderError(f"{TABLE} must have rows, int8[V, d], and scales, float32[V]")
    if not np.isfinite(scales).all():
        raise EmbedderError(f"{TABLE} has scales that are not finite")
    return facts, rows, scales


def _metadata(data: bytes) -> dict[str, str]:
    """The free entries of a safetensors header, which its library reads only from a file."""
    size = int.from_bytes(data[:8], "little")
    entries: dict[str, str] = json.loads(data[8 : 8 + size])["__metadata__"]
    return entries
