"""When AutoMix goes on to the larger model: by how many of the small one's checks approve.

AutoMix: Madaan et al., arXiv:2310.12963, sections 3.2 and 3.3: a threshold on the confidence, or
the actions of a POMDP over it. Both are a table here, since so many checks have so many outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...dataclass import dataclass
from ...errors import BundleError

SAMPLES = 4
THRESHOLD = 0.5
MOST_SAMPLES = 64


@dataclass(frozen=True, slots=True)
class Rule:
    """small, large: labels or models; empty for those of the least and the largest size.

    samples: how often an answer is checked.
    escalates: whether the larger model is asked, for equally many shares of approving checks from
        none to all.
    """

    small: str
    large: str
    samples: int
    escalates: tuple[bool, ...]

    def escalated(self, approving: int, checks: int) -> bool:
        """Whether the larger model is asked, with so many of the checks approving."""
        return self.escalates[round(approving / checks * (len(self.escalates) - 1))]


def rule_of(parameters: Mapping[str, Any], args: Mapping[str, Any], labels: Sequence[str]) -> Rule:
    """The rule of a bundle's parameters, in which the configuration's arguments take precedence.

    parameters: `small` and `large`, labels; `escalates`, a list of booleans, one more than the
        checks that it was made for. A bundle may leave out any of them.
    args: `small_model`, `large_model`, `samples` and `threshold`: with at most this share of the
        checks approving, the larger model is asked.

    Raises BundleError.
    """
    for name in ("small", "large"):
        if name in parameters and parameters[name] not in labels:
            raise BundleError(f"manifest.json: parameters.{name} must be one of the labels")
    escalates, threshold = _table(parameters), args.get("threshold")
    samples = min(args.get("samples") or len(escalates) - 1, MOST_SAMPLES)
    if threshold is not None:
        escalates = _below(threshold, samples)
    return Rule(
        small=args.get("small_model") or parameters.get("small", ""),
        large=args.get("large_model") or parameters.get("large", ""),
        samples=samples,
        escalates=escalates,
    )


def _below(threshold: float, samples: int) -> tuple[bool, ...]:
    return tuple(each / samples <= threshold for each in range(samples + 1))


def _table(parameters: Mapping[str, Any]) -> tuple[bool, ...]:
    found = parameters.get("escalates")
    if found is None:
        return _below(THRESHOLD, SAMPLES)
    if (
        not isinstance(found, list)
        or not 2 <= len(found) <= MOST_SAMPLES + 1
        or not all(isinstance(each, bool) for each in found)
    ):
        raise BundleError(
            "manifest.json: parameters.escalates must be a list of booleans, one for each number"
            f" of approving checks from 0 to at most {MOST_SAMPLES}"
        )
    return tuple(found)
