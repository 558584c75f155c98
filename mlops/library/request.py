"""What the process that trains is asked for and answers, as files in a folder. No pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

_ARRAYS = ("performance", "embeddings", "user_numbers", "model_embeddings")


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One training. N examples over L labels.

    strategy: its full name. hparam: LLMRouter's section of that name.
    settings: what LLMRouter has beside it. seed: of everything random.
    labels: names, in the order of a query's rows: LLMRouter takes the first of the best for the
        best. sizes: of each, as LLMRouter reads them ("7B"); None where unknown.
    users: names, each once. user_numbers: int[N], who asked.
    performance: float32[N, L]; NaN where it wasn't measured. embeddings: float32[N, dimension].
    model_embeddings: float32[L, dimension], of what each model is in words.
    """

    strategy: str
    hparam: Mapping[str, Any]
    settings: Mapping[str, Any]
    seed: int
    labels: tuple[str, ...]
    sizes: tuple[str | None, ...]
    users: tuple[str, ...]
    performance: np.ndarray
    embeddings: np.ndarray
    user_numbers: np.ndarray
    model_embeddings: np.ndarray

    def __len__(self) -> int:
        return len(self.embeddings)

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        arrays = {name: plain.pop(name) for name in _ARRAYS}
        (folder / "request.json").write_text(json.dumps(plain), "utf-8")
        np.savez(folder / "request.npz", **arrays)

    @classmethod
    def read(cls, folder: Path) -> Request:
        plain = json.loads((folder / "request.json").read_text("utf-8"))
        for name in ("labels", "sizes", "users"):
            plain[name] = tuple(plain[name])
        with np.load(folder / "request.npz", allow_pickle=False) as arrays:
            return cls(**plain, **{name: arrays[name] for name in _ARRAYS})


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a training gave: a bundle's tensors and parameters; or why it didn't.

    libraries: versions, by package name. error: a text for the user.
    """

    tensors: Mapping[str, np.ndarray]
    parameters: Mapping[str, Any]
    libraries: Mapping[str, str]
    error: str = ""

    def write(self, folder: Path) -> None:
        plain = {
            "parameters": self.parameters,
            "libraries": self.libraries,
            "error": self.error,
        }
        np.savez(folder / "result.npz", **self.tensors)
        (folder / "result.json").write_text(json.dumps(plain), "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Result:
        """Raises FileNotFoundError where the process left none."""
        plain = json.loads((folder / "result.json").read_text("utf-8"))
        with np.load(folder / "result.npz", allow_pickle=False) as arrays:
            return cls(tensors=dict(arrays), **plain)
