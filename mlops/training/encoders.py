"""What the strategies with a neural network of their own share: routerdc and causallm.

The user names a base model: a folder as Hugging Face lays it out, of which no code is run.
LLMRouter trains it in a process of its own (`mlops/library/encoders.py`), which exports it to ONNX.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import Dataset

REQUEST, RESULT, LOG = "request.json", "result.json", "llmrouter.log"


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Distinct queries, in alphabetical order, and how well each model answered each.

    performance: float64[queries, labels]; where several users asked the same, their mean.
    """

    queries: tuple[str, ...]
    performance: np.ndarray


def answered(dataset: Dataset) -> Answered:
    """The queries for which every model was measured. Raises ValueError where there are too few.

    LLMRouter pairs a query's models with the columns by their place alone, so that a missing one
    would shift the others.
    """
    rows: dict[str, list[np.ndarray]] = {}
    for query, performance in zip(dataset.queries, dataset.performance, strict=True):
        if not np.isnan(performance).any():
            rows.setdefault(query, []).append(performance.astype(np.float64))
    if len(rows) < 10:
        raise ValueError(f"only {len(rows)} queries have a measurement of every model: 10 needed")
    if len(dataset.labels) < 2:
        raise ValueError("there must be two models or more to choose among")
    queries = tuple(sorted(rows))
    return Answered(queries, np.array([np.mean(rows[query], axis=0) for query in queries]))


def base_model(folder: object) -> Path:
    """The folder that the configuration names. Raises ValueError where it can't be used."""
    if not isinstance(folder, str) or not folder:
        raise ValueError("base_model must name a folder with a model as Hugging Face lays it out")
    path = Path(folder)
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"base_model: {path / 'config.json'} can't be read: {error}") from None
    if "auto_map" in config:
        raise ValueError(f"base_model: {path} needs code of its own, which is not run")
    return path.absolute()


def train(folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Lets LLMRouter train, and returns its result: `parameters` and `libraries`.

    The other results are files in the folder. Raises ValueError with what went wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).unlink(missing_ok=True)
    (folder / REQUEST).write_text(json.dumps(request), "utf-8")
    root = str(Path(__file__).parents[2])
    path = {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    offline = {"HF_HUB_OFFLINE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    quiet = {"TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}
    with (folder / LOG).open("wb") as log:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "mlops.library.encoders", str(folder)],
            env=os.environ | path | offline | quiet,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    try:
        result = json.loads((folder / RESULT).read_text("utf-8"))
    except (OSError, ValueError):
        raise ValueError(
            f"LLMRouter's process ended with {done.returncode}: see {folder / LOG}"
        ) from None
    if result["error"]:
        raise ValueError(f"{result['error']} (more in {folder / LOG})")
    return dict(result)
