"""What a language model reads before it names a model, and the tokens of the names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import BundleError
from ..bundles.manifest import MANIFEST
from .onnx_session import TOKENIZER, encode

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PLACEHOLDER = "{query}"
MOST_NAME_TOKENS = 64
LONGEST_TOKEN = 32
"""Characters. Of a text only so many a token are read, which bounds the time that it takes."""


class Prompt:
    """A template with {query} in it, after which one of the names follows, parted by a space.

    names: the tokens of each. max_tokens: of a prompt and a name together.

    Raises BundleError where the template, the tokenizer and the names don't go together.
    """

    def __init__(
        self, tokenizer: Tokenizer, template: object, max_tokens: int, names: Sequence[str]
    ) -> None:
        if not isinstance(template, str) or template.count(PLACEHOLDER) != 1:
            raise BundleError(
                f"{MANIFEST}: parameters.prompt must be a text that holds {PLACEHOLDER} once"
            )
        self._tokenizer = tokenizer
        self._before, _, self._after = template.partition(PLACEHOLDER)
        self._empty = self.tokens("")
        self.names = tuple(map(self._name, names))
        longest = max(map(len, self.names))
        self._most = max_tokens - longest
        if longest > MOST_NAME_TOKENS or self._most < len(self._empty):
            raise BundleError(
                f"{MANIFEST}: parameters.max_tokens: {max_tokens} leave no room for a prompt of"
                f" {len(self._empty)} tokens and a label of {longest} ({MOST_NAME_TOKENS} at most)"
            )

    def tokens(self, query: str) -> list[int]:
        """Those of the prompt for a query, without what the tokenizer adds at the end."""
        found = encode(self._tokenizer, self._before + query + self._after)
        return _before_specials(found.ids, found.special_tokens_mask)

    def fitting(self, query: str) -> str:
        """As much of the beginning of a query as there is room for."""
        query = query[: (self._most - len(self._empty)) * LONGEST_TOKEN]
        while (count := len(self.tokens(query))) > self._most:
            query = query[: min(len(query) - 1, len(query) * self._most // count)]
        return query

    def _name(self, name: str) -> tuple[int, ...]:
        found = encode(self._tokenizer, f"{self._before}{self._after} {name}")
        whole = _before_specials(found.ids, found.special_tokens_mask)
        count = len(self._empty)
        if whole[:count] != self._empty or len(whole) == count:
            raise BundleError(f"{TOKENIZER}: the label {name!r} has no tokens of its own")
        return tuple(whole[count:])


def _before_specials(ids: list[int], special: list[int]) -> list[int]:
    end = len(ids)
    while end and special[end - 1]:
        end -= 1
    return ids[:end]
