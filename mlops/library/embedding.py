"""Puts embeddings that are made already in the place of LLMRouter's Longformer."""

from __future__ import annotations

import sys

import numpy as np
import torch

from .files import key

_NAME = "get_longformer_embedding"


def give(embeddings: np.ndarray) -> None:
    """From now on every module of the library gets these for the queries that `key` names.

    Each router's module holds the function by name, so it is replaced wherever it is held.
    """
    table = {key(number): torch.from_numpy(each.copy()) for number, each in enumerate(embeddings)}

    def embedding(text: str) -> torch.Tensor:
        return table[text]

    for name, module in list(sys.modules.items()):
        if name.startswith("llmrouter.") and hasattr(module, _NAME):
            setattr(module, _NAME, embedding)
