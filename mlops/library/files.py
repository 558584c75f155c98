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
    described = {
        name: {} if size is None else {"size": size}
        for name, size in zip(request.labels, request.sizes, strict=True)
    }
    personal = request.strategy == "llmrouter-personalized"
    data = _personal(request, inside) if personal else _common(request, inside)
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
            name: {"embedding": each.tolist()}
            for name, each in zip(request.labels, request.model_embeddings, strict=True)
        }
    path = inside / "router.yaml"
    path.write_text(yaml.safe_dump(configuration), "utf-8")
    return path


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
    for number, measured in enumerate(request.performance):
        for name, performance in zip(request.labels, measured, strict=True):
            if not np.isnan(performance):
                yield {
                    "task_name": "",
                    "query": key(number),
                    "ground_truth": "",
                    "metric": "",
                    "model_name": name,
                    "performance": float(performance),
                    "embedding_id": number,
                }


def _personal(request: Request, inside: Path) -> dict[str, str]:
    """`PersonalizedRouter` reads CSV, with embeddings as numpy prints them; of a query's rows it
    looks only at the first one's, so the others have none."""
    with (inside / "routing.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "llm", "effect", "query_embedding"])
        for number, embedding in enumerate(request.embeddings):
            text = "[" + " ".join(repr(float(each)) for each in embedding) + "]"
            for name, performance in zip(request.labels, request.performance[number], strict=True):
                writer.writerow([f"q{key(number)}", name, float(performance), text])
                text = ""
    embeddings = dict(zip(request.labels, request.model_embeddings, strict=True))
    with (inside / "llm.pkl").open("wb") as file:
        pickle.dump(embeddings, file)
    return {
        "routing_data_path": str(inside / "routing.csv"),
        "llm_embedding_data": str(inside / "llm.pkl"),
    }
