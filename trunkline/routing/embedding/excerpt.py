"""The part of a text that an embedder reads."""

from __future__ import annotations

BYTES = 5
"""Bytes of UTF-8 for each token: English and code have four to five, other scripts two or three."""


def excerpt(text: str, max_tokens: int) -> str:
    """The text, or of a long one the start and the end, as valid Unicode.

    It has at most `BYTES * max_tokens` bytes. An excerpt of an excerpt is the same.
    Lone surrogates, which JSON can carry and UTF-8 can't, become question marks.
    """
    limit = BYTES * max_tokens
    text = text.strip()
    half = (limit - 1) // 2
    if len(text) > limit:
        text = f"{text[:half]} {text[-half:]}"
    if text.isascii():
        return text
    encoded = text.encode(errors="replace")
    if len(encoded) > limit:
        encoded = encoded[:half] + b" " + encoded[-half:]
    return encoded.decode(errors="ignore")
