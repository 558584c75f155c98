"""GMTRouter's network as the tensors of its head: all but the query is multiplied out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from .gmt_network import GmtNetwork


@torch.no_grad()
def tensors(network: GmtNetwork, users: torch.Tensor) -> Mapping[str, np.ndarray]:
    """users: float[U, width], their states; the last is the stranger's.

    torch's attention projects once more what the network has projected, and both are linear.
    """
    width, head = network.width, network.head
    ask, key, value = head.in_proj_weight.split(width)
    ask_bias, key_bias, value_bias = head.in_proj_bias.split(width)
    models = network.model_head(network.models())
    own, project = network.user_project, network.query_project
    context = torch.cat([key, value])
    bias = torch.cat([key_bias, value_bias])
    score, score_bias = network.score.weight[0], network.score.bias
    found = {
        "model_queries": (models @ ask.T + ask_bias) / (width / network.heads) ** 0.5,
        "user_states": own(users) @ context.T + bias,
        "query_weight": network.scale * (context @ project.weight),
        "query_bias": context @ project.bias + bias,
        "output_weight": head.out_proj.weight,
        "output_bias": head.out_proj.bias,
        "score_weight": score[:width],
        "model_bias": torch.relu(models) @ score[width:] + score_bias,
    }
    return {name: each.numpy().astype(np.float32) for name, each in found.items()}
