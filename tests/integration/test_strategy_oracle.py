"""LiteLLM's strategies and ours see the same deployments and the same history, and pick alike."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.routing import answer, call, deployment, fail, failure, router
from trunkline.call import Deployment
from trunkline.errors import ErrorKind, NoDeployment
from trunkline.routing.router import Router

pytestmark = pytest.mark.criterion("R2.6")

DRAWS = 100
"""Enough that each of four equals is drawn: they fail once in 10^12 runs."""

few = settings(max_examples=50, deadline=None)


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    from tests.support import litellm_oracle

    return litellm_oracle


def named(configurations: Sequence[Mapping[str, Any]]) -> tuple[Deployment, ...]:
    return tuple(deployment(f"d{i}", **fields) for i, fields in enumerate(configurations))


def used_up(over: Router, deployments: Sequence[Deployment], used: Mapping[str, Any]) -> None:
    """The deployments have answered so many requests, with so many tokens in all."""
    for each in deployments:
        requests, tokens = used[each.id]
        for index in range(requests):
            answer(over, each, call(), tokens=(tokens if index == 0 else 0, 0))


async def pick(over: Router, deployments: Sequence[Deployment], **fields: Any) -> str:
    try:
        return (await over.choose(deployments, call(**fields))).id
    except NoDeployment:
        return "none"


loads = st.integers(0, 10)
weights = st.one_of(st.none(), loads)
groups_of = st.integers(2, 4).flatmap


@few
@given(
    st.lists(
        st.fixed_dictionaries({"weight": weights, "rpm": weights, "tpm": weights}),
        min_size=2,
        max_size=4,
    ).filter(lambda entries: any(value for entry in entries for value in entry.values())),
    st.integers(0, 2**32),
)
async def test_simple_shuffle_draws_by_weight_as_litellm_does(
    oracle: ModuleType, configurations: list[dict[str, Any]], seed: int
) -> None:
    deployments = named(configurations)
    ours = router(deployments, seed=seed)
    random.seed(seed)
    theirs = [oracle.shuffle(deployments) for _ in range(30)]
    assert [await pick(ours, deployments) for _ in range(30)] == theirs


async def test_simple_shuffle_without_weights_is_as_even_as_litellms(oracle: ModuleType) -> None:
    deployments = named([{}] * 5)
    ours = router(deployments, seed=7)
    random.seed(7)
    counts = {each.id: [0, 0] for each in deployments}
    for _ in range(4000):
        counts[await pick(ours, deployments)][0] += 1
        counts[oracle.shuffle(deployments)][1] += 1
    # Two samples of equal size from one distribution: chi-square with 4 degrees of freedom.
    statistic = sum((a - b) ** 2 / (a + b) for a, b in counts.values())
    assert statistic < 25


@few
@given(st.lists(loads, min_size=2, max_size=6))
async def test_least_busy_picks_whom_litellm_picks(
    oracle: ModuleType, in_flight: list[int]
) -> None:
    deployments = named([{}] * len(in_flight))
    ours = router(deployments, "least-busy")
    busy = {each.id: count for each, count in zip(deployments, in_flight, strict=True)}
    for each in deployments:
        for _ in range(busy[each.id]):
            ours.started(each, call())
    assert await pick(ours, deployments) == oracle.least_busy(deployments, busy)


limited = st.fixed_dictionaries(
    {"rpm": st.one_of(st.none(), st.integers(1, 8)), "tpm": st.one_of(st.none(), st.just(500))}
)
usage = st.tuples(st.integers(1, 8), st.sampled_from([0, 100, 400, 500, 501, 700]))
histories = groups_of(
    lambda size: st.tuples(
        st.lists(limited, min_size=size, max_size=size),
        st.lists(usage, min_size=size, max_size=size),
    )
)


@few
@given(histories, st.permutations([1e-6, 2e-6, 5e-6, 9e-6]))
async def test_cost_based_picks_the_cheapest_within_its_limits_as_litellm_does(
    oracle: ModuleType, history: tuple[list[dict[str, Any]], list[tuple[int, int]]], prices: Any
) -> None:
    configurations, uses = history
    deployments = named(
        [
            {**limits, "params": {"input_cost_per_token": price, "output_cost_per_token": price}}
            for limits, price in zip(configurations, prices, strict=False)
        ]
    )
    ours = router(deployments, "cost-based-routing")
    used = {each.id: use for each, use in zip(deployments, uses, strict=True)}
    used_up(ours, deployments, used)
    assert await pick(ours, deployments) == await oracle.lowest_cost(deployments, used)


@few
@given(st.permutations(["gpt-4o", "gpt-4o-mini", "gpt-4.1-nano", "no-such-model"]))
async def test_cost_based_knows_the_prices_that_litellm_knows(
    oracle: ModuleType, models: list[str]
) -> None:
    # With a provider before the name LiteLLM's strategy takes a model for unknown; ours doesn't.
    deployments = named([{"model": model} for model in models])
    ours = router(
        deployments,
        "cost-based-routing",
        facts=lambda each: oracle.litellm.model_cost.get(each.upstream_model, {}),
    )
    unused = {each.id: (0, 0) for each in deployments}
    assert await pick(ours, deployments) == await oracle.lowest_cost(deployments, unused)


@few
@given(histories)
async def test_usage_based_picks_the_least_used_within_its_limits_as_litellm_does(
    oracle: ModuleType, history: tuple[list[dict[str, Any]], list[tuple[int, int]]]
) -> None:
    configurations, uses = history
    deployments = named(configurations)
    ours = router(deployments, "usage-based-routing")
    used = {each.id: use for each, use in zip(deployments, uses, strict=True)}
    used_up(ours, deployments, used)
    assert await pick(ours, deployments) == oracle.lowest_usage(deployments, used)


@settings(max_examples=20, deadline=None)
@given(histories)
async def test_usage_based_v2_draws_among_those_among_whom_litellm_draws(
    oracle: ModuleType, history: tuple[list[dict[str, Any]], list[tuple[int, int]]]
) -> None:
    configurations, uses = history
    deployments = named(configurations)
    ours = router(deployments, "usage-based-routing-v2")
    used = {each.id: use for each, use in zip(deployments, uses, strict=True)}
    used_up(ours, deployments, used)
    theirs = oracle.UsageV2(deployments, used)
    picked = {await theirs.pick() for _ in range(DRAWS)}
    assert {await pick(ours, deployments) for _ in range(DRAWS)} == picked


answers = st.tuples(
    st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0]),
    st.sampled_from([0, 1, 2, 16]),
    st.sampled_from([None, 0.125, 0.25, 0.5]),
)
observations = st.tuples(
    # One of each first: a deployment without samples comes before all others.
    st.tuples(answers, answers, answers).map(enumerate).map(list),
    st.lists(st.tuples(st.integers(0, 2), st.one_of(answers, st.none())), max_size=12),
).map(lambda parts: parts[0] + parts[1])
arguments = st.fixed_dictionaries(
    {},
    optional={
        "lowest_latency_buffer": st.sampled_from([0, 0.5, 1.0, 10.0]),
        "max_latency_list_size": st.sampled_from([1, 2, 10]),
        "ttft_percentile": st.sampled_from([0.5, 0.9, 1.0]),
    },
)


@settings(max_examples=100, deadline=None)
@given(observations, arguments, st.booleans())
async def test_latency_based_draws_among_those_among_whom_litellm_draws(
    oracle: ModuleType, seen: list[Any], args: dict[str, Any], stream: bool
) -> None:
    deployments = named([{}] * 3)
    ours = router(deployments, "latency-based-routing", args, disable_cooldowns=True)
    theirs = oracle.Latency(args)
    for index, seconds_output_first in seen:
        if seconds_output_first is None:
            fail(ours, deployments[index], call(), failure(ErrorKind.TIMEOUT))
            await theirs.timed_out(f"d{index}")
        else:
            seconds, output, first = seconds_output_first
            request = call(stream=first is not None)
            answer(
                ours,
                deployments[index],
                request,
                seconds=seconds,
                first_chunk=first,
                tokens=(0, output),
            )
            await theirs.answered(f"d{index}", seconds, output, first)
    picked = {await theirs.pick(deployments, stream) for _ in range(DRAWS)}
    assert {await pick(ours, deployments, stream=stream) for _ in range(DRAWS)} == picked
