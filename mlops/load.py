"""From a prepared folder, or a file of rows, to a dataset in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from trunkline.errors import BundleError
from trunkline.routing.bundles.manifest import EmbedderUsed, Label, Training
from trunkline.routing.candidates_file import Described, read_candidates

from . import examples as build
from .dataset import Dataset
from .embedding import DEFAULT, embedded, serving_embedder, used
from .errors import MlopsError
from .examples import Example
from .files import created
from .reading import read_rows

DESCRIPTION = "dataset.json"
EMBEDDINGS = "embeddings.safetensors"
SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True)
class Reading:
    """How data that isn't prepared is read.

    llm_data: LLMRouter's file of candidates. ties: as in `examples.labels`.
    """

    llm_data: Path | None = None
    embedder: str = DEFAULT
    embedder_path: Path | None = None
    ties: str = "best"


def load(path: Path, split: str = "train", how: Reading = Reading()) -> Dataset:
    """The dataset at a path: a split of a prepared folder, or all of a file of rows.

    Raises MlopsError.
    """
    if path.is_dir():
        return _prepared(path, split)
    described = candidates(how.llm_data)
    found = build.merged(read_rows([path], list(described) or None))
    made = serving_embedder(how.embedder, how.embedder_path)
    labels = build.labels(found, described, how.ties)
    names = [label.name for label in labels]
    text = build.json_lines(found, names)
    return assembled(
        found,
        labels,
        [described[name].feature if name in described else "" for name in names],
        embedded([example.first for example in found], made),
        used(made),
        Training(sha256=hashlib.sha256(text).hexdigest(), queries=len(found), rows=count(found)),
        created([path]),
    )


def candidates(path: Path | None) -> Mapping[str, Described]:
    """Raises MlopsError."""
    try:
        return read_candidates(path) if path else {}
    except BundleError as error:
        raise MlopsError(str(error)) from None


def count(found: Sequence[Example]) -> int:
    """Rows of the examples, repeated ones as one."""
    return sum(len(example.answers) for example in found)


def assembled(
    found: Sequence[Example],
    labels: Sequence[Label],
    features: Sequence[str],
    embeddings: np.ndarray,
    embedder: EmbedderUsed,
    training: Training,
    day: str,
) -> Dataset:
    names = [label.name for label in labels]
    return Dataset(
        labels=tuple(labels),
        features=tuple(features),
        queries=tuple(example.first.query for example in found),
        tasks=tuple(example.first.task for example in found),
        users=tuple(example.first.user for example in found),
        performance=build.matrix(found, names, "performance"),
        tokens=build.matrix(found, names, "tokens"),
        embeddings=embeddings,
        embedder=embedder,
        training=training,
        created=day,
    )


def _prepared(folder: Path, split: str) -> Dataset:
    described = _description(folder)
    try:
        part = described["splits"][split]
        training = Training(**{name: part[name] for name in ("sha256", "queries", "rows")})
        labels = [Label(**label) for label in described["labels"]]
        embedder = EmbedderUsed(**described["embedder"])
        start = part["first_embedding"]
        features, day = described["features"], described["created"]
    except (KeyError, TypeError, ValueError) as error:
        raise MlopsError(f"{folder / DESCRIPTION}: not as `prepare` writes it: {error}") from None
    if not training.queries:
        raise MlopsError(f"{folder}: it has no {split} queries")
    found = build.merged(read_rows([_unaltered(folder / f"{split}.jsonl", training.sha256)]))
    try:
        vectors = load_file(folder / EMBEDDINGS)["embeddings"][start : start + len(found)]
    except (OSError, KeyError, SafetensorError) as error:
        raise MlopsError(f"{folder / EMBEDDINGS}: {error}") from None
    if vectors.shape != (training.queries, embedder.dimension) or len(found) != training.queries:
        raise MlopsError(f"{folder}: {EMBEDDINGS} and {split}.jsonl don't belong together")
    return assembled(found, labels, features, vectors, embedder, training, day)


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        described = json.loads(path.read_bytes())
    except OSError as error:
        raise MlopsError(
            f"{folder}: not a prepared folder: {path.name}: {error.strerror}"
        ) from None
    except ValueError as error:
        raise MlopsError(f"{path}: not JSON: {error}") from None
    if not isinstance(described, dict):
        raise MlopsError(f"{path}: not as `prepare` writes it")
    return described


def _unaltered(path: Path, sha256: str) -> Path:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise MlopsError(f"{path}: {error.strerror}") from None
    if found != sha256:
        raise MlopsError(f"{path}: it was altered after it was prepared: run `prepare` again")
    return path


def prepared_queries(folder: Path, split: str) -> int:
    """How many queries a split of a prepared folder has. Raises MlopsError."""
    part = _description(folder).get("splits", {}).get(split, {})
    return int(part.get("queries", 0))
