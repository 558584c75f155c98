"""Rankings that are the same for every query: by Elo ratings, and by declared size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from ..sizes import billions
from .head import HeadArgs, Query

if TYPE_CHECKING:
    from ..bundles.reading import Bundle


class Constant:
    """The same scores for every query."""

    embeds = False
    blocking = False

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores

    def scores(self, query: Query) -> np.ndarray:
        return self._scores.copy()


class RatingsHead(Constant):
    """Tensors: `ratings` float[labels]."""

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        super().__init__(bundle.weights.take("ratings", "F", "labels"))


class SmallestHead(Constant):
    """Needs no tensors. Labels without a size come last, and the first among equals wins."""

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        sizes = _sizes(bundle)
        super().__init__(-np.nan_to_num(sizes, nan=2 * np.nanmax(sizes) + 1))


class LargestHead(Constant):
    """Needs no tensors. Labels without a size come last, and the first among equals wins."""

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        super().__init__(np.nan_to_num(_sizes(bundle), nan=-1.0))


def _sizes(bundle: Bundle) -> np.ndarray:
    """float[labels]: billions of parameters; NaN where the label has no size."""
    sizes = []
    for label in bundle.manifest.labels:
        try:
            sizes.append(np.nan if label.size is None else billions(label.size))
        except ValueError as error:
            raise BundleError(f"the label {label.name!r}: {error}") from None
    if np.isnan(sizes).all():
        raise BundleError(f'{bundle.manifest.strategy} needs a label with a size, such as "7B"')
    return np.array(sizes)
