"""What clients are told of limits: how much is left, and why a call is refused."""

from __future__ import annotations

import math

from ..access.money import dollars
from ..call import Headers
from ..errors import BudgetExceeded, LimitExceeded
from ..state.contract import Admitted, Hold, Kind, Refused
from .limits import Limit

_HINT = " as it states no maximum of tokens"

_WHAT = {
    Kind.REQUESTS: "requests a minute",
    Kind.TOKENS: "tokens a minute",
    Kind.PARALLEL: "calls at once",
}

_REQUESTS, _TOKENS = Kind.REQUESTS, Kind.TOKENS
_NAMES = {_REQUESTS: "requests", _TOKENS: "tokens"}
_NO_LIMIT = (0, math.inf)
"""Its maximum, and what is left of it."""


def refusal(limit: Limit, hold: Hold, refused: Refused, *, budget_status: int) -> LimitExceeded:
    """What a client is told whose call a limit has no room for."""
    if limit.kind is Kind.BUDGET:
        return BudgetExceeded(
            f"Budget has been exceeded! Of ${dollars(limit.maximum)} the {limit.of} has"
            f" ${dollars(max(0, refused.left))} left, and the call may cost up to"
            f" ${dollars(hold.amount)}{_HINT if hold.elastic else ''}.",
            status=budget_status,
        )
    what = _WHAT[limit.kind]
    return LimitExceeded(
        f"Rate limit of the {limit.of} reached: {limit.maximum} {what};"
        f" {max(0, refused.left)} left, {hold.amount} needed.",
        retry_after=refused.retry_after,
        headers=_headers(limit.kind, limit.maximum, refused.left),
    )


def told(admitted: Admitted) -> list[tuple[bytes, bytes]]:
    """The rate limits as OpenAI's headers tell them, encoded: of each kind, the one with the least
    left."""
    requests: tuple[int, float] = _NO_LIMIT
    tokens = requests
    for hold, left in zip(admitted.holds, admitted.left, strict=True):
        kind = hold.kind
        if kind is _REQUESTS:
            if left < requests[1]:
                requests = (hold.maximum, left)
        elif kind is _TOKENS and left < tokens[1]:
            tokens = (hold.maximum, left)
    headers = []
    if requests is not _NO_LIMIT:
        headers.append((b"x-ratelimit-limit-requests", b"%d" % requests[0]))
        headers.append((b"x-ratelimit-remaining-requests", b"%d" % max(0, requests[1])))
    if tokens is not _NO_LIMIT:
        headers.append((b"x-ratelimit-limit-tokens", b"%d" % tokens[0]))
        headers.append((b"x-ratelimit-remaining-tokens", b"%d" % max(0, tokens[1])))
    return headers


def _headers(kind: Kind, maximum: int, left: int) -> Headers:
    name = _NAMES.get(kind)
    if name is None:
        return []
    return [
        (f"x-ratelimit-limit-{name}", str(maximum)),
        (f"x-ratelimit-remaining-{name}", str(max(0, left))),
    ]
