"""The similarity of a query, as an encoder sees it, to a learned vector of each model.

RouterDC (arXiv:2409.19886, section 3) trains the encoder and the vectors by two contrastive
losses. LLMRouter's `DCRouter` takes the encoder's first token ([CLS]) for the query, and keeps the
last tokens of a text that is too long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from .head import HeadArgs, Query
from .onnx_session import OnnxNetwork, encode, tokenizer
from .parameters import choice, whole

if TYPE_CHECKING:
    from ..bundles.reading import Bundle

ENCODER = "encoder.onnx"
OUTPUT = "vector"
LONGEST_TOKEN = 32
"""Characters. Of a text only so many a token are read, which bounds the time that it takes."""


class RouterDCHead:
    """Tensors: `models` float[labels, width].

    Files: `encoder.onnx`, from `input_ids` int64[1, tokens] to `vector` float[1, width];
    `tokenizer.json`.

    Parameters: `max_tokens`, with those that the tokenizer adds; `similarity` (cos, inner).
    """

    embeds = False
    blocking = True

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        self._max_tokens = whole(bundle, "max_tokens", 8, 8192)
        self._cosine = choice(bundle, "similarity", ("cos", "inner")) == "cos"
        models = bundle.weights.take("models", "F", "labels", "width")
        self._models = _unit(models) if self._cosine else models
        self._tokenizer = tokenizer(bundle)
        self._tokenizer.enable_truncation(self._max_tokens, direction="left")
        self._encoder = OnnxNetwork(bundle, ENCODER, OUTPUT)
        width = len(self._vector(""))
        if width != models.shape[1]:
            raise BundleError(
                f"{ENCODER}: {OUTPUT} has {width} numbers, and 'models' {models.shape[1]} a label"
            )

    def scores(self, query: Query) -> np.ndarray:
        vector = self._vector(query.text)
        scores: np.ndarray = self._models @ (_unit(vector) if self._cosine else vector)
        return scores

    def _vector(self, text: str) -> np.ndarray:
        ids = encode(self._tokenizer, text[-self._max_tokens * LONGEST_TOKEN :]).ids
        if not ids:
            raise BundleError("tokenizer.json makes no token of an empty text")
        return self._encoder(ids)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    units: np.ndarray = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return units
