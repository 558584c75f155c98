"""LLMRouter's own files, written from a request: YAML, JSONL, CSV and its torch embeddings.

A query is known to the library by its number, written out: LLMRouter needs no text but to embed it,
and embeddings come from `embedding.py`.
"""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from .request import Request

SUBFOLDER = "llmrouter"


def key(number: int) -> str:
    """What a query is called. Sorts as the numbers do: LLMRouter orders queries by their text."""
    return f"{number:09d}"


def write(request: Request, folder: Path, suffix: str) -> Path:
    """Writes them all, and returns the YAML file's path. suffix: of the library's model file."""
    inside = folder.absolute() / SUBFOLDER
    inside.mkdir(exist_ok=True)
    names = [request.labels[number] for number in request.order]
    described = {
        name: _described(request, number) for name, number in zip(names, request.order, strict=True)
    }
    data = (
        _personal(request, inside, names)
        if request.strategy == "llmrouter-personalized"
        else (_common(request, inside))
    )
    (inside / "llm.json").write_text(json.dumps(described), "utf-8")
    model = str(inside / f"model{suffix}")
    configuration = {
        "data_path": {**data, "llm_data": str(inside / "llm.json")},
        "model_path": {"ini_model_path": "", "save_model_path": model, "load_model_path": model},
        "hparam": dict(request.hparam),
        **request.settings,
    }
    if request.strategy == "llmrouter-graph":
        configuration["llm_data"] = {
            name: {"embedding": request.model_embeddings[number].tolist()}
            for name, number in zip(names, request.order, strict=True)
        }
    path = inside / "router.yaml"
    path.write_text(yaml.safe_dump(configuration), "utf-8")
    return path


def _described(request: Request, number: int) -> dict[str, Any]:
    size = request.sizes[number]
    return {} if size is None else {"size": size}


def _common(request: Request, inside: Path) -> dict[str, str]:
    with (inside / "routing.jsonl").open("w", encoding="utf-8") as file:
        for row in _rows(request):
            file.write(json.dumps(row) + "\n")
    embeddings = {number: torch.from_numpy(each) for number, each in enumerate(request.embeddings)}
    torch.save(embeddings, inside / "embeddings.pt")
    return {
        "routing_data_train": str(inside / "routing.jsonl"),
        "query_embedding_data": str(inside / "embeddings.pt"),
    }


def _rows(request: Request) -> Iterator[dict[str, Any]]:
    for number in range(len(request)):
        for label in request.order:
            performance = float(request.performance[number, label])
            if not np.isnan(performance):
                yield {
                    "task_name": "",
                    "query": key(number),
                    "ground_truth": "",
                    "metric": "",
                    "model_name": request.labels[label],
                    "performance": performance,
                    "embedding_id": number,
                }


def _personal(request: Request, inside: Path, names: list[str]) -> dict[str, str]:
    """`PersonalizedRouter` reads CSV, with the embedding as numpy prints it. It looks only at that
    of a query's first row, so the others have none."""
    with (inside / "routing.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "llm", "effect", "query_embedding"])
        for number, embedding in enumerate(request.embeddings):
            text = "[" + " ".join(repr(float(each)) for each in embedding) + "]"
            for label in request.order:
                row = [f"q{key(number)}", request.labels[label]]
                writer.writerow([*row, float(request.performance[number, label]), text])
                text = ""
    embeddings = {
        name: request.model_embeddings[number]
        for name, number in zip(names, request.order, strict=True)
    }
    with (inside / "llm.pkl").open("wb") as file:
        pickle.dump(embeddings, file)
    return {
        "routing_data_path": str(inside / "routing.csv"),
        "llm_embedding_data": str(inside / "llm.pkl"),
    }
