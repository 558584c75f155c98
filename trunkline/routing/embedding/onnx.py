"""MiniLM itself, in ONNX: closer to what a query means than the static table, and 100 times slower.

`mlops/embedders/onnx_export.py` makes its folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession, SessionOptions  # type: ignore[import-untyped]
from onnxruntime.capi import (  # type: ignore[import-untyped]
    onnxruntime_pybind11_state as failures,
)

from .embedder import EmbedderError, contents, digest
from .tokens import WordPieces

MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
FACTS = "embedder"
"""The entry of the model's metadata: a JSON object with `id` and `max_tokens`."""

_REMEDY = f"A folder with {MODEL} and {TOKENIZER} is made by mlops, as its embedder `onnx`."
_UNUSABLE = (
    failures.EPFail,
    failures.Fail,
    failures.InvalidArgument,
    failures.InvalidGraph,
    failures.InvalidProtobuf,
    failures.NotImplemented,
    failures.RuntimeException,
)


class OnnxEmbedder:
    """See `Embedder`. The graph takes `input_ids`, int64[1, n], with [CLS] before and [SEP] after
    the text's tokens, and answers float32[1, dimension].
    """

    blocking = True

    def __init__(self, folder: Path) -> None:
        """Raises EmbedderError."""
        files = contents(folder, (MODEL, TOKENIZER), _REMEDY)
        self._session = _session(files[MODEL])
        self.id, self.max_tokens = _facts(self._session)
        self.sha256 = digest(files)
        self._pieces = WordPieces(files[TOKENIZER], self.max_tokens - 2)
        self._start, self._end = self._pieces.special("[CLS]"), self._pieces.special("[SEP]")
        # A graph of another kind fails here, not at the first call.
        self.dimension = self._dimension()

    def embed(self, text: str) -> np.ndarray:
        ids = self._pieces.ids(text).tolist()
        if not ids:
            return np.zeros(self.dimension, dtype=np.float32)
        vector = self._run(ids)
        length = np.linalg.norm(vector)
        return vector / length if length > 0 else vector

    def _run(self, ids: list[int]) -> np.ndarray:
        tokens = np.array([[self._start, *ids, self._end]], dtype=np.int64)
        vector: np.ndarray = self._session.run(None, {"input_ids": tokens})[0][0]
        return vector

    def _dimension(self) -> int:
        try:
            vector = self._run([self._start])
        except (*_UNUSABLE, ValueError, IndexError, TypeError) as error:
            raise EmbedderError(f"{MODEL} is no graph of an embedder: {error}") from None
        if vector.ndim != 1 or vector.dtype != np.float32:
            raise EmbedderError(f"{MODEL} must answer float32[1, d], not {vector.dtype}")
        return len(vector)


def _session(model: bytes) -> InferenceSession:
    options = SessionOptions()
    # Calls run beside each other on threads of the gateway's own; more would fight for the cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _UNUSABLE as error:
        raise EmbedderError(f"{MODEL} can't be loaded: {error}. {_REMEDY}") from None


def _facts(session: InferenceSession) -> tuple[str, int]:
    """The embedder's id and how many tokens it reads."""
    metadata: dict[str, Any] = session.get_modelmeta().custom_metadata_map
    try:
        facts = json.loads(metadata[FACTS])
        return str(facts["id"]), int(facts["max_tokens"])
    except (KeyError, TypeError, ValueError) as error:
        raise EmbedderError(f"{MODEL} doesn't say what it is: {error!r}. {_REMEDY}") from None
