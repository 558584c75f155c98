"""LiteLLM's five built-in strategies, which rank the deployments of one model group.

    simple-shuffle          at random, by `weight`, else `rpm`, else `tpm`
    least-busy              the fewest calls in flight
    latency-based-routing   the shortest time per output token, or to a stream's first chunk
    cost-based-routing      the lowest price of an input and an output token
    usage-based-routing     the fewest tokens in the current minute; `-v2` draws among equals

Who is cooling down, full or over its limits was taken out before.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Any, Protocol

from ..call import Call
from .candidate import Candidate

Candidates = tuple[Candidate, ...]

KEPT_DRAWS = 1024
"""Sets of candidates whose weights are remembered."""


class Strategy(Protocol):
    """Ranks candidates.

    name: as in `router_settings.routing_strategy`.
    limits: whether `rpm` and `tpm` are limits under this strategy, not only weights.
    """

    name: str
    limits: bool

    def pick(self, candidates: Candidates, call: Call, now: float) -> Candidate:
        """One of `candidates`, of which there is at least one. `now`: seconds of the clock."""
        ...


class SimpleShuffle:
    name = "simple-shuffle"
    limits = False

    def __init__(self, args: Mapping[str, Any], random: Random) -> None:
        self._random = random.random
        self._weights = lru_cache(maxsize=KEPT_DRAWS)(cumulative_weights)

    def pick(self, candidates: Candidates, call: Call, now: float) -> Candidate:
        weights = self._weights(candidates)
        drawn = bisect(weights, self._random() * weights[-1], 0, len(weights) - 1)
        return candidates[drawn]


def cumulative_weights(candidates: Candidates) -> list[float]:
    """Running sums of the first of `weight`, `rpm` and `tpm` that any candidate has; else of ones.

    As in LiteLLM, a candidate that lacks what another has weighs nothing.
    """
    for name in ("weight", "rpm", "tpm"):
        weights = [max(0.0, getattr(each.deployment, name) or 0.0) for each in candidates]
        if any(weights):
            return list(accumulate(weights))
    return list(accumulate(1.0 for _ in candidates))


class LeastBusy:
    name = "least-busy"
    limits = False

    def __init__(self, args: Mapping[str, Any], random: Random) -> None:
        pass

    def pick(self, candidates: Candidates, call: Call, now: float) -> Candidate:
        return min(candidates, key=lambda each: each.vitals.in_flight)


class LatencyBased:
    """Takes one of those that are as fast as the fastest, or nearly.

    Its arguments are LiteLLM's: `ttl`, seconds for which a sample counts; `lowest_latency_buffer`,
    the share by which one may be slower than the fastest; `ttft_percentile`, from 0 to 1, for
    streams, instead of the mean. A deployment without samples comes first, so that it gets some.
    """

    name = "latency-based-routing"
    limits = True

    def __init__(self, args: Mapping[str, Any], random: Random) -> None:
        self._ttl = float(args.get("ttl", 3600))
        self._slack = 1 + float(args.get("lowest_latency_buffer", 0))
        percentile = args.get("ttft_percentile")
        self._percentile = None if percentile is None else float(percentile)
        self._random = random

    def pick(self, candidates: Candidates, call: Call, now: float) -> Candidate:
        since = now - self._ttl
        seconds = [self._latency(each, call, since) for each in candidates]
        limit = min(seconds) * self._slack
        fast = [each for each, taken in zip(candidates, seconds, strict=True) if taken <= limit]
        return self._random.choice(fast)

    def _latency(self, candidate: Candidate, call: Call, since: float) -> float:
        first_chunks, latencies = candidate.vitals.first_chunks, candidate.vitals.latencies
        seconds = None
        if call.stream and self._percentile is not None:
            seconds = first_chunks.percentile(since, self._percentile)
        elif call.stream:
            seconds = first_chunks.mean(since)
        if seconds is None:
            seconds = latencies.mean(since)
        return seconds or 0.0


class CostBased:
    name = "cost-based-routing"
    limits = True

    def __init__(self, args: Mapping[str, Any], random: Random) -> None:
        pass

    def pick(self, candidates: Candidates, call: Call, now: float) -> Candidate:
        return min(candidates, key=lambda each: each.price)


class UsageBased:
    name = "usage-based-routing"
    limits = True

    def __init__(self, args: Mapping[str, Any], random: Random) -> None:
        pass

    def pick(self, candidates: Candidates, call: Call, now: float) -> Candidate:
        for each in candidates:
            each.vitals.turn(now)
        return min(candidates, key=lambda each: each.vitals.tokens)


class UsageBasedV2:
    name = "usage-based-routing-v2"
    limits = True

    def __init__(self, args: Mapping[str, Any], random: Random) -> None:
        self._random = random

    def pick(self, candidates: Candidates, call: Call, now: float) -> Candidate:
        for each in candidates:
            each.vitals.turn(now)
        least = min(each.vitals.tokens for each in candidates)
        return self._random.choice([each for each in candidates if each.vitals.tokens == least])


Build = Callable[[Mapping[str, Any], Random], Strategy]

STRATEGIES: Mapping[str, Build] = {
    SimpleShuffle.name: SimpleShuffle,
    LeastBusy.name: LeastBusy,
    LatencyBased.name: LatencyBased,
    CostBased.name: CostBased,
    UsageBased.name: UsageBased,
    UsageBasedV2.name: UsageBasedV2,
}
"""What builds each strategy from `routing_strategy_args` and a source of randomness."""
