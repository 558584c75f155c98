"""TSRouter's network, over the graph that LLMRouter's `tsrouter` describes.

Tasks, queries, modalities and models are its nodes. Messages go to a query from the tasks, from the
queries that are most like it, and from those in its user's history, each with how well the models
did; and to a model from its modality. A perceptron scores a query's state with a model's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attention import Attention, Update

RELATIONS = ("task", "neighbour", "history")


class TsNetwork(nn.Module):
    """D: of query embeddings, which have the length 1. described: float[L, S], of the models'
    descriptions. modalities: int[L], each model's.

    Told are what a task or a past query tells: its embedding, times `scale`, and L numbers.
    """

    def __init__(
        self,
        dimension: int,
        described: Tensor,
        modalities: Tensor,
        width: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.width, self.heads, self.scale = width, heads, dimension**0.5
        labels = len(described)
        self.register_buffer("described", described)
        self.register_buffer("modalities", modalities)
        self.model_project = nn.Linear(described.shape[1], width)
        self.model_own = nn.Parameter(torch.randn(labels, width))
        self.modality_own = nn.Parameter(torch.randn(int(modalities.max()) + 1, width))
        self.model_query = nn.Linear(width, width)
        self.to_model = Attention({"modality": width}, width, heads)
        self.model_out = Update(width, dropout)
        self.query_project = nn.Linear(dimension, width)
        self.query_ask = nn.Linear(width, width)
        self.to_query = Attention(dict.fromkeys(RELATIONS, dimension + labels), width, heads)
        self.query_out = Update(width, dropout)
        self.hidden_query = nn.Linear(width, width)
        self.hidden_model = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Linear(width, 1)

    def models(self) -> Tensor:
        """float[L, width]."""
        own = self.model_project(self.described) + self.model_own
        modality = self.modality_own[self.modalities][:, None]
        there = torch.ones(len(own), 1, dtype=torch.bool)
        found = self.to_model(self.model_query(own), {"modality": modality}, there)
        return self.model_out(found, own)

    def forward(self, queries: Tensor, told: dict[str, Tensor], present: Tensor) -> Tensor:
        """float[N, L], logits of the model to choose.

        queries: float[N, D]. told: by relation, float[N, n, D + L]. present: bool[N, all n in the
        order of RELATIONS].
        """
        own = self.query_project(self.scale * queries)
        neighbours = {name: told[name] for name in RELATIONS}
        found = self.to_query(self.query_ask(own), neighbours, present)
        state = self.query_out(found, own)
        hidden = self.hidden_query(state)[:, None] + self.hidden_model(self.models())
        return self.score(self.dropout(torch.relu(hidden))).squeeze(-1)
