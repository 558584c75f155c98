"""Trains the networks of `trunkline-scores` that tell a query's task and each label's quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

BATCH = 128
MOST_STEPS, FEWEST_STEPS = 12_000, 300
RATE, DECAY = 2e-3, 1e-2


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """members: networks whose logits are averaged. units: of the hidden layer of each.

    dropout: of hidden units; half as much of the features. task_weight: of the loss on tasks.
    epochs: of the data; no fewer than 300 steps, no more than 12,000.
    """

    members: int = 3
    units: int = 128
    dropout: float = 0.5
    task_weight: float = 0.5
    epochs: int = 25


class _Members(torch.nn.Module):
    def __init__(self, features: int, tasks: int, means: torch.Tensor, options: NetworkOptions):
        super().__init__()
        members, units, labels = options.members, options.units, len(means)
        bound = features**-0.5
        self.hidden = _random(bound, members, features, units)
        self.hidden_bias = _random(bound, members, 1, units)
        self.tasks = _random(units**-0.5, members, units, tasks)
        self.tasks_bias = torch.nn.Parameter(torch.zeros(members, 1, tasks))
        self.labels = _random(units**-0.5, members, units, labels)
        start = torch.logit(means.clamp(0.01, 0.99)).expand(members, 1, labels)
        self.labels_bias = torch.nn.Parameter(start.clone())
        self.task_labels = torch.nn.Parameter(torch.zeros(members, tasks, labels))
        self.members, self.dropout = members, options.dropout

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of quality [members, n, labels] and of tasks [members, n, tasks]."""
        inputs = torch.nn.functional.dropout(features, self.dropout / 2, self.training)
        inputs = inputs.expand(self.members, *features.shape)
        hidden = torch.relu(torch.baddbmm(self.hidden_bias, inputs, self.hidden))
        hidden = torch.nn.functional.dropout(hidden, self.dropout, self.training)
        tasks = torch.baddbmm(self.tasks_bias, hidden, self.tasks)
        quality = torch.baddbmm(self.labels_bias, hidden, self.labels)
        return quality + torch.softmax(tasks, dim=2) @ self.task_labels, tasks


def train_network(
    features: np.ndarray,
    quality: np.ndarray,
    tasks: np.ndarray,
    options: NetworkOptions,
    seed: int,
) -> dict[str, np.ndarray]:
    """The tensors of `TaskNetwork` but `task_quality`.

    features: float32[N, d]. quality: float[N, L], NaN where it wasn't measured. tasks: int[N], from
    0. Adam with decoupled weight decay and one cycle of the learning rate (Loshchilov & Hutter
    2019; Smith & Topin 2019).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _train(features, quality, tasks, options)
    finally:
        torch.set_num_threads(threads)


def _train(
    features: np.ndarray, quality: np.ndarray, tasks: np.ndarray, options: NetworkOptions
) -> dict[str, np.ndarray]:
    centre = features.mean(axis=0)
    inputs = torch.from_numpy((features - centre).astype(np.float32))
    measured = torch.from_numpy(~np.isnan(quality))
    wanted = torch.from_numpy(np.nan_to_num(quality).astype(np.float32))
    classes = torch.from_numpy(tasks.astype(np.int64))
    means = wanted.sum(0) / measured.sum(0)
    net = _Members(inputs.shape[1], int(tasks.max()) + 1, means, options)
    per_epoch = -(-len(inputs) // BATCH)
    steps = min(max(options.epochs * per_epoch, FEWEST_STEPS), MOST_STEPS)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY, foreach=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(order) == 0:
            order = torch.randperm(len(inputs))
        rows, order = order[:BATCH], order[BATCH:]
        found, told = net(inputs[rows])
        loss = _loss(found, wanted[rows], measured[rows])
        loss = loss + options.task_weight * sum(cross_entropy(each, classes[rows]) for each in told)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return _tensors(net, centre)


def _loss(found: torch.Tensor, wanted: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of what was measured: the mean over it, the sum over members."""
    losses = binary_cross_entropy_with_logits(found, wanted.expand_as(found), reduction="none")
    return (losses * measured).sum() / measured.sum().clamp(min=1)


def _tensors(net: _Members, centre: np.ndarray) -> dict[str, np.ndarray]:
    found = {name: value.detach().numpy() for name, value in net.named_parameters()}
    features = len(centre)
    hidden = found["hidden"].transpose(0, 2, 1).reshape(-1, features)
    return {
        "net_hidden": np.ascontiguousarray(hidden),
        "net_hidden_bias": found["hidden_bias"].reshape(-1) - hidden @ centre,
        "net_tasks": np.ascontiguousarray(found["tasks"].transpose(0, 2, 1)),
        "net_tasks_bias": found["tasks_bias"][:, 0],
        "net_labels": np.ascontiguousarray(found["labels"].transpose(0, 2, 1)),
        "net_labels_bias": found["labels_bias"][:, 0],
        "net_task_labels": np.ascontiguousarray(found["task_labels"].transpose(0, 2, 1)),
    }


def _random(bound: float, *shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))
