"""The order of models where nothing else tells which is stronger: size, else price."""

from __future__ import annotations

from collections.abc import Sequence

from .bundles.manifest import Label
from .sizes import billions


def by_strength(labels: Sequence[Label], *, strongest_first: bool) -> list[str]:
    """The labels' names: by size where any has one, else by price, else as they stand.

    Those of which it isn't known come last, and among equals the order stays.

    Raises ValueError for a size that is none.
    """
    measures = [_size(label) for label in labels]
    if not any(measures):
        measures = [_price(label) for label in labels]
    known = [place for place, measure in enumerate(measures) if measure is not None]
    sign = -1 if strongest_first else 1
    known.sort(key=lambda place: sign * (measures[place] or 0.0))
    unknown = [place for place, measure in enumerate(measures) if measure is None]
    return [labels[place].name for place in (*known, *unknown)]


def _size(label: Label) -> float | None:
    return None if label.size is None else billions(label.size)


def _price(label: Label) -> float | None:
    prices = (label.input_price, label.output_price)
    known = [price for price in prices if price is not None]
    return sum(known) if known else None
