"""A bundle as the gateway serves it: its embedder and its head, the very same code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from trunkline.errors import BundleError
from trunkline.routing.bundles.manifest import EmbedderUsed
from trunkline.routing.bundles.reading import Bundle, Trust
from trunkline.routing.bundles.signing import public_key
from trunkline.routing.heads.head import Head, HeadArgs, Query
from trunkline.routing.heads.table import head

from .dataset import Dataset
from .embedding import serving_embedder, used
from .errors import MlopsError
from .places import bundle as checked
from .places import files

if TYPE_CHECKING:
    from trunkline.routing.embedding.embedder import Embedder

LARGEST_BUNDLE = 4 * 1024**3
"""Bytes. Bundles of encoders are large, and who evaluates one made it."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A bundle that decides. embedder: None where its head doesn't embed."""

    bundle: Bundle
    head: Head
    embedder: Embedder | None


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """choice: int[N], columns of the dataset. scores: float[N, L], -inf where the bundle doesn't
    know a model. seconds: float[N], of tokenising, embedding and scoring each query.
    """

    choice: np.ndarray
    scores: np.ndarray
    seconds: np.ndarray


def load_bundle(place: str, keys: Sequence[str] = ()) -> Bundle:
    """The bundle in a place; see `load_files`. Raises MlopsError."""
    return load_files(place, keys)[1]


def load_files(place: str, keys: Sequence[str] = ()) -> tuple[dict[str, bytes], Bundle]:
    """The files of a bundle, and what they are.

    keys: public keys, one of which must have signed it, where there are any. Raises MlopsError.
    """
    try:
        trust = Trust(tuple(map(public_key, keys)), LARGEST_BUNDLE)
    except BundleError as error:
        raise MlopsError(str(error)) from None
    found = files(place, trust)
    return found, checked(place, found, trust)


def serve(
    bundle: Bundle, *, embedder: str = "", folder: Path | None = None, cost_weight: float | None
) -> Served:
    """embedder: its configured name; empty for the one that the bundle's name suggests.

    Raises MlopsError where the bundle can't decide, or was trained with another embedder.
    """
    try:
        built = head(bundle, HeadArgs(cost_weight))
    except BundleError as error:
        raise MlopsError(str(error)) from None
    needed = bundle.manifest.embedder
    if not built.embeds:
        return Served(bundle, built, None)
    if needed is None:
        raise MlopsError("manifest.json: the strategy needs an embedder, and none is named")
    made = serving_embedder(embedder or configured_name(needed), folder)
    if used(made) != needed:
        raise MlopsError(
            f"the bundle was trained with {needed.id} ({needed.sha256[:12]}…), not with {made.id}"
            f" ({made.sha256[:12]}…)"
        )
    return Served(bundle, built, made)


def configured_name(needed: EmbedderUsed) -> str:
    """What a configuration calls the embedder that a bundle names."""
    return "minilm-onnx" if "onnx" in needed.id else "static"


def decide(
    served: Served, dataset: Dataset, cost_weight: float | None = None, *, told: str = ""
) -> Decisions:
    """Every query of the dataset, one after another, as calls come to a gateway.

    told: what the progress bar says; no bar where it is empty.
    """
    places = columns(served.bundle, dataset)
    scores = np.full(dataset.performance.shape, -np.inf)
    seconds = np.zeros(len(dataset))
    for number in tqdm(range(len(dataset)), told, unit="query", disable=None if told else True):
        began = time.perf_counter()
        found = served.head.scores(_query(served, dataset, number, cost_weight))
        seconds[number] = time.perf_counter() - began
        scores[number, places] = found
    # The bundle's own order decides between equals, not the dataset's.
    choice = np.array(places)[np.argmax(scores[:, places], axis=1)]
    return Decisions(choice, scores, seconds)


def columns(bundle: Bundle, dataset: Dataset) -> list[int]:
    """The dataset's column of each label. Raises MlopsError where one has none."""
    known = {name: number for number, name in enumerate(dataset.names)}
    strange = [label for label in bundle.labels if label not in known]
    if strange:
        raise MlopsError(f"the data has no answers of {', '.join(strange)}, which the bundle names")
    return [known[label] for label in bundle.labels]


def _query(served: Served, dataset: Dataset, number: int, cost_weight: float | None) -> Query:
    text = dataset.queries[number]
    embedding = None
    if served.embedder is not None:
        embedding = served.embedder.embed(text) if text else dataset.embeddings[number]
    return Query(text, embedding, dataset.users[number], cost_weight)


def sweep(served: Served, dataset: Dataset, weights: Sequence[float]) -> np.ndarray:
    """int[W, N]: the decisions at each cost weight; one row where weights change none."""
    places = np.array(columns(served.bundle, dataset))
    vectors = _vectors(served, dataset)

    def chosen(weight: float, numbers: Sequence[int]) -> np.ndarray:
        queries = (
            Query(dataset.queries[number], vectors[number], dataset.users[number], weight)
            for number in numbers
        )
        return places[[int(np.argmax(served.head.scores(query))) for query in queries]]

    everyone = range(len(dataset))
    sample = everyone[:: max(1, len(dataset) // 50)]
    if (chosen(0.0, sample) == chosen(max(weights), sample)).all():
        return chosen(weights[0], everyone)[None]
    return np.array([chosen(weight, everyone) for weight in weights])


def _vectors(served: Served, dataset: Dataset) -> Sequence[np.ndarray | None]:
    made = served.embedder
    if made is None:
        return [None] * len(dataset)
    if used(made) == dataset.embedder:
        return list(dataset.embeddings)
    return [made.embed(text) for text in dataset.queries]
