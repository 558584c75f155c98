"""RouterDC: an encoder and a vector for each model, trained by contrast with LLMRouter."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from ..dataset import Dataset
from .encoders import answered, base_model
from .encoders import train as train_in_library
from .hyperparameters import hyperparameters
from .trainer import Job, Trained

DEFAULTS = MappingProxyType(
    {
        "base_model": "",
        "max_tokens": 512,
        "similarity_function": "cos",
        "training_steps": 1000,
        "eval_steps": 50,
        "batch_size": 64,
        "learning_rate": 5e-5,
        "top_k": 3,
        "last_k": 3,
        "temperature": 1.0,
        "cluster_loss_weight": 1.0,
        "n_clusters": 3,
        "H": 3,
        "gradient_accumulation": 1,
        "validation": 0.1,
        "device": "cpu",
    }
)
"""The paper's, where it tells them (arXiv:2409.19886, section 4.1)."""


def train(dataset: Dataset, job: Job) -> Trained:
    """The weights of the step that does best on a validation part of the data.

    Hyperparameters: LLMRouter's; `base_model`, an encoder's folder; `max_tokens` of a query;
    `validation`, the share of the queries that training doesn't see. Raises ValueError.
    """
    chosen = hyperparameters(job.config, DEFAULTS)
    data = answered(dataset)
    request = {
        "strategy": "routerdc",
        "seed": job.seed,
        "labels": dataset.names,
        "queries": data.queries,
        "performance": data.performance.tolist(),
        "base_model": str(base_model(chosen.pop("base_model"))),
        "validation": _validation(len(data.queries), chosen.pop("validation"), job.seed),
        "hparam": _checked(chosen, len(dataset.labels)),
    }
    result = train_in_library(job.folder, request)
    return Trained(
        tensors={"models": np.load(job.folder / "models.npy", allow_pickle=False)},
        parameters=result["parameters"],
        embeds=False,
        libraries=result["libraries"],
        others={
            name: (job.folder / name).read_bytes() for name in ("encoder.onnx", "tokenizer.json")
        },
    )


def _checked(chosen: dict[str, Any], labels: int) -> dict[str, Any]:
    if chosen["similarity_function"] not in {"cos", "inner"}:
        raise ValueError("similarity_function must be cos or inner")
    for name in ("training_steps", "eval_steps", "batch_size", "gradient_accumulation", "top_k"):
        if chosen[name] < 1:
            raise ValueError(f"{name} must be 1 or more")
    return chosen | {
        "top_k": min(chosen["top_k"], labels),
        "last_k": min(max(chosen["last_k"], 1), labels),
        "eval_steps": min(chosen["eval_steps"], chosen["training_steps"]),
    }


def _validation(count: int, share: float, seed: int) -> list[int]:
    if not 0 < share < 1:
        raise ValueError("validation must be between 0 and 1")
    drawn = np.random.default_rng(seed).permutation(count)
    return sorted(drawn[: max(1, round(count * share))].tolist())
