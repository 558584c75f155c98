"""TSRouter: models chosen by what they did on similar queries and on the user's own.

LLMRouter's class of that name needs a repository that isn't shipped, and answers every query with
the decision for the first of its test set. No paper of that name could be found; what is
implemented is the router that the library's code and documentation describe: a heterogeneous graph
of tasks, queries, modalities and models, soft labels from a softmax over effects at a temperature,
and the Kullback-Leibler divergence from them. A query's edges to its user's past queries are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..dataset import Dataset
from .attention import batches, descriptions, split
from .histories import Histories
from .hyperparameters import hyperparameters
from .trainer import Job, Trained
from .ts_graph import Graph, effects, modality_numbers, soft_labels
from .ts_network import TsNetwork
from .ts_weights import tensors

DEFAULTS = MappingProxyType(
    {
        "embedding_dim": 64,
        "heads": 4,
        "dropout": 0.1,
        "knn_k": 30,
        "history": 10,
        "label_temperature": 0.5,
        "alpha": 1.0,
        "beta": 0.0,
        "modalities": {},
        "train_epoch": 60,
        "patience": 10,
        "batch_size": 64,
        "learning_rate": 1e-3,
        "weight_decay": 1e-4,
        "strangers": 0.2,
        "most_examples": 2048,
        "most_users": 10_000,
        "validation": 0.1,
    }
)


@dataclass(frozen=True, slots=True)
class Fit:
    """What a training works with. effects: float[N, L]; NaN where nothing was measured."""

    network: TsNetwork
    graph: Graph
    effects: torch.Tensor
    chosen: dict[str, Any]

    def logits(self, batch: np.ndarray, users: np.ndarray, rows: np.ndarray) -> torch.Tensor:
        """users: histories, int[U, H], as `Histories` has them. rows: int[batch], in these."""
        told, present = self.graph.told(batch, users[rows])
        return self.network(self.graph.embeddings[batch], told, present)


def train(dataset: Dataset, job: Job) -> Trained:
    """The weights of the epoch whose choices did best on a validation part of the data.

    Hyperparameters: those of LLMRouter (`embedding_dim`, `heads`, `knn_k`, `label_temperature`,
    `alpha` and `beta`, which weigh quality and cost, `learning_rate`, `weight_decay`,
    `train_epoch`); `modalities`, of each model (text where it isn't named); `history`, examples of
    a user that are looked at; `strangers`, the share of training queries whose user is forgotten;
    `most_examples` and `most_users` in the bundle; `dropout`, `patience`, `batch_size`;
    `validation`, the share of examples that training doesn't see. Raises ValueError.
    """
    chosen = hyperparameters(job.config, DEFAULTS)
    _check(chosen)
    torch.manual_seed(job.seed)
    learnt, held_out = split(len(dataset), chosen["validation"], job.seed)
    graph = _graph(dataset, learnt, chosen, job.seed)
    network = TsNetwork(
        dataset.embeddings.shape[1],
        torch.from_numpy(descriptions(dataset)),
        torch.from_numpy(modality_numbers(dataset.names, chosen["modalities"])),
        *(chosen[name] for name in ("embedding_dim", "heads", "dropout")),
    )
    found = effects(dataset, chosen["alpha"], chosen["beta"])
    _fit(Fit(network, graph, torch.from_numpy(found), chosen), learnt, held_out, job.seed)
    full = _graph(dataset, np.arange(len(dataset)), chosen, job.seed)
    users = full.histories.most_active(chosen["most_users"])
    return Trained(
        tensors=tensors(network.eval(), full, users, chosen["history"]),
        parameters={
            "users": users,
            "heads": chosen["heads"],
            "neighbours": min(chosen["knn_k"], len(full.memory)),
        },
        libraries={name: version(name) for name in ("numpy", "torch")},
    )


def _check(chosen: dict[str, Any]) -> None:
    whole = ("embedding_dim", "heads", "knn_k", "history", "train_epoch", "patience", "batch_size")
    for name in (*whole, "most_examples"):
        if chosen[name] < 1:
            raise ValueError(f"{name} must be 1 or more")
    if chosen["embedding_dim"] % chosen["heads"]:
        raise ValueError("embedding_dim must be a multiple of heads")
    if chosen["label_temperature"] <= 0:
        raise ValueError("label_temperature must be more than 0")


def _graph(dataset: Dataset, seen: np.ndarray, chosen: dict[str, Any], seed: int) -> Graph:
    labels = soft_labels(
        effects(dataset, chosen["alpha"], chosen["beta"]), chosen["label_temperature"]
    )
    memory = np.random.default_rng(seed).permutation(seen)[: chosen["most_examples"]]
    return Graph.of(
        dataset.embeddings,
        labels,
        dataset.tasks,
        np.sort(memory),
        Histories.of(dataset.users, seen, seed),
        chosen["knn_k"],
    )


def _fit(fit: Fit, learnt: np.ndarray, held_out: np.ndarray, seed: int) -> None:
    """Leaves the network with the best epoch's weights."""
    network, chosen = fit.network, fit.chosen
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=chosen["learning_rate"], weight_decay=chosen["weight_decay"]
    )
    draw = np.random.default_rng(seed)
    best, best_weights, waited = -np.inf, network.state_dict(), 0
    for _ in tqdm(range(chosen["train_epoch"]), desc="llmrouter-ts", mininterval=1.0):
        network.train()
        for batch in batches(draw.permutation(learnt), chosen["batch_size"]):
            optimizer.zero_grad()
            _loss(fit, batch, draw).backward()
            optimizer.step()
        network.eval()
        found = _quality(fit, held_out)
        waited += 1
        if found > best:
            best, waited = found, 0
            best_weights = {name: each.clone() for name, each in network.state_dict().items()}
        if waited >= chosen["patience"]:
            break
    network.load_state_dict(best_weights)


def _loss(fit: Fit, batch: np.ndarray, draw: np.random.Generator) -> torch.Tensor:
    """The divergence of what is predicted from the soft labels, over the models measured."""
    strangers = draw.random(len(batch)) < fit.chosen["strangers"]
    histories = fit.graph.histories
    users, rows = histories.drawn(batch, strangers, fit.chosen["history"], draw)
    users[0] = -1
    wanted = fit.graph.labels[batch]
    unmeasured = fit.effects[batch].isnan()
    logits = fit.logits(batch, users, rows).masked_fill(unmeasured, -1e9)
    logs = torch.log_softmax(logits, dim=1).masked_fill(unmeasured, 0.0)
    return (torch.xlogy(wanted, wanted) - wanted * logs).sum(1).mean()


@torch.no_grad()
def _quality(fit: Fit, held_out: np.ndarray) -> float:
    """The mean effect of the models that it chooses, each compared with the example's mean."""
    users, rows = fit.graph.histories.last(held_out, fit.chosen["history"])
    users[-1] = -1
    found = fit.effects[held_out]
    picked = fit.logits(held_out, users, rows).argmax(1)
    return float((found.gather(1, picked[:, None])[:, 0] - found.nanmean(1)).nanmean())
