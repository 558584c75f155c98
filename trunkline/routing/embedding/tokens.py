"""The token ids of a text, in a time that doesn't depend on how long it is.

Of a long text the start and the end are kept, half each: instructions stand at the one, and the
question after pasted material at the other.
"""

from __future__ import annotations

import string
from array import array
from functools import lru_cache

import numpy as np
from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from .embedder import EmbedderError
from .excerpt import excerpt

KEPT_WORDS = 4096
"""Words whose tokens are remembered; the tokenizer takes 5 µs for one."""
LONGEST_KEPT = 48
"""Characters of the longest word that is remembered."""
ID = np.dtype(np.int64)
"""Of a token. Tokens of words are kept as the bytes of such ids, which are the fastest to join."""

_APART = {ord(mark): (mark, f" {mark} ") for mark in string.punctuation}
_OTHERS = bytes(set(range(256)) - set(_APART))


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
        self._bert = _is_bert(self._tokenizer)
        self._words = _BertWords(self._tokenizer) if self._bert else _Words(self._tokenizer)

    def __len__(self) -> int:
        """How many tokens there are: ids are less than it."""
        return self._tokenizer.get_vocab_size()

    def ids(self, text: str) -> np.ndarray:
        """int64[n]."""
        text = excerpt(text, self._max_tokens)
        if self._bert:
            text = _with_marks_apart(text)
        ids = np.frombuffer(b"".join(map(self._words.__getitem__, text.split())), ID)
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


class _Words(dict[str, bytes]):
    """The ids of any word, by the tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer
        self._remembered = lru_cache(maxsize=KEPT_WORDS)(self._encoded)

    def __missing__(self, word: str) -> bytes:
        return self._remembered(word) if len(word) <= LONGEST_KEPT else self._encoded(word)

    def _encoded(self, word: str) -> bytes:
        # `encode` stays on this thread, where `encode_batch` would start a thread for each core.
        return _bytes(self._tokenizer.encode(word, add_special_tokens=False).ids)


class _BertWords(_Words):
    """The ids of words in small letters, without marks but those that are a word.

    Holds the words of the vocabulary that were asked for.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self._model = tokenizer.model

    def __missing__(self, word: str) -> bytes:
        # BERT drops control characters, and accents.
        if not (word.isascii() and word.isprintable()):
            return super().__missing__(word)
        # 1 µs, where `encode` takes 4.
        tokens = self._model.tokenize(word)
        found = _bytes([token.id for token in tokens])
        if len(tokens) == 1 and tokens[0].value == word:
            self[word] = found
        return found


def _bytes(ids: list[int]) -> bytes:
    return array(ID.char, ids).tobytes()


def _with_marks_apart(text: str) -> str:
    """What BERT makes of ASCII in a text: small letters, and white space around each mark."""
    encoded = text.encode()
    marks = set(encoded.translate(None, _OTHERS))
    # Of bytes, only those that are ASCII have small letters.
    text = encoded.lower().decode()
    for mark in marks:
        text = text.replace(*_APART[mark])
    return text


def _is_bert(tokenizer: Tokenizer) -> bool:
    """Whether `_with_marks_apart` gives the words that the tokenizer makes its pieces of."""
    normalizer = tokenizer.normalizer
    return (
        isinstance(normalizer, BertNormalizer)
        and normalizer.lowercase
        and isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        and not tokenizer.get_added_tokens_decoder()
    )
