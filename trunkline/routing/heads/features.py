"""What a query looks like, beside what it means: its shape and its words, as numbers.

Training and serving compute features by this module alone, so that they can't differ. A vector is
the query's embedding, its shape (lengths, shares of kinds of characters, marks, how it begins and
ends) standardised, and its hashed words projected to fewer dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from ..bundles.manifest import MANIFEST
from ..embedding.excerpt import BYTES, excerpt

if TYPE_CHECKING:
    from ..bundles.weights import Weights

READ_TOKENS = 512
"""How much of a text counts, as `excerpt` cuts it."""

BUCKETS = 4096
"""How many words can be told apart (Weinberger et al. 2009, "Feature Hashing")."""

EMBEDDING_SCALE, SHAPE_SCALE, WORDS_SCALE = 5.0, 0.5, 4.0
"""What each part of a vector is multiplied by, so that none outweighs the others."""

_SPACE, _LETTER, _DIGIT, _MARK = range(4)
_MARKS = np.frombuffer(b".,?!:;'\"()[]{}$\\=+-*/^_%<>#`|&@\n ", np.uint8)
_OPENINGS = "who what when where which why how is if write find compute given the a in".split()
SHAPE = 14 + len(_MARKS) + len(_OPENINGS)
"""Length of `shape`'s vectors."""


def _kinds() -> np.ndarray:
    kinds = np.full(256, _LETTER, np.uint8)
    kinds[:33], kinds[33:128] = _SPACE, _MARK
    kinds[48:58] = _DIGIT
    kinds[65:91] = kinds[97:123] = _LETTER
    kinds[127] = _SPACE
    return kinds


def _folded() -> np.ndarray:
    """What each byte counts as in a word: capitals as small letters."""
    folded = np.arange(256, dtype=np.uint32)
    folded[65:91] += 32
    return folded


_KINDS, _FOLDED = _kinds(), _folded()
_PLACES = np.arange(BYTES * READ_TOKENS, dtype=np.uint32)


def read(text: str) -> np.ndarray:
    """uint8[n]: the UTF-8 of what counts of a text. Any `str` will do."""
    return np.frombuffer(excerpt(text, READ_TOKENS).encode(), np.uint8)


def shape(text: str, content: np.ndarray) -> np.ndarray:
    """float32[SHAPE] of a text and what `read` gives for it."""
    counts = np.bincount(content, minlength=256)
    letters = counts[65:91].sum(), counts[97:123].sum()
    kinds = (counts[48:58].sum(), *letters, counts[128:].sum())
    size = max(len(content), 1)
    spaces = counts[32] + counts[10] + 1
    first, last = (int(content[0]), int(content[-1])) if len(content) else (0, 0)
    opening = content[:40].tobytes().split(maxsplit=1)[:1]
    word = opening[0].lower().strip(b",.?:'\"").decode(errors="replace") if opening else ""
    numbers = [
        np.log1p(len(text)),
        np.log1p(kinds[0]),
        *(kind / size for kind in kinds),
        (letters[0] + letters[1]) / spaces,
        last == ord("?"),
        last == ord("."),
        last == ord(":"),
        _KINDS[last] == _LETTER,
        97 <= first < 123,
        65 <= first < 91,
        _KINDS[first] != _LETTER,
    ]
    opened = [word == each for each in _OPENINGS]
    marks = np.log1p(counts[_MARKS])
    return np.concatenate((numbers, marks, opened), dtype=np.float32)


def words(content: np.ndarray) -> np.ndarray:
    """Sorted int[m], each once: the buckets of the words in what was read.

    A word is a run of letters, whatever their case; a run of digits is one word, whatever they
    are; every other mark is one of its own. Bytes beyond ASCII count as letters.
    """
    if not len(content):
        return np.zeros(0, np.intp)
    kinds = _KINDS[content]
    new = kinds == _MARK
    new[0] = True
    new[1:] |= kinds[1:] != kinds[:-1]
    begins = np.flatnonzero(new)
    place = _PLACES[: len(content)] - _PLACES[begins][np.cumsum(new) - 1]
    digits = kinds == _DIGIT
    folded = np.where(digits, np.uint32(48), _FOLDED[content])
    parts = _mixed(folded + place * np.uint32(256))
    parts[digits & (place > 0)] = 0
    sums = np.add.reduceat(parts, begins, dtype=np.uint32)[kinds[begins] != _SPACE]
    found = np.zeros(BUCKETS, bool)
    found[_mixed(sums) % BUCKETS] = True
    return np.flatnonzero(found)


def _mixed(values: np.ndarray) -> np.ndarray:
    """uint32 in which every bit depends on every bit of the input (Ellis 2018, "lowbias32")."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x7FEB352D)
    values = (values ^ (values >> np.uint32(15))) * np.uint32(0x846CA68B)
    mixed: np.ndarray = values ^ (values >> np.uint32(16))
    return mixed


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The features of one bundle, as its training data shaped them.

    shape_mean, shape_scale: float32[SHAPE]; what is subtracted from a shape, and what then
    multiplies it. word_weights: float32[BUCKETS], how much a word tells (0 for one that never
    occurred). word_rows: int8[BUCKETS, w], the projection of words; word_scales: float32[BUCKETS],
    the step of each row's integers.
    """

    shape_mean: np.ndarray
    shape_scale: np.ndarray
    word_weights: np.ndarray
    word_rows: np.ndarray
    word_scales: np.ndarray

    @classmethod
    def of_bundle(cls, weights: Weights) -> Features:
        """Binds the size `features` to the length of the vectors. Raises BundleError."""
        if "dimension" not in weights.sizes:
            raise BundleError(f"{MANIFEST}: embedder is missing")
        found = cls(
            weights.take("shape_mean", "F", SHAPE),
            weights.take("shape_scale", "F", SHAPE),
            weights.take("word_weights", "F", BUCKETS),
            weights.take("word_rows", "I", BUCKETS, "words"),
            weights.take("word_scales", "F", BUCKETS),
        )
        weights.sizes["features"] = weights.sizes["dimension"] + SHAPE + weights.sizes["words"]
        return found

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """As a bundle holds them."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __call__(self, text: str, embedding: np.ndarray) -> np.ndarray:
        """float32[features] of a query. Any text will do; what it costs is bounded."""
        content = read(text)
        shaped = (shape(text, content) - self.shape_mean) * self.shape_scale
        parts = (
            EMBEDDING_SCALE * embedding,
            SHAPE_SCALE * np.maximum(np.minimum(shaped, 4.0), -4.0),
            WORDS_SCALE * self._projected(words(content)),
        )
        return np.concatenate(parts, dtype=np.float32)

    def _projected(self, buckets: np.ndarray) -> np.ndarray:
        """float32[w]: the words' rows, weighted, as those of a document of length 1."""
        weights = self.word_weights[buckets]
        length = float(np.sqrt(np.vecdot(weights, weights)))
        scales = self.word_scales[buckets] * weights / (length or 1.0)
        rows = self.word_rows[buckets].astype(np.float32)
        projected: np.ndarray = np.einsum("i,ij->j", scales, rows)
        return projected
