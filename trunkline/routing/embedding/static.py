"""The embedder that ships: a row of a table for each token of the text, added up.

The table is distilled from MiniLM by `mlops/embedders/distill.py`; `data/PROVENANCE.md` says how.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

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

    def embed(self, text: str) -> np.ndarray:
        ids = np.array(self._pieces.ids(text), dtype=np.intp)
        rows = self._rows[ids].astype(np.float32)
        vector: np.ndarray = np.einsum("i,ij->j", self._scales[ids], rows)
        length = np.sqrt(np.einsum("i,i->", vector, vector))
        return vector / length if length > 0 else vector
