"""A causal language model that names the model which should answer, fine-tuned with LLMRouter."""

from __future__ import annotations

from types import MappingProxyType

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
        "num_epochs": 3,
        "batch_size": 4,
        "gradient_accumulation_steps": 4,
        "learning_rate": 2e-5,
        "weight_decay": 0.01,
        "warmup_ratio": 0.1,
        "use_lora": True,
        "lora_r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.1,
        "lora_target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
    }
)
"""LLMRouter's own."""


def train(dataset: Dataset, job: Job) -> Trained:
    """The weights after the last epoch: LLMRouter's trainer keeps no others.

    Hyperparameters: LLMRouter's; `base_model`, a causal language model's folder; `max_tokens` of a
    prompt and a name together. Among equally good models the one that is best over all queries is
    the answer to learn. Raises ValueError.
    """
    chosen = hyperparameters(job.config, DEFAULTS)
    for name in ("num_epochs", "batch_size", "gradient_accumulation_steps", "lora_r"):
        if chosen[name] < 1:
            raise ValueError(f"{name} must be 1 or more")
    data = answered(dataset)
    request = {
        "strategy": "causallm",
        "seed": job.seed,
        "labels": dataset.names,
        "queries": data.queries,
        "answers": _best(data.performance).tolist(),
        "base_model": str(base_model(chosen.pop("base_model"))),
        "hparam": chosen,
    }
    result = train_in_library(job.folder, request)
    return Trained(
        tensors={},
        parameters=result["parameters"],
        embeds=False,
        libraries=result["libraries"],
        others={
            name: (job.folder / name).read_bytes() for name in ("model.onnx", "tokenizer.json")
        },
    )


def _best(performance: np.ndarray) -> np.ndarray:
    """int[queries]: the best label of each; among equals that of the highest mean over all."""
    order = np.argsort(-performance.mean(axis=0), kind="stable")
    found: np.ndarray = order[np.argmax(performance[:, order], axis=1)]
    return found
