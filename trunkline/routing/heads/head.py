"""What a head is given and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from ...dataclass import dataclass

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Query:
    """What is routed.

    text: the last user message. embedding: float32[dimension], where the head embeds.
    user: who asks, as the request says; empty where it doesn't.
    cost_weight: how much quality, of a scale from 0 to 1, a label may be worse for saving the cost
        of one answer of the dearest label; None for the head's own.
    """

    text: str
    embedding: np.ndarray | None = None
    user: str = ""
    cost_weight: float | None = None


@dataclass(frozen=True, slots=True)
class HeadArgs:
    """What configuration decides about a head.

    cost_weight: as in `Query`, for queries that name none; None for the bundle's own.
    args: `routing_strategy_args` as they are written, for what only one strategy has.
    """

    cost_weight: float | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


class Head(Protocol):
    """Scores the labels of one bundle. Built as `Class(bundle, args)`, which raises BundleError.

    embeds: whether it needs the query's embedding.
    blocking: whether it takes milliseconds, and so has to run off the event loop.
    """

    embeds: bool
    blocking: bool

    def scores(self, query: Query) -> np.ndarray:
        """float[labels], finite: the higher the better. Among equals the first label wins.

        Never writes to anything that lives longer than the call: threads may share a head.
        """
        ...
