"""Routing data with tastes planted: of two kinds of users each likes other models, by the subject.

No model suits both kinds on any subject, so that a router which doesn't know the user is right at
most half of the time; nor does any suit one kind on every subject.
"""

from __future__ import annotations

import numpy as np

from mlops.dataset import Dataset
from trunkline.routing.bundles.manifest import EmbedderUsed, Label, Training

DIMENSION, SUBJECTS, MODELS = 16, 3, 4
NEW, CHANGED, LATELY = "new", "changed", 10
FAVOURITES = np.array([[0, 1, 2], [1, 2, 3]])
"""The best model of each kind of user, by subject."""


def user(number: int) -> str:
    """Its kind is whether the number is odd."""
    return f"user-{number:03d}"


def centres() -> np.ndarray:
    """float32[SUBJECTS, DIMENSION], of length 1: what a query of each subject is near."""
    drawn = np.random.default_rng(11).normal(size=(SUBJECTS, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def dataset(users: int, each: int, seed: int, guests: bool = False) -> Dataset:
    """each: queries of every user. Some answers weren't measured.

    guests: whether two more users ask in the end: `NEW`, of the second kind, who has few queries,
    and `CHANGED`, who was of the first kind and is now of the second.
    """
    count = users * each
    names = [user(number % users) for number in range(count)]
    kinds = [number % users % 2 for number in range(count)]
    if guests:
        names += [NEW] * 4 + [CHANGED] * 2 * LATELY
        kinds += [1] * 4 + [0] * LATELY + [1] * LATELY
    draw = np.random.default_rng(seed)
    asked = draw.integers(SUBJECTS, size=len(names))
    embeddings = centres()[asked] + draw.normal(scale=0.1, size=(len(names), DIMENSION))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    performance = np.full((len(names), MODELS), 0.2)
    performance[np.arange(len(names)), FAVOURITES[kinds, asked]] = 0.9
    performance += draw.uniform(-0.1, 0.1, size=performance.shape)
    performance[draw.random(performance.shape) < 0.1] = np.nan
    return Dataset(
        labels=tuple(Label(name=f"model-{number}") for number in range(MODELS)),
        features=("",) * MODELS,
        queries=tuple(f"query {seed}-{number}" for number in range(len(names))),
        tasks=tuple(f"subject-{subject}" for subject in asked),
        users=tuple(names),
        performance=performance.astype(np.float32),
        tokens=np.full(performance.shape, np.nan, dtype=np.float32),
        embeddings=embeddings.astype(np.float32),
        embedder=EmbedderUsed(id="static", sha256="0" * 64, max_tokens=64, dimension=DIMENSION),
        training=Training(sha256="0" * 64, queries=len(names), rows=performance.size),
        created="2026-01-01",
    )
