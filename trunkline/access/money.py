"""Dollars as people and LiteLLM's clients write them, and nano-dollars as we count them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

NANO = 10**9


def nano(dollars: float) -> int:
    """Nano-dollars, rounded half up as the number is written."""
    return int((Decimal(str(dollars)) * NANO).to_integral_value(ROUND_HALF_UP))


def dollars(amount: int) -> float:
    """Dollars for nano-dollars."""
    return amount / NANO
