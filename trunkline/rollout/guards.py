"""Whether a candidate may go on, come into force, or has to go: by what became of its calls."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..dataclass import dataclass
from ..live.pointer import Canary, Guards
from ..state.arms import CANDIDATE, CURRENT, Tallies, Tally
from .outcomes import Action

SOONEST = 10
"""Attempts after which a candidate may go for failures, if they can't be chance."""
LEAST_JUDGED = 10
"""Answers of each that somebody judged before feedback counts."""
Z = 1.645
"""Of one-sided 95% confidence."""


@dataclass(frozen=True, slots=True)
class Verdict:
    action: Action
    reason: str


def verdict(canary: Canary, tallies: Tallies, now: float) -> Verdict:
    """PROMOTED, WITHDRAWN or WAITING, and why. now: Unix time."""
    candidate, least = tallies[CANDIDATE], canary.guards.least_calls
    reasons = list(_broken(canary.guards, tallies[CURRENT], candidate))
    if reasons:
        return Verdict(Action.WITHDRAWN, "; ".join(reasons))
    told = f"{candidate.tries} of {least} calls"
    if now < canary.until:
        return Verdict(Action.WAITING, f"{told}, {math.ceil(canary.until - now)} s left")
    if candidate.tries >= least:
        return Verdict(Action.PROMOTED, f"every guard held over {candidate.tries} calls")
    if now < canary.until + (canary.until - canary.started):
        return Verdict(Action.WAITING, f"its time is over, but it decided {told} only")
    return Verdict(Action.WITHDRAWN, f"it decided {told} only, in twice its time")


def _broken(guards: Guards, current: Tally, candidate: Tally) -> Iterator[str]:
    if candidate.unusable:
        yield f"processes that can't decide by it: {candidate.unusable}"
    limit = current.error_share + guards.errors
    enough = candidate.tries >= guards.least_calls
    if (enough and candidate.error_share > limit) or (
        candidate.tries >= SOONEST and _at_least(candidate) > limit
    ):
        yield (
            f"{candidate.error_share:.1%} of its {candidate.tries} calls failed, and"
            f" {current.error_share:.1%} of the others"
        )
    cost, usual = candidate.mean_cost, current.mean_cost
    if enough and cost is not None and usual is not None and cost > usual * guards.cost:
        yield f"a call costs ${cost / 1e9:.6f}, and ${usual / 1e9:.6f} by what is in force"
    score, before = candidate.mean_score, current.mean_score
    judged = min(candidate.scored, current.scored) >= LEAST_JUDGED
    if judged and score is not None and before is not None and score < before - guards.quality:
        yield f"its answers are judged {score:.3f} on average, and the others {before:.3f}"


def _at_least(tally: Tally) -> float:
    """What the share of failures is at least, with confidence: Wilson's lower bound.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    n, p = tally.tries, tally.error_share
    centre = p + Z * Z / (2 * n)
    spread = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return (centre - spread) / (1 + Z * Z / n)
