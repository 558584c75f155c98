"""By how much a bundle may be worse than the one whose place it takes."""

from __future__ import annotations

from ..dataclass import dataclass

MARGIN, COST_MARGIN = 0.01, 0.2


@dataclass(frozen=True, slots=True)
class Margins:
    """quality: of mean performance that it may be worse by. cost: share that it may cost more."""

    quality: float = MARGIN
    cost: float = COST_MARGIN


USUAL = Margins()
