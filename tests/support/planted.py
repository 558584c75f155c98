"""Routing data with tastes planted: of two kinds of users each likes other models, by the subject.

No model suits both kinds on any subject, so that a router which doesn't know the user is right at
most half of the time; nor does any suit one kind on every subject.
"""

from __future__ import annotations

import numpy as np

from mlops.dataset import Dataset
from trunkline.routing.bundles.manifest import EmbedderUsed, Label, Training

DIMENSION, SUBJECTS, MODELS = 16, 3, 4
FAVOURITES = np.array([[0, 1, 2], [1, 2, 3]])
"""The best model of each kind of user, by subject."""


def user(number: int) -> str:
    """Its kind is whether the number is odd."""
    return f"user-{number:03d}"


def centres() -> np.ndarray:
    """float32[SUBJECTS, DIMENSION], of length 1: what a query of each subject is near."""
    drawn = np.random.default_rng(11).normal(size=(SUBJECTS, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def dataset(users: int, each: int, seed: int) -> Dataset:
    """each: queries of every user. Some answers weren't measured."""
    draw = np.random.default_rng(seed)
    count = users * each
    kinds, asked = np.arange(count) % users % 2, draw.integers(SUBJECTS, size=count)
    embeddings = centres()[asked] + draw.normal(scale=0.1, size=(count, DIMENSION))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    performance = np.full((count, MODELS), 0.2)
    performance[np.arange(count), FAVOURITES[kinds, asked]] = 0.9
    performance += draw.uniform(-0.1, 0.1, size=performance.shape)
    performance[draw.random(performance.shape) < 0.1] = np.nan
    return Dataset(
        labels=tuple(Label(name=f"model-{number}") for number in range(MODELS)),
        features=("",) * MODELS,
        queries=tuple(f"query {seed}-{number}" for number in range(count)),
        tasks=tuple(f"subject-{subject}" for subject in asked),
        users=tuple(user(number % users) for number in range(count)),
        performance=performance.astype(np.float32),
        tokens=np.full(performance.shape, np.nan, dtype=np.float32),
        embeddings=embeddings.astype(np.float32),
        embedder=EmbedderUsed(id="static", sha256="0" * 64, max_tokens=64, dimension=DIMENSION),
        training=Training(sha256="0" * 64, queries=count, rows=performance.size),
        created="2026-01-01",
    )
