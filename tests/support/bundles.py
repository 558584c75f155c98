"""Bundles for tests, and configurations that route by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trunkline.routing.bundles.manifest import EmbedderUsed, Label, Training
from trunkline.routing.bundles.writing import bundle_files, tar, write_folder
from trunkline.routing.embedding.known import embedder
from trunkline.routing.heads.features import SHAPE

TRAINING = Training(sha256="0" * 64, queries=2, rows=4)


def used() -> EmbedderUsed:
    """The embedder that ships, as a manifest names it."""
    static = embedder("static", None)
    return EmbedderUsed(
        id=static.id,
        sha256=static.sha256,
        max_tokens=static.max_tokens,
        dimension=static.dimension,
    )


def knn_files(texts: Mapping[str, str], **fields: Any) -> dict[str, bytes]:
    """A bundle of `llmrouter-knn` with k = 1: each text is answered by the label given to it.

    fields: of `bundle_files`, in the place of what is made here.
    """
    labels = list(dict.fromkeys(texts.values()))
    static = embedder("static", None)
    points = np.stack([static.embed(text) for text in texts])
    made: dict[str, Any] = {
        "strategy": "llmrouter-knn",
        "labels": [Label(name=name) for name in labels],
        "tensors": {
            "points": points.astype(np.float32),
            "point_labels": np.array([labels.index(label) for label in texts.values()], np.int64),
        },
        "parameters": {"n_neighbors": 1, "weights": "uniform", "metric": "euclidean"},
        "training": TRAINING,
        "created": "2026-01-02",
        "embedder": used(),
    }
    return bundle_files(**(made | fields))


def quality_files(quality: Mapping[str, float], price: Mapping[str, float]) -> dict[str, bytes]:
    """A bundle of `trunkline-cluster` that expects the same of a label whatever is asked.

    price: dollars per million tokens.
    """
    dimension = used().dimension
    tensors = {
        "shape_mean": np.zeros(SHAPE, np.float32),
        "shape_scale": np.zeros(SHAPE, np.float32),
        "centres": np.zeros((1, dimension + SHAPE), np.float32),
        "cluster_quality": np.array([list(quality.values())], np.float32),
    }
    return bundle_files(
        strategy="trunkline-cluster",
        labels=[
            Label(name=name, input_price=price[name], output_price=price[name]) for name in quality
        ],
        tensors=tensors,
        parameters={"cost_weight": 0.0},
        training=TRAINING,
        created="2026-01-02",
        embedder=used(),
    )


def write(files: Mapping[str, bytes], path: Path) -> Path:
    """Writes a bundle as a folder, or as an archive where the path ends with `.tar`."""
    if path.suffix == ".tar":
        path.write_bytes(tar(files))
    else:
        write_folder(files, path)
    return path


def mock(name: str, answer: str, **info: Any) -> dict[str, Any]:
    """An entry of `model_list` that answers by itself."""
    params = {"model": f"openai/{name}", "mock_response": answer}
    return {"model_name": name, "litellm_params": params, "model_info": info}


def routed(models: Sequence[Mapping[str, Any]], strategy: str, **args: Any) -> dict[str, Any]:
    """A configuration of models that a learned strategy ranks."""
    return {
        "model_list": list(models),
        "router_settings": {"routing_strategy": strategy, "routing_strategy_args": args},
    }
