"""The token ids of a text, in a time that doesn't depend on how long it is.

Of a long text the start and the end are kept, half each: instructions stand at the one, and the
question after pasted material at the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from .embedder import EmbedderError
from .excerpt import excerpt

KEPT_WORDS = 16_384
"""Words beyond the vocabulary whose tokens are remembered; the tokenizer takes 5 µs for one."""
LONGEST_KEPT = 48
"""Characters of the longest word that is remembered."""
ID = np.dtype(np.int32)
"""Of a token. Tokens of words are kept as the bytes of such ids, which are the fastest to join."""

_RUNS = re.compile(r"[a-z0-9\x00-\x08\x0e-\x1b\x7f]+|[!-/:-@\[-`{-~]").findall
"""What BERT's pre-tokenizer makes of ASCII in small letters: runs of letters and digits, and marks.

Control characters, which its normalizer drops, stay in the runs: no entry of a vocabulary has any.
"""


class WordPieces:
    """Token ids of texts, without the special tokens that a transformer wants around them.

    max_tokens: how many ids there are at most. Words are what stands between white space: a
    tokenizer for which that is no boundary would give other ids for whole texts.
    """

    def __init__(self, tokenizer: bytes, max_tokens: int) -> None:
        """tokenizer: a `tokenizer.json`. Raises EmbedderError where it is none.

        max_tokens: at least 2.
        """
        if max_tokens < 2:
            raise EmbedderError(f"An embedder has to read more tokens than {max_tokens}")
        try:
            self._tokenizer = Tokenizer.from_buffer(tokenizer)
        except ValueError as error:
            raise EmbedderError(f"tokenizer.json can't be used: {error}") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # A text that says "[SEP]" means these characters, not the token that ends a text.
        self._tokenizer.encode_special_tokens = True
        self._max_tokens = max_tokens
        self._remembered = lru_cache(maxsize=KEPT_WORDS)(self._encoded)
        self._runs = _Runs(self._tokens)
        self._splits = _splits_into_runs(json.loads(tokenizer))
        if self._splits:
            self._runs.fill(self._tokenizer.get_vocab())

    def __len__(self) -> int:
        """How many tokens there are: ids are less than it."""
        return self._tokenizer.get_vocab_size()

    def ids(self, text: str) -> np.ndarray:
        """int32[n]."""
        text = excerpt(text, self._max_tokens)
        if not self._splits:
            found = self._of_words(text.split())
        elif text.isascii():
            found = self._of_ascii(text)
        else:
            parts = groupby(text.split(), str.isascii)
            found = b"".join(
                self._of_ascii(" ".join(part)) if ascii else self._of_words(part)
                for ascii, part in parts
            )
        ids = np.frombuffer(found, ID)
        if len(ids) > self._max_tokens:
            half = self._max_tokens // 2
            ids = np.concatenate((ids[: self._max_tokens - half], ids[-half:]))
        return ids

    def special(self, token: str) -> int:
        """The id of a special token. Raises EmbedderError where the tokenizer lacks it."""
        id = self._tokenizer.token_to_id(token)
        if id is None:
            raise EmbedderError(f"tokenizer.json has no token {token}")
        return id

    def _of_words(self, words: Iterable[str]) -> bytes:
        return b"".join(map(self._tokens, words))

    def _of_ascii(self, text: str) -> bytes:
        return b"".join(map(self._runs.__getitem__, _RUNS(text.lower())))

    def _tokens(self, word: str) -> bytes:
        return self._remembered(word) if len(word) <= LONGEST_KEPT else self._encoded(word)

    def _encoded(self, word: str) -> bytes:
        # `encode` stays on this thread, where `encode_batch` would start a thread for each core.
        return np.array(self._tokenizer.encode(word, add_special_tokens=False).ids, ID).tobytes()


class _Runs(dict[str, bytes]):
    """The ids of runs: of those in the vocabulary at once, of others by the tokenizer."""

    def __init__(self, others: Callable[[str], bytes]) -> None:
        super().__init__()
        self._others = others

    def fill(self, vocabulary: dict[str, int]) -> None:
        """Takes the entries that are one run."""
        for entry, id in vocabulary.items():
            if _RUNS(entry) == [entry]:
                self[entry] = np.array([id], ID).tobytes()

    def __missing__(self, run: str) -> bytes:
        return self._others(run)


def _splits_into_runs(described: dict[str, Any]) -> bool:
    """Whether a tokenizer does to ASCII what `_RUNS` does, and knows a run of its vocabulary as it
    stands there: BERT's, where letters count as small ones."""
    normalizer, splitter = described.get("normalizer") or {}, described.get("pre_tokenizer") or {}
    model = described.get("model") or {}
    return (
        normalizer.get("type") == "BertNormalizer"
        and normalizer.get("lowercase") is True
        and normalizer.get("clean_text") is True
        and splitter.get("type") == "BertPreTokenizer"
        and model.get("type") == "WordPiece"
        and not described.get("added_tokens")
    )
