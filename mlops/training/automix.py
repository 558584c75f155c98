"""AutoMix: for which confidence of the small model in its answer the larger one is asked.

Confidences are measured, not learned: a file says for each query which share of the small model's
checks approved of its answer. LLMRouter searches its rules for the one that gains most for its
cost (arXiv:2310.12963, sections 3.2 and 3.3), in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from trunkline.routing.strength import by_strength
from trunkline.routing.workflows.confidence import MOST_SAMPLES, SAMPLES

from ..dataset import Dataset
from .hyperparameters import hyperparameters
from .trainer import Job, Trained

DEFAULTS = MappingProxyType(
    {
        "verified": "",
        "small": "",
        "large": "",
        "samples": SAMPLES,
        "routing_method": "POMDP",
        "num_bins": 8,
        "small_model_cost": 1.0,
        "large_model_cost": 50.0,
        "verifier_cost": 1.0,
    }
)
"""Costs are LLMRouter's: of an answer of each model, and of all checks of one."""
METHODS = ("POMDP", "Threshold", "SelfConsistency")
REQUEST, RESULT, LOG = "request.json", "result.json", "llmrouter.log"


def train(dataset: Dataset, job: Job) -> Trained:
    """Hyperparameters: `verified`, the path of a file with a line of JSON for each query,
    `{"query": …, "confidence": …}`, the latter from 0 to 1; `small` and `large`, models, else those
    of the least and the largest size or price; `samples`, how often the gateway checks an answer;
    LLMRouter's own. Raises ValueError.
    """
    chosen = _checked(hyperparameters(job.config, DEFAULTS))
    small = _model(dataset, chosen["small"], strongest=False)
    large = _model(dataset, chosen["large"], strongest=True)
    if small == large:
        raise ValueError(f"small and large are the same model, {small!r}")
    columns = [dataset.names.index(name) for name in (small, large)]
    confidences = _confidences(Path(chosen["verified"]))
    rows = [
        [float(scores[columns[0]]), float(scores[columns[1]]), confidences[query]]
        for query, scores in zip(dataset.queries, dataset.performance, strict=True)
        if query in confidences and not np.isnan(scores[columns]).any()
    ]
    if len(rows) < 10:
        raise ValueError(
            f"only {len(rows)} queries have a confidence and were measured with both models:"
            " 10 are needed"
        )
    result = _in_library(job.folder, {"rows": rows, "seed": job.seed, **chosen})
    return Trained(
        tensors={},
        parameters={"small": small, "large": large, "escalates": result["escalates"]},
        embeds=False,
        libraries=result["libraries"],
    )


def _checked(chosen: dict[str, Any]) -> dict[str, Any]:
    if not chosen["verified"]:
        raise ValueError("verified must name a file with the confidence of each query")
    if chosen["routing_method"] not in METHODS:
        raise ValueError(f"routing_method must be one of {', '.join(METHODS)}")
    if not 1 <= chosen["samples"] <= MOST_SAMPLES:
        raise ValueError(f"samples must be from 1 to {MOST_SAMPLES}")
    if chosen["num_bins"] < 1:
        raise ValueError("num_bins must be 1 or more")
    return chosen


def _model(dataset: Dataset, name: str, *, strongest: bool) -> str:
    if not name:
        return by_strength(dataset.labels, strongest_first=strongest)[0]
    if name not in dataset.names:
        raise ValueError(f"the data has no model {name!r}; it has {', '.join(dataset.names)}")
    return name


def _confidences(path: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    query, confidence = _row(path, number, line)
                    found[query] = confidence
    except OSError as error:
        raise ValueError(f"verified: {path}: {error.strerror}") from None
    return found


def _row(path: Path, number: int, line: str) -> tuple[str, float]:
    try:
        row = json.loads(line)
        query, confidence = row["query"], row["confidence"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path}:{number}: expected query and confidence") from None
    numeric = isinstance(confidence, int | float) and not isinstance(confidence, bool)
    if not isinstance(query, str) or not numeric or not 0 <= confidence <= 1:
        raise ValueError(f"{path}:{number}: expected a text, and a confidence from 0 to 1")
    return query, float(confidence)


def _in_library(folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    (folder / REQUEST).write_text(json.dumps(request), "utf-8")
    with (folder / LOG).open("wb") as log:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "mlops.library.train_automix", str(folder)],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            cwd=Path(__file__).parents[2],
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
    if len(result["escalates"]) != request["samples"] + 1:
        raise ValueError(f"LLMRouter found no rule that it can use: see {folder / LOG}")
    return dict(result)
