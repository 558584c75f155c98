"""GMTRouter (arXiv:2511.08590): models chosen for a user by the history that the user has.

LLMRouter's class of that name fails when it is built, and would take the first training query for
every query; this is the paper's. It trains inductively: in each step users have other parts of
their history, and predict how they liked the answers to queries that are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from ..dataset import Dataset
from .attention import batches, descriptions, split
from .gmt_network import GmtNetwork
from .gmt_weights import tensors
from .histories import Histories
from .hyperparameters import hyperparameters
from .trainer import Job, Trained

DEFAULTS = MappingProxyType(
    {
        "width": 64,
        "heads": 4,
        "dropout": 0.1,
        "history": 10,
        "epochs": 60,
        "patience": 10,
        "batch_size": 64,
        "learning_rate": 2e-3,
        "weight_decay": 1e-4,
        "strangers": 0.2,
        "most_users": 10_000,
        "validation": 0.1,
    }
)


@dataclass(frozen=True, slots=True)
class Data:
    """What is fixed during a training, as tensors. feedback: NaN where there is none."""

    embeddings: torch.Tensor
    feedback: torch.Tensor
    histories: Histories

    def users(self, network: GmtNetwork, chosen: np.ndarray) -> torch.Tensor:
        """float[U, width] of the histories int[U, H] of example numbers, -1 for none."""
        there = torch.from_numpy(chosen >= 0)
        numbers = torch.from_numpy(np.maximum(chosen, 0))
        feedback = self.feedback[numbers]
        present = there[..., None] & ~feedback.isnan()
        return network.users(self.embeddings[numbers], feedback, present)


def train(dataset: Dataset, job: Job) -> Trained:
    """The weights of the epoch whose choices did best on a validation part of the data.

    Hyperparameters: `width`, `heads`, `dropout` of the network; `history`, examples of a user that
    are looked at; `strangers`, the share of training users who are known by a sample of everyone's
    history; `most_users` in the bundle, those with the most examples; `epochs`, `patience`,
    `batch_size`, `learning_rate`, `weight_decay`; `validation`, the share of examples that
    training doesn't see. Raises ValueError.
    """
    chosen = hyperparameters(job.config, DEFAULTS)
    for name in ("width", "heads", "history", "epochs", "patience", "batch_size"):
        if chosen[name] < 1:
            raise ValueError(f"{name} must be 1 or more")
    if chosen["width"] % chosen["heads"]:
        raise ValueError("width must be a multiple of heads")
    torch.manual_seed(job.seed)
    learnt, held_out = split(len(dataset), chosen["validation"], job.seed)
    data = Data(
        torch.from_numpy(dataset.embeddings.astype(np.float32)),
        torch.from_numpy(dataset.performance.astype(np.float32)),
        Histories.of(dataset.users, learnt, job.seed),
    )
    described = torch.from_numpy(descriptions(dataset))
    feedback = dataset.performance[learnt]
    network = GmtNetwork(
        data.embeddings.shape[1],
        described,
        (float(np.nanmean(feedback)), float(np.nanstd(feedback)) or 1.0),
        *(chosen[name] for name in ("width", "heads", "dropout")),
    )
    _fit(network, data, learnt, held_out, chosen, job.seed)
    everything = np.arange(len(dataset))
    full = Data(data.embeddings, data.feedback, Histories.of(dataset.users, everything, job.seed))
    return _trained(network.eval(), full, chosen)


def _fit(
    network: GmtNetwork,
    data: Data,
    learnt: np.ndarray,
    held_out: np.ndarray,
    chosen: dict[str, Any],
    seed: int,
) -> None:
    """Leaves the network with the best epoch's weights."""
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=chosen["learning_rate"], weight_decay=chosen["weight_decay"]
    )
    draw = np.random.default_rng(seed)
    best, best_weights, waited = -np.inf, network.state_dict(), 0
    for _ in tqdm(range(chosen["epochs"]), desc="llmrouter-gmt", mininterval=1.0):
        network.train()
        for batch in batches(draw.permutation(learnt), chosen["batch_size"]):
            optimizer.zero_grad()
            _loss(network, data, batch, chosen, draw).backward()
            optimizer.step()
        found = _quality(network.eval(), data, held_out, chosen)
        waited += 1
        if found > best:
            best, waited = found, 0
            best_weights = {name: each.clone() for name, each in network.state_dict().items()}
        if waited >= chosen["patience"]:
            break
    network.load_state_dict(best_weights)


def _loss(
    network: GmtNetwork,
    data: Data,
    batch: np.ndarray,
    chosen: dict[str, Any],
    draw: np.random.Generator,
) -> torch.Tensor:
    """Binary cross-entropy of the feedback, which may be anything from 0 to 1."""
    strangers = draw.random(len(batch)) < chosen["strangers"]
    users, rows = data.histories.drawn(batch, strangers, chosen["history"], draw)
    logits = network(data.users(network, users)[torch.from_numpy(rows)], data.embeddings[batch])
    feedback = data.feedback[batch]
    there = ~feedback.isnan()
    return binary_cross_entropy_with_logits(logits[there], feedback[there])


@torch.no_grad()
def _quality(
    network: GmtNetwork, data: Data, held_out: np.ndarray, chosen: dict[str, Any]
) -> float:
    """The mean feedback of the models that it chooses, each compared with the example's mean."""
    users, rows = data.histories.last(held_out, chosen["history"])
    states = data.users(network, users)[torch.from_numpy(rows)]
    picked = network(states, data.embeddings[held_out]).argmax(1)
    feedback = data.feedback[held_out]
    gained = feedback.gather(1, picked[:, None])[:, 0] - feedback.nanmean(1)
    return float(gained.nanmean())


@torch.no_grad()
def _trained(network: GmtNetwork, data: Data, chosen: dict[str, Any]) -> Trained:
    names = data.histories.most_active(chosen["most_users"])
    states = data.users(network, data.histories.to_serve(names, chosen["history"]))
    return Trained(
        tensors=tensors(network, states),
        parameters={"users": list(names), "heads": chosen["heads"]},
        libraries={name: version(name) for name in ("numpy", "torch")},
    )
