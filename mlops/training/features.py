"""Shapes the features of `trunkline-…` strategies to training data, and computes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from trunkline.routing.heads.features import BUCKETS, Features, read, shape, words

WORD_AXES = 128
SPARE_AXES, ITERATIONS = 32, 6
LEAST_OF_LARGEST = 1e-6
"""Singular values below this share of the largest are rounding errors, and their axes arbitrary."""

MOST_SHAPED = 20_000
"""Queries that shape the features; of more, as many at even distances count."""


def shaped(queries: Sequence[str]) -> Features:
    """Features as these queries need them.

    Shapes are standardised. Words weigh the logarithm of their rarity (inverse document frequency)
    and are projected by latent semantic analysis (Deerwester et al. 1990).
    """
    step = -(-len(queries) // MOST_SHAPED)
    texts = [(text, read(text)) for text in queries[::step]]
    shapes = np.array([shape(text, content) for text, content in texts])
    spread = shapes.std(axis=0)
    weights, rows = _projection([words(content) for _, content in texts])
    steps = np.abs(rows).max(axis=1) / 127
    whole = np.rint(
        np.divide(rows, steps[:, None], out=np.zeros_like(rows), where=steps[:, None] > 0)
    )
    return Features(
        shape_mean=shapes.mean(axis=0).astype(np.float32),
        shape_scale=np.where(spread > 1e-3, 1 / np.maximum(spread, 1e-3), 0).astype(np.float32),
        word_weights=weights.astype(np.float32),
        word_rows=whole.astype(np.int8),
        word_scales=steps.astype(np.float32),
    )


def computed(features: Features, queries: Sequence[str], embeddings: np.ndarray) -> np.ndarray:
    """float32[N, features], by the code that serves."""
    return np.array([features(*each) for each in zip(queries, embeddings, strict=True)])


def _projection(found: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """float[BUCKETS] weights of the words, and float[BUCKETS, WORD_AXES] rows."""
    counts = [len(each) for each in found]
    places = np.concatenate(found)
    seen = np.bincount(places, minlength=BUCKETS)
    weights = np.where(seen > 0, np.log((1 + len(found)) / (1 + seen)), 0.0)
    lengths = [np.linalg.norm(weights[each]) or 1.0 for each in found]
    documents = csr_matrix(
        (weights[places] / np.repeat(lengths, counts), places, np.append(0, np.cumsum(counts))),
        shape=(len(found), BUCKETS),
    )
    return weights, _principal_axes(documents)


def _principal_axes(documents: csr_matrix) -> np.ndarray:
    """float[BUCKETS, WORD_AXES], right singular vectors; zeros for those beyond the rank.

    By randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4), which, unlike
    ARPACK, gives the same axes every time.
    """
    basis = np.random.default_rng(0).standard_normal((BUCKETS, WORD_AXES + SPARE_AXES))
    for _ in range(ITERATIONS):
        basis, _ = np.linalg.qr(documents.T @ (documents @ basis))
    _, sizes, vectors = np.linalg.svd(documents @ basis, full_matrices=False)
    kept = min(int((sizes > LEAST_OF_LARGEST * sizes[0]).sum()), WORD_AXES)
    axes = basis @ vectors[:kept].T
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(kept)])
    return np.pad(axes, ((0, 0), (0, WORD_AXES - kept)))
