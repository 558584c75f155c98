"""The graph that TSRouter looks at: what tasks, similar queries and a user's past queries tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..dataset import Dataset
from .histories import Histories

MOST_TASKS = 64


@dataclass(frozen=True, slots=True)
class Graph:
    """Over N examples, L models and T tasks:

    embeddings: float[N, D]. labels: float[N, L], soft. said: float[N, D + L], what an example
    tells those that look at it. tasks: float[T, D + L], the mean of what theirs tell.
    memory: the numbers of the examples that may be neighbours. neighbours: int[N, k] of these, the
    nearest first, never an example itself; -1 for none.
    """

    embeddings: Tensor
    labels: Tensor
    said: Tensor
    tasks: Tensor
    memory: np.ndarray
    neighbours: np.ndarray
    histories: Histories

    @classmethod
    def of(
        cls,
        embeddings: np.ndarray,
        labels: np.ndarray,
        tasks: Sequence[str],
        memory: np.ndarray,
        histories: Histories,
        k: int,
    ) -> Graph:
        scale = embeddings.shape[1] ** 0.5
        # Labels come to about the same size as embeddings, and to 0 where nothing was measured.
        measured = (labels > 0).sum(axis=1, keepdims=True)
        centred = np.where(labels > 0, labels * measured - 1, 0)
        said = np.concatenate([scale * embeddings, centred], axis=1).astype(np.float32)
        names = sorted({tasks[number] for number in memory.tolist()})[:MOST_TASKS]
        of_task = [[n for n in memory.tolist() if tasks[n] == name] for name in names]
        return cls(
            torch.from_numpy(embeddings.astype(np.float32)),
            torch.from_numpy(labels.astype(np.float32)),
            torch.from_numpy(said),
            torch.from_numpy(np.stack([said[numbers].mean(axis=0) for numbers in of_task])),
            memory,
            _neighbours(embeddings, memory, k),
            histories,
        )

    def told(self, batch: np.ndarray, past: np.ndarray) -> tuple[dict[str, Tensor], Tensor]:
        """What each of a batch is told, by relation, and which of it is there.

        past: int[batch, H], of each one's user; -1 for none.
        """
        near = self.neighbours[batch]
        tasks = self.tasks.expand(len(batch), *self.tasks.shape)
        told = {
            "task": tasks,
            "neighbour": self.said[np.maximum(near, 0)],
            "history": self.said[np.maximum(past, 0)],
        }
        all_tasks = np.ones((len(batch), len(self.tasks)), dtype=bool)
        present = np.concatenate([all_tasks, near >= 0, past >= 0], axis=1)
        return told, torch.from_numpy(present)


def effects(dataset: Dataset, alpha: float, beta: float) -> np.ndarray:
    """float32[N, L]: alpha * quality - beta * cost, of an answer relative to the dearest model's.

    Raises ValueError where costs count and a model's prices aren't known.
    """
    found = alpha * dataset.performance
    if beta > 0:
        costs = [
            None
            if label.output_price is None or label.output_tokens is None
            else label.output_price * label.output_tokens
            for label in dataset.labels
        ]
        known = np.array([cost for cost in costs if cost is not None])
        if len(known) < len(costs) or known.max() <= 0:
            raise ValueError("beta needs prices and tokens of answers of every model")
        found = found - beta * known / known.max()
    return found.astype(np.float32)


def soft_labels(found: np.ndarray, temperature: float) -> np.ndarray:
    """float32[N, L]: a softmax of effects over what was measured; 0 elsewhere."""
    raised = np.exp((found - np.nanmax(found, axis=1, keepdims=True)) / temperature)
    weights = np.nan_to_num(raised, nan=0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def modality_numbers(names: Sequence[str], modalities: Mapping[str, object]) -> np.ndarray:
    """int[L]. Raises ValueError for a model that there isn't."""
    unknown = sorted(set(modalities) - set(names))
    if unknown:
        raise ValueError(f"modalities: there is no model {unknown[0]!r}")
    given = [str(modalities.get(name, "text")) for name in names]
    kinds = sorted(set(given))
    return np.array([kinds.index(each) for each in given])


def _neighbours(embeddings: np.ndarray, memory: np.ndarray, k: int) -> np.ndarray:
    found = np.full((len(embeddings), k), -1, dtype=np.int64)
    count = min(k, len(memory) - 1)
    if count < 1:
        return found
    points = embeddings[memory].astype(np.float32)
    for start in range(0, len(embeddings), 512):
        rows = np.arange(start, min(start + 512, len(embeddings)))
        near = embeddings[rows].astype(np.float32) @ points.T
        near[memory == rows[:, None]] = -np.inf
        order = np.argsort(-near, axis=1, kind="stable")[:, :count]
        found[rows, :count] = memory[order]
    return found
