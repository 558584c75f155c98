"""LLMRouter's routers and trainers by strategy, and the one way in which they are built and run."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from . import embedding, files
from .request import Request


@dataclass(frozen=True, slots=True)
class Kind:
    """module: in `llmrouter.models`. router, trainer: classes in it; no trainer, nothing to train.

    suffix: of the file that the trainer saves.
    """

    module: str
    router: str
    trainer: str = ""
    suffix: str = ".pkl"


_KNN = Kind("knnrouter", "KNNRouter", "KNNRouterTrainer")
KINDS: Mapping[str, Kind] = {
    "llmrouter-knn": _KNN,
    "llmrouter-knn-multiround": _KNN,
    "llmrouter-svm": Kind("svmrouter", "SVMRouter", "SVMRouterTrainer"),
    "llmrouter-mlp": Kind("mlprouter", "MLPRouter", "MLPTrainer"),
    "llmrouter-mf": Kind("mfrouter", "MFRouter", "MFRouterTrainer"),
    "llmrouter-elo": Kind("elorouter", "EloRouter", "EloRouterTrainer"),
    "llmrouter-hybrid": Kind("hybrid_llm", "HybridLLMRouter", "HybridLLMTrainer"),
    "llmrouter-graph": Kind("graphrouter", "GraphRouter", "GraphTrainer", ".pt"),
    "llmrouter-personalized": Kind(
        "personalizedrouter", "PersonalizedRouter", "PersonalizedRouterTrainer", ".pt"
    ),
    "llmrouter-smallest": Kind("smallest_llm", "SmallestLLM"),
    "llmrouter-largest": Kind("largest_llm", "LargestLLM"),
}


@dataclass(frozen=True, slots=True)
class Built:
    """A router of the library, and where it saves and loads its model."""

    request: Request
    router: Any
    model: Path


def build(request: Request, folder: Path) -> Built:
    """A router with its data loaded, before training or after it."""
    kind = KINDS[request.strategy]
    module = import_module(f"llmrouter.models.{kind.module}")
    embedding.give(request.embeddings)
    seed(request.seed)
    path = files.write(request, folder, kind.suffix)
    router = getattr(module, kind.router)(str(path))
    if request.strategy == "llmrouter-personalized":
        _own_users(router, request)
    return Built(request, router, path.parent / f"model{kind.suffix}")


def train(built: Built) -> None:
    """Trains with the library's trainer, which saves its model to a file."""
    kind = KINDS[built.request.strategy]
    if not kind.trainer:
        return
    module = import_module(f"llmrouter.models.{kind.module}")
    trainer = getattr(module, kind.trainer)(built.router, device="cpu")
    seed(built.request.seed)
    with tqdm(
        total=_steps(built), desc=built.request.strategy, file=sys.__stderr__, mininterval=1.0
    ) as bar:
        optimizer = getattr(trainer, "optimizer", None)
        optimizer = optimizer or getattr(getattr(trainer, "gnn_predictor", None), "optimizer", None)
        if optimizer is not None:
            optimizer.register_step_post_hook(lambda *_: bar.update() and None)
        trainer.train()
        bar.update(bar.total - bar.n)
    if not built.model.exists():
        raise ValueError("LLMRouter saved no model")


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def _own_users(router: Any, request: Request) -> None:
    """Gives every query its own user's feature in training.

    The library deals users out to queries in turn, whoever asked: it repeats the rows of this
    matrix over the queries. With a row for each query there is nothing to repeat.
    """
    router.user_embedding = np.eye(len(request.users), dtype=np.float32)[request.user_numbers]


def _steps(built: Built) -> int:
    """How often the trainer's optimizer steps; 1 where it has none."""
    hparam = built.request.hparam
    match built.request.strategy:
        case "llmrouter-mlp":
            examples = len(built.router.query_embedding_list)
        case "llmrouter-mf":
            examples = len(built.router.pairs)
        case "llmrouter-graph" | "llmrouter-personalized":
            return int(hparam["train_epoch"])
        case _:
            return 1
    return int(hparam["epochs"]) * math.ceil(examples / hparam["batch_size"])
