"""Trains RouterDC with LLMRouter's `DCTrainer`.

Put right before the library sees it: queries that it is told to test on are a validation part of
the training data, since it keeps the weights that do best on them; the rows of every query name
the models in the same order, since it takes columns for models by their place; any encoder may
stand in the place of DeBERTa; a batch in which a cluster has too few others gives no cluster loss,
where the library pairs the wrong rows or stops.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from llmrouter.models.routerdc import DCRouter, DCTrainer
from llmrouter.models.routerdc import router as library
from llmrouter.models.routerdc.dcmodel import RouterModule
from transformers import AutoModel, AutoTokenizer

from .onnx_export import Encoder, export, save_tokenizer
from .routers import seed

BEST = ("best_model.pth", "best_training_model.pth", "final.pth")
"""The library's files of weights, in the order in which it prefers them."""


def train(folder: Path, inside: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Returns the head's parameters."""
    router = build(inside, request)
    limit = getattr(router.model.backbone.config, "max_position_embeddings", 0)
    if 0 < limit < request["hparam"]["max_tokens"]:
        raise ValueError(f"max_tokens must be at most {limit}, as many as base_model reads")
    seed(request["seed"])
    DCTrainer(router, device=request["hparam"]["device"]).train()
    weights = next(inside / name for name in BEST if (inside / name).exists())
    router.model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    router.model.to("cpu")
    export(Encoder(router.model.backbone), "vector", folder / "encoder.onnx")
    save_tokenizer(router.tokenizer, folder / "tokenizer.json")
    models = router.model.embeddings.weight.detach().numpy().astype(np.float32)
    np.save(folder / "models.npy", models)
    hparam = request["hparam"]
    return {"max_tokens": hparam["max_tokens"], "similarity": hparam["similarity_function"]}


def build(inside: Path, request: dict[str, Any]) -> DCRouter:
    """The library's router with its data."""
    library.DebertaV2Tokenizer = AutoTokenizer
    library.DebertaV2Model = _Backbone
    RouterModule.compute_cluster_loss = _cluster_loss
    held_out = set(request["validation"])
    parts: dict[str, list[int]] = {"train": [], "test": []}
    for number in range(len(request["queries"])):
        parts["test" if number in held_out else "train"].append(number)
    for part, numbers in parts.items():
        _write_rows(inside / f"{part}.jsonl", request, numbers)
    config = json.loads((Path(request["base_model"]) / "config.json").read_text("utf-8"))
    hparam = request["hparam"] | {
        "hidden_state_dim": config["hidden_size"],
        "source_max_token_len": request["hparam"]["max_tokens"],
        "target_max_token_len": request["hparam"]["max_tokens"],
        "sample_loss_weight": 0.0,
    }
    described = {
        "data_path": {
            "routing_data_train": str(inside / "train.jsonl"),
            "routing_data_test": str(inside / "test.jsonl"),
        },
        "model_path": {
            "backbone_model": request["base_model"],
            "save_model_path": str(inside / "final.pth"),
        },
        "hparam": hparam,
    }
    path = inside / "router.yaml"
    path.write_text(yaml.safe_dump(described), "utf-8")
    return DCRouter(str(path))


class _Backbone:
    @staticmethod
    def from_pretrained(path: str) -> torch.nn.Module:
        return AutoModel.from_pretrained(path, attn_implementation="eager").float()


_of_library = RouterModule.compute_cluster_loss


def _cluster_loss(
    self: RouterModule, hidden_state: torch.Tensor, cluster_ids: torch.Tensor, **drawn: float
) -> torch.Tensor:
    others = (cluster_ids[:, None] != cluster_ids).sum(dim=1)
    if int(others.min()) < drawn["H"]:
        return hidden_state.new_zeros(())
    return _of_library(self, hidden_state, cluster_ids, **drawn)


def _write_rows(path: Path, request: dict[str, Any], numbers: list[int]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in numbers:
            query = request["queries"][number]
            scores = request["performance"][number]
            for name, performance in zip(request["labels"], scores, strict=True):
                row = {"query": query, "model_name": name, "performance": performance}
                file.write(json.dumps(row) + "\n")
