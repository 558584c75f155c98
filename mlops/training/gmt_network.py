"""GMTRouter's network (arXiv:2511.08590): what a user's history says, and how well a model suits.

A turn is a query, the model that answered it and the feedback that the answer got. Messages go
from these three to the turn, from a turn to the user's next, and from turns to their user. Turns
and users begin as zeros, so that a user is nothing but a history. No message goes to a query or a
model. The head lets each model attend to the user and the query.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attention import Attention, Update


class GmtNetwork(nn.Module):
    """D: of query embeddings, which have the length 1. described: float[L, S], of the models'
    descriptions. feedback: the mean and the standard deviation of all that there is.

    What comes in is scaled to a variance of about 1: messages that are too small stay linear, and
    a sum of linear messages can't tell who liked what.
    """

    def __init__(
        self,
        dimension: int,
        described: Tensor,
        feedback: tuple[float, float],
        width: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.scale = dimension**0.5
        self.mean, self.deviation = feedback
        self.width, self.heads = width, heads
        self.register_buffer("described", described)
        self.model_project = nn.Linear(described.shape[1], width)
        self.model_own = nn.Parameter(torch.randn(len(described), width))
        sources = {"query": dimension, "model": width, "feedback": 1}
        self.turn_query = nn.Parameter(torch.zeros(width))
        self.to_turn = Attention(sources, width, heads)
        self.turn_out = Update(width, dropout)
        self.next_query = nn.Linear(width, width)
        self.to_next = Attention({"turn": width, "previous": width}, width, heads)
        self.next_out = Update(width, dropout)
        self.user_query = nn.Parameter(torch.zeros(width))
        self.to_user = Attention({"turn": width}, width, heads)
        self.user_out = Update(width, dropout)
        self.user_project = nn.Linear(width, width)
        self.query_project = nn.Linear(dimension, width)
        self.model_head = nn.Linear(width, width)
        self.head = nn.MultiheadAttention(width, heads, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Linear(2 * width, 1)

    def models(self) -> Tensor:
        """float[L, width]."""
        return self.model_project(self.described) + self.model_own

    def users(self, embeddings: Tensor, feedback: Tensor, present: Tensor) -> Tensor:
        """float[U, width] of U histories of H examples, each in the order of time.

        embeddings: float[U, H, D]. feedback: float[U, H, L]. present: bool[U, H, L], whether the
        user saw that model's answer.
        """
        liked = (feedback - self.mean) / self.deviation
        turns = self._turns(self.scale * embeddings, torch.where(present, liked, 0.0))
        turns = self._after_previous(turns, present)
        flat, seen = turns.flatten(1, 2), present.flatten(1, 2)
        query = self.user_query.expand(len(flat), self.width)
        found = self.to_user(query, {"turn": flat}, seen)
        return self.user_out(found) * seen.any(1, keepdim=True)

    def forward(self, users: Tensor, queries: Tensor) -> Tensor:
        """float[N, L], the logits of how well the models' answers would be liked.

        users: float[N, width]. queries: float[N, D].
        """
        context = torch.stack(
            [self.user_project(users), self.query_project(self.scale * queries)], dim=1
        )
        models = self.model_head(self.models())
        asked = models.expand(len(queries), *models.shape)
        attended, _ = self.head(asked, context, context, need_weights=False)
        joined = torch.relu(torch.cat([attended, asked], dim=-1))
        return self.score(self.dropout(joined)).squeeze(-1)

    def _turns(self, embeddings: Tensor, feedback: Tensor) -> Tensor:
        users, examples, labels = feedback.shape
        shape = (users, examples, labels, 1, -1)
        neighbours = {
            "query": embeddings[:, :, None, None].expand(*shape),
            "model": self.models()[:, None].expand(*shape),
            "feedback": feedback[..., None, None],
        }
        everyone = torch.ones(users, examples, labels, 3, dtype=torch.bool)
        query = self.turn_query.expand(users, examples, labels, self.width)
        return self.turn_out(self.to_turn(query, neighbours, everyone))

    def _after_previous(self, turns: Tensor, present: Tensor) -> Tensor:
        """Turns with word from the one before: the example before with the same model."""
        before = turns.roll(1, dims=1)
        seen = present.roll(1, dims=1).clone()
        seen[:, 0] = False
        neighbours = {"turn": turns[..., None, :], "previous": before[..., None, :]}
        both = torch.stack([torch.ones_like(seen), seen], dim=-1)
        return self.next_out(self.to_next(self.next_query(turns), neighbours, both), turns)
