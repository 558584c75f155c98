"""Strategies that LLMRouter trains: its own trainers, in a process of their own (`mlops.library`).

What the library gets wrong is put right in the data that it is given: sizes such as "8x7B", and
queries that were not measured with every model. Of models that did equally well it takes the first
for a query's label, which is the first in the order of the dataset's labels.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trunkline.routing.sizes import billions

from ..dataset import Dataset
from ..library.request import Request, Result
from .options import HYPERPARAMETERS, SETTINGS, options
from .trainer import Job, Trained

MOST_USERS = 1000
RANKINGS = ("llmrouter-smallest", "llmrouter-largest")
SIZED = (*RANKINGS, "llmrouter-hybrid")
GRAPHS = ("llmrouter-graph", "llmrouter-personalized")
CONSTANT = (*RANKINGS, "llmrouter-elo")
"""Those whose heads don't embed."""


def train(dataset: Dataset, job: Job, strategy: str) -> Trained:
    """Trains one of LLMRouter's strategies. Raises ValueError.

    job.config: the library's hyperparameters by their names (`options.py`).
    """
    prepare(dataset, job, strategy).write(job.folder)
    if strategy in RANKINGS:
        return Trained({}, embeds=False)
    run(["train", str(job.folder)])
    return collect(job.folder)


def prepare(dataset: Dataset, job: Job, strategy: str) -> Request:
    """What the library's process is asked for. Raises ValueError."""
    if strategy not in HYPERPARAMETERS:
        raise ValueError(
            f"{strategy}: there is nothing to train; routing_strategy_args.llm_data_path is enough"
        )
    chosen = options(strategy, job.config)
    if strategy in SIZED and sum(label.size is not None for label in dataset.labels) < (
        1 if strategy in RANKINGS else 2
    ):
        raise ValueError(f'{strategy} needs sizes of models, such as "7B", in the candidates')
    personal = strategy == "llmrouter-personalized"
    names, rows = _users(dataset) if personal else (("",), np.zeros(len(dataset), int))
    performance, embeddings = dataset.performance, dataset.embeddings
    if not personal:
        performance, embeddings = _by_query(dataset)
        rows = np.zeros(len(embeddings), int)
    if strategy in GRAPHS:
        performance, embeddings, rows = _complete(strategy, performance, embeddings, rows)
    if personal:
        kept = _divisible(strategy, len(rows), len(names), chosen, job.seed)
        performance, embeddings, rows = performance[kept], embeddings[kept], rows[kept]
    return Request(
        strategy=strategy,
        hparam=_hparam(strategy, chosen, job.seed, embeddings.shape[1], len(names)),
        settings={name: chosen[name] for name in SETTINGS.get(strategy, {})},
        seed=job.seed,
        labels=dataset.names,
        sizes=_sizes(dataset) if strategy in SIZED else (None,) * len(dataset.labels),
        users=names,
        performance=performance.astype(np.float32),
        embeddings=embeddings.astype(np.float32),
        user_numbers=rows,
        model_embeddings=_described(dataset) if strategy in GRAPHS else np.zeros((0, 0)),
    )


def run(arguments: Sequence[str], python: str = sys.executable) -> None:
    """Runs a command of the library's process. python: of an environment that has LLMRouter.

    Raises ValueError where the process dies. What is wrong with one training stands in its result.
    """
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, **_ENVIRONMENT, "PYTHONPATH": path}
    done = subprocess.run(  # noqa: S603
        [python, "-m", "mlops.library", *arguments], env=environment, check=False
    )
    if done.returncode:
        raise ValueError(f"LLMRouter's process ended with the status {done.returncode}")


# One thread and one hash seed make it reproducible; importing the library then asks no network.
_ENVIRONMENT: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}


def collect(folder: Path) -> Trained:
    """What the process left in a request's folder. Raises ValueError with the library's error."""
    request, result = Request.read(folder), Result.read(folder)
    if result.error:
        raise ValueError(
            f"{request.strategy}: LLMRouter could not train: {result.error}"
            f" (what it printed is in {folder / 'llmrouter.log'})"
        )
    embeds = request.strategy not in CONSTANT
    return Trained(result.tensors, result.parameters, embeds, result.libraries)


def _sizes(dataset: Dataset) -> tuple[str | None, ...]:
    """In billions: the library leaves "450M" out, and takes "8x7B" for 0."""
    sizes = [label.size for label in dataset.labels]
    return tuple(None if size is None else f"{billions(size):.12g}B" for size in sizes)


def _users(dataset: Dataset) -> tuple[tuple[str, ...], np.ndarray]:
    names = tuple(sorted(set(dataset.users)))
    if len(names) > MOST_USERS:
        raise ValueError(f"llmrouter-personalized: {len(names)} users are more than {MOST_USERS}")
    places = {name: number for number, name in enumerate(names)}
    return names, np.array([places[user] for user in dataset.users])


def _by_query(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Performance and embeddings, a row for each query: the mean over the users who asked it."""
    places: dict[str, int] = {}
    rows = np.array([places.setdefault(query, len(places)) for query in dataset.queries])
    if len(places) == len(dataset):
        return dataset.performance, dataset.embeddings
    measured = ~np.isnan(dataset.performance)
    sums, counts = np.zeros((2, len(places), len(dataset.labels)))
    np.add.at(sums, rows, np.nan_to_num(dataset.performance))
    np.add.at(counts, rows, measured)
    firsts = np.unique(rows, return_index=True)[1]
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means, dataset.embeddings[firsts]


def _complete(
    strategy: str, performance: np.ndarray, embeddings: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Only what was measured with every model: the graph routers take the rest for failures."""
    kept = ~np.isnan(performance).any(axis=1)
    if kept.sum() < 10:
        raise ValueError(
            f"{strategy} needs 10 queries that were measured with every model, and there are"
            f" {kept.sum()}"
        )
    return performance[kept], embeddings[kept], rows[kept]


def _divisible(
    strategy: str, count: int, users: int, chosen: dict[str, Any], seed: int
) -> np.ndarray:
    """Which examples are taken, and in which order.

    The library splits rows by their place into users · tasks blocks of one size, and each block by
    `split_ratio`; where these cut a query's rows apart, it trains on rows of the wrong model. So
    examples come in a random order, the last few are left out, and the ratios are whole queries.
    """
    size = count // (users * max(chosen["num_task"], 1))
    ratios = chosen["split_ratio"]
    if len(ratios) != 3 or not all(isinstance(each, int | float) for each in ratios):
        raise ValueError(f"{strategy}: split_ratio must be three numbers, not {ratios!r}")
    parts = [round(size * each) for each in ratios]
    if chosen["num_task"] < 1 or min(parts) < 1 or sum(parts) > size:
        raise ValueError(
            f"{strategy}: {count} examples of {users} users can't be split by num_task"
            f" {chosen['num_task']} and split_ratio {ratios}: each part needs an example"
        )
    # A little more than the part, since the library rounds down.
    chosen["split_ratio"] = [(part + 0.01) / size for part in parts]
    shuffled = np.random.default_rng(seed).permutation(count)
    kept: np.ndarray = shuffled[: size * users * chosen["num_task"]]
    return kept


def _hparam(
    strategy: str, chosen: Mapping[str, Any], seed: int, dimension: int, users: int
) -> dict[str, Any]:
    hparam = {name: chosen[name] for name in HYPERPARAMETERS[strategy]}
    # These change no decision, but the time that training takes.
    for unused in ("probability", "n_jobs"):
        hparam.pop(unused, None)
    if "random_state" in hparam and hparam["random_state"] is None:
        hparam["random_state"] = seed
    for name, is_ in (("text_dim", dimension), ("user_num", users)):
        if name in hparam:
            if hparam[name] not in {None, is_}:
                raise ValueError(f"{strategy}: {name} is {is_} in this data, not {hparam[name]}")
            hparam[name] = is_
    if chosen.get("break_ties") and chosen["decision_function_shape"] == "ovo":
        raise ValueError(f"{strategy}: break_ties needs the decision_function_shape ovr")
    return hparam


def _described(dataset: Dataset) -> np.ndarray:
    """float32[labels, dimension]: what each model is, in words, as the shipped embedder has it."""
    from trunkline.routing.embedding.static import StaticEmbedder  # noqa: PLC0415

    embedder = StaticEmbedder()
    texts = zip(dataset.names, dataset.features, strict=True)
    return np.array([embedder.embed(feature or name) for name, feature in texts])
