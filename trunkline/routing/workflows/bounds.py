"""How far a workflow may go before it must come to an end with what it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """rounds: of reasoning. calls: that a workflow makes in all, with the one that answers.

    parts: into which a question may be split.
    tokens: of all its calls, after which no other is begun but the one that answers; None for any.
    seconds: after which nothing is waited for but the answer.
    """

    rounds: int = 4
    calls: int = 12
    parts: int = 4
    tokens: int | None = None
    seconds: float = 120.0

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Bounds:
        """args: `routing_strategy_args`, checked."""
        names = ("rounds", "calls", "parts", "tokens", "seconds")
        given = {name: args.get(f"max_{name}") for name in names}
        return cls(**{name: value for name, value in given.items() if value is not None})
