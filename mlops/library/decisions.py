"""The library's own decisions on queries that are given by their embeddings."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import embedding
from .extraction import training_scaler
from .files import key
from .request import Request
from .routers import Built, build

GRAPH = "llmrouter-graph"


def decide(folders: list[Path], embeddings: np.ndarray, users: list[str]) -> dict[str, Any]:
    """By folder name: `models`, the names that `route_single` chose, and `seconds` that each call
    took; for the graph router also `scaled_models`, with queries scaled as in training.

    folders: of trainings that kept the library's files. users: who asks each query, where the
    strategy is personalized; those whom training didn't know are an error.
    """
    answers: dict[str, Any] = {}
    for folder in folders:
        request = Request.read(folder)
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            built = build(request, folder)
            embedding.give(embeddings)
            models, seconds = _decided(built, len(embeddings), users)
            answer: dict[str, Any] = {"models": models, "seconds": seconds}
            if request.strategy == GRAPH:
                _scale_as_in_training(built)
                answer["scaled_models"], _ = _decided(built, len(embeddings), users)
        answers[folder.name] = answer
    return answers


def _decided(built: Built, count: int, users: list[str]) -> tuple[list[str], list[float]]:
    models, seconds = [], []
    personal = built.request.strategy == "llmrouter-personalized"
    for number in range(count):
        query: dict[str, Any] = {"query": key(number)}
        if personal:
            query["user_id"] = built.request.users.index(users[number])
        start = time.perf_counter()
        answer = built.router.route_single(query)
        seconds.append(time.perf_counter() - start)
        models.append(answer["model_name"])
    return models, seconds


def _scale_as_in_training(built: Built) -> None:
    """Takes out what is wrong in the graph router: at inference it fits its scaler anew, on
    training queries that are scaled already and a query that isn't."""
    from llmrouter.models.graphrouter import router as module  # noqa: PLC0415

    scaler = training_scaler(built)

    class Fitted:
        def fit(self, _: np.ndarray) -> None:
            """It is fitted."""

        def transform(self, raw: np.ndarray) -> Any:
            return scaler.transform(raw)

    module.MinMaxScaler = Fitted
    # It reads its model from this file at every decision, where there is one; it has it by now.
    built.router.cfg["model_path"]["load_model_path"] = str(built.model.with_name("read"))
