"""Networks of torch as ONNX files with the one input and the one output that serving expects."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch

OPSET = 18


class Encoder(torch.nn.Module):
    """The vector of a text's first token. int64[1, tokens] -> float[1, width]."""

    def __init__(self, backbone: torch.nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        found = self.backbone(input_ids=input_ids, attention_mask=torch.ones_like(input_ids))
        return found["last_hidden_state"][:, 0].float()


class NextToken(torch.nn.Module):
    """The logits of the token that follows. int64[1, tokens] -> float[1, vocabulary]."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        last = "logits_to_keep" in inspect.signature(model.forward).parameters
        self.options: dict[str, Any] = {"logits_to_keep": 1} if last else {}

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        mask = torch.ones_like(input_ids)
        found = self.model(
            input_ids=input_ids, attention_mask=mask, use_cache=False, **self.options
        )
        return found.logits[:, -1].float()


def export(network: torch.nn.Module, output: str, path: Path) -> None:
    """Writes one file. Raises ValueError where it is too large for one: 2 GB."""
    network.eval()
    example = torch.ones((1, 9), dtype=torch.int64)
    torch.onnx.export(
        network,
        (example,),
        str(path),
        input_names=["input_ids"],
        output_names=[output],
        dynamic_axes={"input_ids": {1: "tokens"}},
        opset_version=OPSET,
        dynamo=False,
    )
    beside = [each for each in path.parent.iterdir() if each.name.startswith("onnx__")]
    if beside:
        raise ValueError("the model has more than the 2 GB that one ONNX file can have")


def save_tokenizer(tokenizer: Any, path: Path) -> None:
    """`tokenizer.json`, neither padding nor cutting. Raises ValueError for a slow tokenizer."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ValueError("base_model: its tokenizer has no tokenizer.json, and can't be given one")
    backend.no_padding()
    backend.no_truncation()
    path.write_text(backend.to_str(), "utf-8")
