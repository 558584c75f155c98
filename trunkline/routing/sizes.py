"""Sizes of models as their makers write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(?:(\d{1,4})\s*[x×]\s*)?(\d{1,7}(?:\.\d{1,9})?)\s*([KMBT]?)", re.IGNORECASE)
_BILLIONS = {"K": 1e-6, "M": 1e-3, "": 1.0, "B": 1.0, "T": 1e3}


def billions(size: str) -> float:
    """Billions of parameters: 7 for "7B" and "7", 0.45 for "450M", 56 for "8x7B".

    LLMRouter's `parse_size` makes 0 of "8x7B", so that the mixture counts as the smallest.

    Raises ValueError.
    """
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise ValueError(f'the size {size!r} is not like "7B", "0.5B", "8x7B" or "450M"')
    experts, number, unit = found.groups()
    return int(experts or 1) * float(number) * _BILLIONS[unit.upper()]
