"""Trains gmt and ts on planted tastes, and asks their networks what they score.

    python -m tests.support.personal_bundles FOLDER

Runs where torch is installed. FOLDER gets a bundle for each strategy (`gmt`, `ts`) and, of networks
with weights as they were drawn, a bundle (`gmt-drawn`, `ts-drawn`), the queries and users that were
asked and the logits that torch gave (`gmt-drawn.npz`, `ts-drawn.npz`).
"""

import sys
from pathlib import Path

import numpy as np
import torch

from mlops.dataset import Dataset
from mlops.training import gmt, gmt_weights, ts_weights
from mlops.training.gmt_network import GmtNetwork
from mlops.training.histories import Histories
from mlops.training.trainer import Job, Trained, trainer
from mlops.training.ts_graph import Graph, soft_labels
from mlops.training.ts_network import TsNetwork
from tests.support import planted
from trunkline.routing.bundles.writing import bundle_files, write_folder

SEED, HISTORY = 3, 6
CONFIGS = {
    "gmt": {"epochs": 25, "patience": 25, "width": 32, "learning_rate": 5e-3, "dropout": 0.0},
    "ts": {"train_epoch": 25, "patience": 25, "embedding_dim": 32, "learning_rate": 3e-3},
}


def write(folder: Path, strategy: str, dataset: Dataset, trained: Trained) -> None:
    files = bundle_files(
        strategy=f"llmrouter-{strategy}",
        labels=dataset.labels,
        tensors=trained.tensors,
        parameters=trained.parameters,
        training=dataset.training,
        created=dataset.created,
        embedder=dataset.embedder,
    )
    write_folder(files, folder)


@torch.no_grad()
def gmt_drawn(folder: Path, dataset: Dataset, seen: np.ndarray, asked: np.ndarray) -> None:
    described = torch.randn(planted.MODELS, 5)
    network = GmtNetwork(planted.DIMENSION, described, (0.4, 0.3), 16, 4, 0.1).eval()
    embeddings = torch.from_numpy(dataset.embeddings)
    histories = Histories.of(dataset.users, seen, SEED)
    data = gmt.Data(embeddings, torch.from_numpy(dataset.performance), histories)
    names = histories.most_active(1000)
    states = data.users(network, histories.to_serve(names, HISTORY))
    rows = [names.index(dataset.users[number]) for number in asked.tolist()]
    logits = network(states[rows], embeddings[asked])
    parameters = {"users": names, "heads": 4}
    trained = Trained(gmt_weights.tensors(network, states), parameters)
    write(folder / "gmt-drawn", "gmt", dataset, trained)
    keep(folder / "gmt-drawn.npz", dataset, asked, logits)


@torch.no_grad()
def ts_drawn(folder: Path, dataset: Dataset, seen: np.ndarray, asked: np.ndarray) -> None:
    modalities = torch.tensor([0, 1, 0, 2])
    described = torch.randn(planted.MODELS, 5)
    network = TsNetwork(planted.DIMENSION, described, modalities, 16, 4, 0.1).eval()
    histories = Histories.of(dataset.users, seen, SEED)
    labels = soft_labels(dataset.performance, 0.5)
    graph = Graph.of(dataset.embeddings, labels, dataset.tasks, seen, histories, 7)
    names = histories.most_active(1000)
    past = histories.to_serve(names, HISTORY)
    rows = [names.index(dataset.users[number]) for number in asked.tolist()]
    told, present = graph.told(asked, past[rows])
    logits = network(graph.embeddings[asked], told, present)
    parameters = {"users": names, "heads": 4, "neighbours": 7}
    trained = Trained(ts_weights.tensors(network, graph, names, HISTORY), parameters)
    write(folder / "ts-drawn", "ts", dataset, trained)
    keep(folder / "ts-drawn.npz", dataset, asked, logits)


def keep(path: Path, dataset: Dataset, asked: np.ndarray, logits: torch.Tensor) -> None:
    users = np.array([dataset.users[number] for number in asked.tolist()])
    np.savez(path, embeddings=dataset.embeddings[asked], users=users, logits=logits.numpy())


def main(folder: Path) -> None:
    learnt = planted.dataset(24, 24, 1, guests=True)
    for strategy, config in CONFIGS.items():
        job = Job(config | {"history": HISTORY}, SEED, folder)
        write(folder / strategy, strategy, learnt, trainer(f"llmrouter-{strategy}")(learnt, job))
    torch.manual_seed(SEED)
    asked, seen = np.arange(0, 500, 5), np.delete(np.arange(len(learnt)), np.arange(0, 500, 5))
    gmt_drawn(folder, learnt, seen, asked)
    ts_drawn(folder, learnt, seen, asked)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
