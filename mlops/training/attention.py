"""How a node of a heterogeneous graph attends to its neighbours, and what graph trainers share.

The Heterogeneous Graph Transformer (Hu et al., WWW 2020, arXiv:2003.01332, section 3): keys and
values are linear in a neighbour, with matrices of the relation's own; one softmax over all
neighbours, of every relation. Its matrices by node type and by relation, and its prior of each
relation, are one matrix here: in these graphs a relation has one type at each end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from trunkline.routing.embedding.static import StaticEmbedder

from ..dataset import Dataset


class Attention(nn.Module):
    """relations: the width of the neighbours of each. width: of the node, shared by the heads."""

    def __init__(self, relations: Mapping[str, int], width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.keys = nn.ModuleDict(
            {name: nn.Linear(size, width) for name, size in relations.items()}
        )
        self.values = nn.ModuleDict(
            {name: nn.Linear(size, width) for name, size in relations.items()}
        )

    def forward(self, query: Tensor, neighbours: Mapping[str, Tensor], present: Tensor) -> Tensor:
        """float[..., width] of a query [..., width].

        neighbours: by relation, float[..., n, its width]. present: bool[..., all n in turn].
        A node without neighbours gets zeros.
        """
        keys = torch.cat(
            [self._split(self.keys[name](each)) for name, each in neighbours.items()], -3
        )
        values = torch.cat(
            [self._split(self.values[name](each)) for name, each in neighbours.items()], -3
        )
        asked = self._split(query)
        logits = (keys * asked[..., None, :, :]).sum(-1) / math.sqrt(asked.shape[-1])
        logits = logits.masked_fill(~present[..., None], -1e9)
        weights = torch.softmax(logits, dim=-2) * present[..., None]
        return (weights[..., None] * values).sum(-3).flatten(-2)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))


class Update(nn.Module):
    """A node's next state from what it attended to and, where it isn't zero, its last state."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.skip = nn.Parameter(torch.ones(()))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, attended: Tensor, last: Tensor | None = None) -> Tensor:
        found = self.linear(gelu(attended, approximate="tanh"))
        if last is not None:
            share = torch.sigmoid(self.skip)
            found = share * found + (1 - share) * last
        return self.norm(self.dropout(found))


def descriptions(dataset: Dataset) -> np.ndarray:
    """float32[labels, dimension]: what each model is, in words, as the shipped embedder has it."""
    embedder = StaticEmbedder()
    texts = zip(dataset.names, dataset.features, strict=True)
    return np.array([embedder.embed(feature or name) for name, feature in texts], np.float32)


def split(count: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers to train on and numbers to validate on, sorted. Raises ValueError."""
    if not 0 < share < 1:
        raise ValueError("validation must be between 0 and 1")
    if count < 10:
        raise ValueError(f"{count} examples are too few: 10 are needed")
    drawn = np.random.default_rng(seed).permutation(count)
    kept = max(1, round(count * share))
    return np.sort(drawn[kept:]), np.sort(drawn[:kept])


def batches(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
