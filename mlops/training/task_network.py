"""Trains the network of `trunkline-scores` that tells a query's task and each label's quality."""

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
    """units: of the hidden layer.

    dropout: of hidden units; half as much of the features. task_weight: of the loss on tasks.
    epochs: of the data; no fewer than 300 steps, no more than 12,000.
    """

    units: int = 128
    dropout: float = 0.5
    task_weight: float = 0.25
    epochs: int = 15


class _Network(torch.nn.Module):
    def __init__(self, features: int, tasks: int, means: torch.Tensor, options: NetworkOptions):
        super().__init__()
        units = options.units
        self.inputs_dropout = torch.nn.Dropout(options.dropout / 2)
        self.hidden = _linear(features, units)
        self.hidden_dropout = torch.nn.Dropout(options.dropout)
        self.tasks = _linear(units, tasks)
        self.labels = _linear(units, len(means))
        with torch.no_grad():
            self.labels.bias.copy_(torch.logit(means.clamp(0.01, 0.99)))
        self.task_labels = torch.nn.Parameter(torch.zeros(len(means), tasks))

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of quality [n, labels] and of tasks [n, tasks]."""
        hidden = torch.relu(self.hidden(self.inputs_dropout(features)))
        hidden = self.hidden_dropout(hidden)
        tasks = self.tasks(hidden)
        return self.labels(hidden) + torch.softmax(tasks, dim=1) @ self.task_labels.T, tasks


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
    net = _Network(inputs.shape[1], int(tasks.max()) + 1, means, options)
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
        loss = loss + options.task_weight * cross_entropy(told, classes[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return _tensors(net, centre)


def _loss(found: torch.Tensor, wanted: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
    """Cross-entropy: the mean over what was measured."""
    losses = binary_cross_entropy_with_logits(found, wanted, reduction="none")
    return (losses * measured).sum() / measured.sum().clamp(min=1)


def _tensors(net: _Network, centre: np.ndarray) -> dict[str, np.ndarray]:
    found = {name: value.detach().numpy() for name, value in net.named_parameters()}
    hidden = found["hidden.weight"]
    return {
        "net_hidden": hidden,
        "net_hidden_bias": found["hidden.bias"] - hidden @ centre,
        "net_tasks": found["tasks.weight"],
        "net_tasks_bias": found["tasks.bias"],
        "net_labels": found["labels.weight"],
        "net_labels_bias": found["labels.bias"],
        "net_task_labels": found["task_labels"],
    }


def _linear(inputs: int, outputs: int) -> torch.nn.Linear:
    """Weights uniform within ± inputs^-½, and no bias to begin with."""
    layer = torch.nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.uniform_(-(inputs**-0.5), inputs**-0.5)
        layer.bias.zero_()
    return layer
