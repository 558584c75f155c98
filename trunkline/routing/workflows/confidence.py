"""When AutoMix goes on to the larger model: by how many of the small one's checks approve.

AutoMix: Madaan et al., arXiv:2310.12963, sections 3.2 and 3.3: a threshold on the confidence, or
the actions of a POMDP over it. Both are a table here, since so many checks have so many outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import BundleError

SAMPLES = 4
THRESHOLD = 0.5
MOST_SAMPLES = 64


@dataclass(frozen=True, slots=True)
class Rule:
    """small, large: labels or models; empty for those of the least and the largest size.

    samples: how often an answer is checked.
    escalates: for 0 to `samples` approving checks, whether the larger model is asked.
    """

    small: str
    large: str
    samples: int
    escalates: tuple[bool, ...]

    def escalated(self, approving: int, checks: int) -> bool:
        """Whether the larger model is asked, with so many of the checks approving.

        Fewer checks than planned count as their share of all.
        """
        return self.escalates[round(approving / checks * self.samples)]


def rule_of(parameters: Mapping[str, Any], args: Mapping[str, Any], labels: Sequence[str]) -> Rule:
    """The rule of a bundle's parameters, in which the configuration's arguments take precedence.

    parameters: `small` and `large`, labels; `samples`; `escalates`, a list of samples + 1
        booleans. A bundle may leave out any of them, but has the last two together.
    args: `small_model`, `large_model`, `samples` and `threshold`: with at most this share of the
        checks approving, the larger model is asked.

    Raises BundleError.
    """
    for name in ("small", "large"):
        if name in parameters and parameters[name] not in labels:
            raise BundleError(f"manifest.json: parameters.{name} must be one of the labels")
    samples, escalates = _table(parameters)
    if args.get("samples") or args.get("threshold") is not None or not escalates:
        threshold = args.get("threshold")
        samples = min(args.get("samples") or samples, MOST_SAMPLES)
        limit = THRESHOLD if threshold is None else threshold
        escalates = tuple(each / samples <= limit for each in range(samples + 1))
    return Rule(
        small=args.get("small_model") or parameters.get("small", ""),
        large=args.get("large_model") or parameters.get("large", ""),
        samples=samples,
        escalates=escalates,
    )


def _table(parameters: Mapping[str, Any]) -> tuple[int, tuple[bool, ...]]:
    if "samples" not in parameters and "escalates" not in parameters:
        return SAMPLES, ()
    samples, escalates = parameters.get("samples"), parameters.get("escalates")
    if type(samples) is not int or not 1 <= samples <= MOST_SAMPLES:
        raise BundleError(
            f"manifest.json: parameters.samples must be a whole number from 1 to {MOST_SAMPLES}"
        )
    if (
        not isinstance(escalates, list)
        or len(escalates) != samples + 1
        or not all(isinstance(each, bool) for each in escalates)
    ):
        raise BundleError(
            f"manifest.json: parameters.escalates must be a list of {samples + 1} booleans, one for"
            f" each number of approving checks"
        )
    return samples, tuple(escalates)
