"""Prepared routing data in memory: who asked what, and how well each model answered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trunkline.routing.bundles.manifest import EmbedderUsed, Label, Training


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """N examples over L models. An example is a query of a user; no two are the same.

    labels: the models, in the order of the columns; with prices and sizes where they are known.
    features: what each model is, in words; empty where nobody said.
    queries, tasks, users: of each example; "" where there is no task or user.
    performance: float32[N, L] in [0, 1]; NaN where it wasn't measured.
    tokens: float32[N, L], tokens of the answer; NaN where they weren't counted.
    embeddings: float32[N, embedder.dimension], made by the embedder that serves.
    training: the digest and size of the data that this is, or was split from.
    created: ISO 8601 day or time of the data, UTC.
    """

    labels: tuple[Label, ...]
    features: tuple[str, ...]
    queries: tuple[str, ...]
    tasks: tuple[str, ...]
    users: tuple[str, ...]
    performance: np.ndarray
    tokens: np.ndarray
    embeddings: np.ndarray
    embedder: EmbedderUsed
    training: Training
    created: str

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)
