"""What a query looks like, beside what it means, as numbers.

Training and serving compute features by this module alone, so that they can't differ. A vector is
the query's embedding and its shape: lengths, shares of kinds of characters, marks, how it begins
and ends, standardised.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from ..bundles.manifest import MANIFEST
from ..embedding.excerpt import excerpt

if TYPE_CHECKING:
    from ..bundles.weights import Weights

READ_TOKENS = 512
"""How much of a text counts, as `excerpt` cuts it."""

EMBEDDING_SCALE, SHAPE_SCALE = 5.0, 0.5
"""What each part of a vector is multiplied by, so that none outweighs the other."""
MOST = 4.0
"""Standard deviations from the mean that count, at most."""
_MOST = np.float32(MOST * SHAPE_SCALE)

_MARKS = b".,?!:;'\"()[]{}$\\=+-*/^_%<>#`|&@\n "
_DIGITS, _CAPITALS, _SMALL, _BEYOND, _REST = range(len(_MARKS), len(_MARKS) + 5)
_KINDS = _REST + 1
_LOGARITHMS = _DIGITS + 1
"""Kinds whose count is a number of the shape."""
_NUMBERS = 6
_OPENINGS = "who what when where which why how is if write find compute given the a in".split()
_FIRST, _LAST = 3, 4
SHAPE = _LOGARITHMS + _NUMBERS + _FIRST + _LAST + len(_OPENINGS)
"""Length of `shape`'s vectors."""


def _kinds() -> bytes:
    """The kind of each byte of UTF-8: a mark of its own, or what it is one of."""
    kinds = bytearray([_REST]) * 256
    kinds[48:58] = bytes([_DIGITS]) * 10
    kinds[65:91] = bytes([_CAPITALS]) * 26
    kinds[97:123] = bytes([_SMALL]) * 26
    kinds[128:] = bytes([_BEYOND]) * 128
    for kind, mark in enumerate(_MARKS):
        kinds[mark] = kind
    return bytes(kinds)


_KIND = _kinds()
_LETTERS = frozenset(range(65, 91)) | frozenset(range(97, 123)) | frozenset(range(128, 256))
_PLACES = {word.encode(): place for place, word in enumerate(_OPENINGS)}
_NO_OPENING = (0.0,) * len(_OPENINGS)
_ALONE = b".?:'\""
"""Marks that don't belong to the word that a text begins with."""


def shape(text: str) -> np.ndarray:
    """float32[SHAPE] of any `str`; what it costs is bounded."""
    content = excerpt(text, READ_TOKENS).encode()
    found = np.empty(SHAPE, np.float32)
    counts = np.bincount(np.frombuffer(content.translate(_KIND), np.uint8), minlength=_KINDS)
    np.log1p(counts[:_LOGARITHMS], out=found[:_LOGARITHMS])
    *marks, digits, capitals, small, beyond, _ = counts.tolist()
    share = 1 / (len(content) or 1)
    letters = capitals + small
    first, last = (content[0], content[-1]) if content else (0, 0)
    place = _PLACES.get(_opening(content))
    found[_LOGARITHMS:] = (
        math.log1p(len(text)),
        digits * share,
        capitals * share,
        small * share,
        beyond * share,
        letters / (marks[-1] + marks[-2] + 1),
        97 <= first < 123,
        65 <= first < 91,
        first not in _LETTERS,
        last == 63,
        last == 46,
        last == 58,
        last in _LETTERS,
        *_NO_OPENING,
    )
    if place is not None:
        found[place - len(_OPENINGS)] = 1.0
    return found


def _opening(content: bytes) -> bytes:
    """The word that a text begins with, in small letters."""
    words = content[:40].split(maxsplit=1)
    return words[0].lower().strip(_ALONE) if words else b""


class Features:
    """The features of one bundle, as its training data shaped them."""

    def __init__(self, shape_mean: np.ndarray, shape_scale: np.ndarray) -> None:
        """float32[SHAPE]: what is subtracted from a shape, and what then multiplies it."""
        self.tensors = {"shape_mean": shape_mean, "shape_scale": shape_scale}
        """As a bundle holds them."""
        self._mean = shape_mean
        self._scale = shape_scale * np.float32(SHAPE_SCALE)

    @classmethod
    def of_bundle(cls, weights: Weights) -> Features:
        """Binds the size `features` to the length of the vectors. Raises BundleError."""
        if "dimension" not in weights.sizes:
            raise BundleError(f"{MANIFEST}: embedder is missing")
        weights.sizes["features"] = weights.sizes["dimension"] + SHAPE
        return cls(
            weights.take("shape_mean", "F", SHAPE),
            weights.take("shape_scale", "F", SHAPE),
        )

    def __call__(self, text: str, embedding: np.ndarray) -> np.ndarray:
        """float32[features] of a query. Any text will do; what it costs is bounded."""
        dimension = len(embedding)
        found = np.empty(dimension + SHAPE, np.float32)
        np.multiply(embedding, EMBEDDING_SCALE, out=found[:dimension])
        shaped = found[dimension:]
        np.subtract(shape(text), self._mean, out=shaped)
        shaped *= self._scale
        np.minimum(shaped, _MOST, out=shaped)
        np.maximum(shaped, -_MOST, out=shaped)
        return found
