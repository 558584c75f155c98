"""TSRouter's network as the tensors of its head: all but the query is multiplied out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from .ts_graph import Graph
from .ts_network import TsNetwork


@torch.no_grad()
def tensors(
    network: TsNetwork, graph: Graph, users: Sequence[str], length: int
) -> Mapping[str, np.ndarray]:
    """users: those whose histories are served. length: how much of each."""
    past = [graph.histories.by_user[user][-length:] for user in users]
    starts = np.cumsum([0, *map(len, past)])
    remembered = np.concatenate(past) if past else np.zeros(0, np.int64)
    project, ask, update = network.query_project, network.query_ask, network.query_out
    share = torch.sigmoid(update.skip)
    hidden, models = network.hidden_query, network.hidden_model(network.models())
    own_weight, own_bias = network.scale * project.weight, project.bias
    strength = (network.width / network.heads) ** 0.5
    found = {
        "own_weight": own_weight,
        "own_bias": own_bias,
        "ask_weight": ask.weight @ own_weight / strength,
        "ask_bias": (ask.weight @ own_bias + ask.bias) / strength,
        "update_weight": share * update.linear.weight,
        "update_bias": share * update.linear.bias,
        "kept": 1 - share[None],
        # The norm's scale and shift go into the layer after it.
        "hidden_weight": hidden.weight * update.norm.weight,
        "hidden_models": models + hidden.bias + hidden.weight @ update.norm.bias,
        "score_weight": network.score.weight[0],
        "points": graph.embeddings[graph.memory].half(),
        **_seen(network, "task", graph.tasks),
        **_seen(network, "neighbour", graph.said[graph.memory]),
    }
    if len(remembered):
        found |= _seen(network, "history", graph.said[remembered])
    made = {name: np.ascontiguousarray(each.numpy()) for name, each in found.items()}
    return made | {"history_starts": starts.astype(np.int32)}


def _seen(network: TsNetwork, relation: str, said: torch.Tensor) -> dict[str, torch.Tensor]:
    attention = network.to_query
    return {
        f"{relation}_keys": attention.keys[relation](said),
        f"{relation}_values": attention.values[relation](said),
    }
