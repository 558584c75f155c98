"""How many tokens a query has, where nobody counted them."""

from __future__ import annotations

from trunkline.routing.prompt_size import USUAL_BYTES


def estimated(query: str) -> float:
    """Tokens of a query, from its length: the gateway's own rule of about four bytes a token."""
    return len(query.encode(errors="replace")) / USUAL_BYTES
