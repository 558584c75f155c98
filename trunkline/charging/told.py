"""What clients are told of limits: how much is left, and why a call is refused."""

from __future__ import annotations

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

_NAMES = {Kind.REQUESTS: "requests", Kind.TOKENS: "tokens"}


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


def told(admitted: Admitted) -> Headers:
    """The rate limits as OpenAI's headers tell them: of each kind, the one with the least left."""
    headers: Headers = []
    for kind in _NAMES:
        least, maximum = -1, 0
        for hold, left in zip(admitted.holds, admitted.left, strict=True):
            if hold.kind is kind and (least < 0 or left < least):
                least, maximum = left, hold.maximum
        if least >= 0:
            headers += _headers(kind, maximum, least)
    return headers


def _headers(kind: Kind, maximum: int, left: int) -> Headers:
    name = _NAMES.get(kind)
    if name is None:
        return []
    return [
        (f"x-ratelimit-limit-{name}", str(maximum)),
        (f"x-ratelimit-remaining-{name}", str(max(0, left))),
    ]
