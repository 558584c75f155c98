"""The token ids of a text, in a time that doesn't depend on how long it is.

Of a long text the start and the end are kept, half each: instructions stand at the one, and the
question after pasted material at the other.
"""

from __future__ import annotations

from functools import lru_cache

from tokenizers import Tokenizer

from .embedder import EmbedderError
from .excerpt import excerpt

KEPT_WORDS = 16_384
"""Words whose tokens are remembered: tokenising 60 words takes 0.1 ms, looking them up 0.01."""
LONGEST_KEPT = 48
"""Characters of the longest word that is remembered."""


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

    def __len__(self) -> int:
        """How many tokens there are: ids are less than it."""
        return self._tokenizer.get_vocab_size()

    def ids(self, text: str) -> list[int]:
        found: list[int] = []
        for word in excerpt(text, self._max_tokens).split():
            found += self._remembered(word) if len(word) <= LONGEST_KEPT else self._encoded(word)
        if len(found) > self._max_tokens:
            half = self._max_tokens // 2
            found[self._max_tokens - half : -half] = []
        return found

    def special(self, token: str) -> int:
        """The id of a special token. Raises EmbedderError where the tokenizer lacks it."""
        id = self._tokenizer.token_to_id(token)
        if id is None:
            raise EmbedderError(f"tokenizer.json has no token {token}")
        return id

    def _encoded(self, word: str) -> tuple[int, ...]:
        # `encode` stays on this thread, where `encode_batch` would start a thread for each core.
        return tuple(self._tokenizer.encode(word, add_special_tokens=False).ids)
