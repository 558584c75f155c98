"""Remembers the embeddings of recent texts: a retry, a fallback or a repeated question has one."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from .embedder import Embedder
from .excerpt import excerpt

if TYPE_CHECKING:
    import numpy as np

SIZE = 4096
LARGEST = 16 * 1024 * 1024
OVERHEAD = 300
"""Bytes that an entry takes beside its text and its numbers, about: three objects and a link."""


class Cached:
    """An `Embedder` that keeps the most recently used vectors of another, which can't be written.

    size: how many it keeps at most. largest: how many bytes these take at most, texts included.
    """

    def __init__(self, embedder: Embedder, size: int = SIZE, largest: int = LARGEST) -> None:
        self._embedder = embedder
        self._size, self._largest = size, largest
        self._kept: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = Lock()
        self.bytes = 0
        self.id = embedder.id
        self.sha256 = embedder.sha256
        self.dimension = embedder.dimension
        self.max_tokens = embedder.max_tokens
        self.blocking = embedder.blocking

    def __len__(self) -> int:
        return len(self._kept)

    def embed(self, text: str) -> np.ndarray:
        key = excerpt(text, self.max_tokens)
        vector = self._find(key)
        if vector is None:
            vector = self._embedder.embed(key)
            vector.setflags(write=False)
            self._keep(key, vector)
        return vector

    def recall(self, text: str) -> np.ndarray | None:
        """The vector if it is remembered: what a blocking embedder can say on the event loop."""
        return self._find(excerpt(text, self.max_tokens))

    def _find(self, key: str) -> np.ndarray | None:
        with self._lock:
            vector = self._kept.get(key)
            if vector is not None:
                self._kept.move_to_end(key)
            return vector

    def _keep(self, key: str, vector: np.ndarray) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = vector
            self.bytes += _bytes(key, vector)
            while len(self._kept) > self._size or self.bytes > self._largest:
                self.bytes -= _bytes(*self._kept.popitem(last=False))


def _bytes(key: str, vector: np.ndarray) -> int:
    size = len(key) if key.isascii() else len(key.encode())
    return size + vector.nbytes + OVERHEAD
