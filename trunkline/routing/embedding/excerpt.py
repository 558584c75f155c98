"""The part of a text that an embedder reads."""

from __future__ import annotations

CHARACTERS = 5
"""Characters for each token: English and code have about four and a half."""


def excerpt(text: str, max_tokens: int) -> str:
    """The text, or of a long one the start and the end, as valid Unicode.

    It has at most `CHARACTERS * max_tokens` characters. An excerpt of an excerpt is the same.
    Lone surrogates, which JSON can carry and UTF-8 can't, become question marks.
    """
    limit = CHARACTERS * max_tokens
    text = text.strip()
    if len(text) > limit:
        half = (limit - 1) // 2
        text = f"{text[:half].rstrip()} {text[-half:].lstrip()}"
    return text if text.isascii() else text.encode(errors="replace").decode()
