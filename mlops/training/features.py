"""Shapes the features of `trunkline-…` strategies to training data, and computes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trunkline.routing.heads.features import Features, shape

MOST_SHAPED = 20_000
"""Queries that shape the features; of more, as many at even distances count."""
FLAT = 1e-3
"""A standard deviation below which a number of a shape tells nothing."""


def shaped(queries: Sequence[str]) -> Features:
    """Features as these queries need them: their shapes are standardised."""
    step = -(-len(queries) // MOST_SHAPED)
    shapes = np.array([shape(text) for text in queries[::step]])
    spread = shapes.std(axis=0)
    return Features(
        shape_mean=shapes.mean(axis=0).astype(np.float32),
        shape_scale=np.where(spread > FLAT, 1 / np.maximum(spread, FLAT), 0).astype(np.float32),
    )


def computed(features: Features, queries: Sequence[str], embeddings: np.ndarray) -> np.ndarray:
    """float32[N, features], by the code that serves."""
    return np.array([features(*each) for each in zip(queries, embeddings, strict=True)])
