"""What a training is told: by a YAML file, and by options of the command, which win.

    strategy: llmrouter-knn
    data: {train: prepared, llm_data: llm_candidates.json}    # or rows, with test: rows
    hyperparameters: {n_neighbors: 40}
    seed: 0
    embedder: static
    output: bundles/knn.tar

Paths in the file are relative to its folder; the output may be `s3://BUCKET/KEY`, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from trunkline.settings.strategies import LEARNED, canonical

from .embedding import DEFAULT
from .errors import MlopsError
from .places import S3

FIELDS = {
    "strategy": str,
    "seed": int,
    "hyperparameters": dict,
    "embedder": str,
    "embedder_path": str,
    "output": str,
    "version": str,
    "ties": str,
}
DATA = ("train", "test", "llm_data")


@dataclass(frozen=True, slots=True)
class Training:
    """One training, as it was asked for. train: a prepared folder, or rows; test: rows.
    output: a place of `places.py`."""

    strategy: str
    train: Path
    output: str
    test: Path | None = None
    llm_data: Path | None = None
    embedder: str = DEFAULT
    embedder_path: Path | None = None
    seed: int = 0
    version: str = ""
    ties: str = "best"
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


def asked(options: argparse.Namespace) -> Training:
    """Raises MlopsError where something is missing, unknown or of the wrong type."""
    written = _read(options.config) if options.config else {}
    given = {
        "strategy": options.strategy,
        "train": options.data,
        "test": options.test,
        "llm_data": options.llm_data,
        "output": options.output,
        "embedder": options.embedder,
        "embedder_path": options.embedder_path,
        "seed": options.seed,
        "version": options.version,
        "ties": options.ties,
    }
    found = written | {name: value for name, value in given.items() if value is not None}
    missing = [name for name in ("strategy", "train", "output") if name not in found]
    if missing:
        raise MlopsError(f"nothing says {', '.join(missing)}: neither the file nor an option")
    found["strategy"] = strategy(found["strategy"])
    found["hyperparameters"] = {**written.get("hyperparameters", {}), **dict(options.set)}
    return Training(**found)


def strategy(name: str) -> str:
    """The full name of a strategy that can be trained. Raises MlopsError."""
    found = canonical(name)
    if found not in LEARNED:
        known = ", ".join(LEARNED)
        raise MlopsError(f"no strategy that learns is called {name!r}; these are: {known}")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise MlopsError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MlopsError(f"{path}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise MlopsError(f"{path}: expected a mapping")
    data = content.pop("data", {})
    _check(path, content, FIELDS)
    if not isinstance(data, dict):
        raise MlopsError(f"{path}: data: expected a mapping of {', '.join(DATA)}")
    _check(path, data, dict.fromkeys(DATA, str), "data.")
    base = path.parent
    found = content | {name: base / written for name, written in data.items()}
    if "embedder_path" in found:
        found["embedder_path"] = base / found["embedder_path"]
    if not found.get("output", S3).startswith(S3):
        found["output"] = str(base / found["output"])
    return found


def _check(
    path: Path, content: Mapping[str, Any], fields: Mapping[str, type], prefix: str = ""
) -> None:
    for name, value in content.items():
        if name not in fields:
            raise MlopsError(f"{path}: {prefix}{name}: unknown; known are {', '.join(fields)}")
        wanted = fields[name]
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise MlopsError(f"{path}: {prefix}{name}: expected {wanted.__name__}, not {value!r}")
