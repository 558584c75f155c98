"""What clients are told of limits: how much is left, and why a call is refused."""

from __future__ import annotations

from ..access.money import dollars
from ..errors import BudgetExceeded, LimitExceeded
from ..state.contract import Admitted, Hold, Kind, Refused
from .limits import Limit

_HINT = " as it states no maximum of tokens"

_WHAT = {
    Kind.REQUESTS: "requests a minute",
    Kind.TOKENS: "tokens a minute",
    Kind.PARALLEL: "calls at once",
}

_NAMES = {
    Kind.REQUESTS: (b"x-ratelimit-limit-requests", b"x-ratelimit-remaining-requests"),
    Kind.TOKENS: (b"x-ratelimit-limit-tokens", b"x-ratelimit-remaining-tokens"),
}
"""OpenAI's headers of a limit, and of what is left of it."""


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
        headers=[
            (name.decode(), value.decode())
            for name, value in _headers(limit.kind, limit.maximum, refused.left)
        ],
    )


def told(admitted: Admitted) -> list[tuple[bytes, bytes]]:
    """The rate limits as OpenAI's headers tell them, encoded: of each kind, the one with the least
    left."""
    least: dict[Kind, tuple[int, int]] = {}
    for hold, left in zip(admitted.holds, admitted.left, strict=True):
        kind = hold.kind
        if kind in _NAMES and (kind not in least or left < least[kind][1]):
            least[kind] = hold.maximum, left
    return [each for kind, known in least.items() for each in _headers(kind, *known)]


def _headers(kind: Kind, maximum: int, left: int) -> list[tuple[bytes, bytes]]:
    if kind not in _NAMES:
        return []
    limit, remaining = _NAMES[kind]
    return [(limit, b"%d" % maximum), (remaining, b"%d" % max(0, left))]
