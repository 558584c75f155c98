"""Retries, delays, timeouts, fallbacks, tags and orders are what LiteLLM's router makes of the
same configuration."""

from __future__ import annotations

import random
from contextlib import suppress
from copy import deepcopy
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.support.routing import call, deployment, fail, failure, router, settings
from trunkline.api.client_fallbacks import read_fallbacks
from trunkline.api.controls import take_controls
from trunkline.call import StandIn
from trunkline.errors import ErrorKind, PermissionDenied
from trunkline.routing.policy import RoutingPolicy

few = examples(max_examples=60, deadline=None)

kinds = st.sampled_from(sorted(set(ErrorKind) - {ErrorKind.MALFORMED}))
"""All kinds that LiteLLM has an exception of its own for."""

counts = st.integers(0, 3)
maybe = st.one_of(st.none(), counts)
retry_policies = st.dictionaries(
    st.sampled_from(
        [
            "BadRequestErrorRetries",
            "AuthenticationErrorRetries",
            "TimeoutErrorRetries",
            "RateLimitErrorRetries",
            "ContentPolicyViolationErrorRetries",
            "InternalServerErrorRetries",
            "ServiceUnavailableErrorRetries",
            "NotFoundErrorRetries",
            "DefaultRetries",
        ]
    ),
    counts,
    max_size=3,
)


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    from tests.support import litellm_oracle

    return litellm_oracle


@pytest.mark.criterion("R14.1")
@few
@given(
    kinds,
    st.fixed_dictionaries(
        {"num_retries": counts},
        optional={
            "retry_policy": retry_policies,
            "model_group_retry_policy": st.dictionaries(
                st.sampled_from(["group", "another"]), retry_policies, max_size=2
            ),
        },
    ),
    maybe,
    maybe,
)
async def test_a_call_is_retried_as_often_as_litellm_retries_it(
    oracle: ModuleType,
    kind: ErrorKind,
    configuration: dict[str, Any],
    of_request: int | None,
    of_deployment: int | None,
) -> None:
    own = {} if of_deployment is None else {"num_retries": of_deployment}
    deployments = [deployment("d0", params=own), deployment("d1", params=own)]
    policy = RoutingPolicy.from_settings(settings(configuration))
    request = call(num_retries=of_request)
    error = failure(kind)
    fail(router(deployments), deployments[0], request, error)
    theirs = await oracle.retries(deployments, configuration, kind, of_request, of_deployment)
    assert policy.retries(error, request, others=True) == theirs


@pytest.mark.criterion("R14.1")
@pytest.mark.parametrize("kind", sorted(set(ErrorKind) - {ErrorKind.MALFORMED}))
async def test_the_only_deployment_is_retried_for_what_litellm_retries_it(
    oracle: ModuleType, kind: ErrorKind
) -> None:
    only = deployment("d0")
    over = router([only])
    request = call()
    error = failure(kind)
    fail(over, only, request, error)
    again = over.retry_in((only,), request, {"d0"}, error, 0)
    assert (again is not None) == await oracle.retries_the_only_one(only, kind)


@pytest.mark.criterion("R14.1")
@few
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.integers(0, 6),
    kinds,
    st.sampled_from(["simple-shuffle", "least-busy"]),
    st.booleans(),
)
async def test_a_call_fails_over_to_as_many_deployments_as_in_litellm(
    oracle: ModuleType,
    weights: list[int],
    max_fallbacks: int,
    kind: ErrorKind,
    strategy: str,
    fails_over: bool,
) -> None:
    deployments = tuple(deployment(f"d{i}", weight=weight) for i, weight in enumerate(weights))
    configuration = {
        "routing_strategy": strategy,
        "enable_weighted_failover": fails_over,
        "max_fallbacks": max_fallbacks,
    }
    theirs = await oracle.failed_over(deployments, configuration, kind)
    ours = router(deployments, disable_cooldowns=True, num_retries=0, **configuration)
    request, tried = call(), set[str]()
    while (again := len(tried)) == 0 or (
        ours.retry_in(deployments, request, tried, failure(kind), again - 1) is not None
    ):
        chosen = await ours.choose(deployments, request, tried)
        fail(ours, chosen, request, failure(kind))
        tried.add(chosen.id)
    assert len(tried) == len(theirs)
    assert len(set(theirs)) == len(theirs)


@pytest.mark.criterion("R14.2")
@few
@given(
    st.integers(0, 6),
    st.floats(0, 8),
    st.one_of(st.none(), st.integers(0, 200)),
    st.integers(0, 2**32),
)
async def test_the_wait_before_a_retry_is_litellms(
    oracle: ModuleType, retry: int, retry_after: float, asked: int | None, seed: int
) -> None:
    policy = RoutingPolicy(retry_after=retry_after, jitter=random.Random(seed).random)
    error = failure(ErrorKind.RATE_LIMIT, retry_after=asked)
    theirs = oracle.delay(retry, retry_after, asked, seed)
    if asked and asked <= 60:
        # What the provider asks for doesn't undercut the configured wait; LiteLLM's does.
        theirs += max(0.0, retry_after - asked)
    assert policy.delay(error, retry, others=False) == pytest.approx(theirs)


seconds = st.sampled_from([None, 3.0, 7.0])


@pytest.mark.criterion("R14.4")
@few
@given(
    st.fixed_dictionaries({"timeout": seconds, "stream_timeout": seconds}),
    st.fixed_dictionaries({"timeout": seconds, "stream_timeout": seconds}),
    st.sampled_from([None, 11.0]),
    st.dictionaries(
        st.sampled_from(["timeout", "request_timeout", "stream_timeout"]),
        st.sampled_from([1.0, 2.0, 4.0]),
    ),
    st.booleans(),
)
async def test_an_attempt_has_as_much_time_as_litellm_gives_it(
    oracle: ModuleType,
    of_deployment: dict[str, Any],
    of_router: dict[str, Any],
    request_timeout: float | None,
    of_request: dict[str, float],
    stream: bool,
) -> None:
    configured = settings(of_router, {"request_timeout": request_timeout})
    policy = RoutingPolicy.from_settings(configured)
    request = call(body=of_request, stream=stream)
    take_controls(request)
    ours = policy.timeouts(deployment("d0", **of_deployment), request)
    assert ours.idle == ours.total
    if stream and of_request:
        # LiteLLM lets a configured stream_timeout override what the client allows in general.
        of_deployment, of_router, request_timeout = {}, {}, None
    if stream and request_timeout and of_deployment.get("timeout"):
        # With a router's timeout beside it, LiteLLM prefers request_timeout to the deployment's.
        of_router = of_router | {"timeout": None}
    theirs = oracle.timeout(of_deployment, of_router, request_timeout, of_request, stream)
    assert ours.total == (theirs or 600.0)


models = st.sampled_from(["a", "b", "openai/a"])
mappings = st.fixed_dictionaries(
    {"model": models}, optional={"temperature": st.integers(0, 1), "num_retries": st.just(0)}
)
lists = st.lists(
    st.dictionaries(
        st.one_of(models, st.just("*")),
        st.lists(st.one_of(models, mappings), min_size=1, max_size=3),
        min_size=1,
        max_size=1,
    ),
    max_size=3,
    unique_by=lambda entry: next(iter(entry)),
)


@pytest.mark.criterion("R14.3")
@few
@given(
    lists,
    lists,
    lists,
    models,
    st.sampled_from([ErrorKind.CONTEXT_WINDOW, ErrorKind.CONTENT_POLICY, ErrorKind.INTERNAL]),
)
async def test_the_groups_that_stand_in_are_litellms(
    oracle: ModuleType,
    general: list[dict[str, list[Any]]],
    context: list[dict[str, list[Any]]],
    content: list[dict[str, list[Any]]],
    group: str,
    kind: ErrorKind,
) -> None:
    configuration = {
        "fallbacks": general,
        "context_window_fallbacks": context,
        "content_policy_fallbacks": content,
    }
    policy = RoutingPolicy.from_settings(settings(configuration))
    theirs = await oracle.fallbacks(deepcopy(configuration), group, kind)
    assert_asked(policy.fallbacks(group, failure(kind)), theirs)


@pytest.mark.criterion("R14.3")
@few
@given(
    lists,
    st.one_of(
        st.lists(models, min_size=1, max_size=3),
        st.lists(mappings, min_size=1, max_size=3),
        st.lists(
            st.dictionaries(models, st.lists(models, min_size=1), min_size=1, max_size=1),
            min_size=1,
            unique_by=lambda entry: next(iter(entry)),
        ),
    ),
    models,
    st.sampled_from([ErrorKind.CONTEXT_WINDOW, ErrorKind.INTERNAL]),
)
async def test_the_groups_that_a_request_names_are_asked_as_litellm_asks_them(
    oracle: ModuleType,
    context: list[dict[str, list[Any]]],
    named: list[Any],
    group: str,
    kind: ErrorKind,
) -> None:
    configuration = {"fallbacks": [{"*": ["z"]}], "context_window_fallbacks": context}
    policy = RoutingPolicy.from_settings(settings(configuration))
    theirs = await oracle.fallbacks(deepcopy(configuration), group, kind, fallbacks=deepcopy(named))
    assert_asked(policy.fallbacks(group, failure(kind), read_fallbacks(named)), theirs)


def assert_asked(ours: tuple[StandIn, ...], theirs: list[tuple[str, Any]]) -> None:
    """The same groups with the same temperature, but for one that LiteLLM lets stay: there, what
    a fallback sets holds for all that follow it."""
    assert [each.group for each in ours] == [group for group, _ in theirs]
    staying = None
    for each, (_, temperature) in zip(ours, theirs, strict=True):
        staying = each.fields.get("temperature", staying)
        assert temperature == staying


tags = st.lists(st.sampled_from(["default", "free", "paid", "eu"]), max_size=2, unique=True)
patterns = st.lists(st.sampled_from(["^User-Agent: cli/", "bot$"]), max_size=1)
asked_tags = st.lists(
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["", "to:"]),
            st.sampled_from(["", "&", "!"]),
            st.sampled_from(["free", "paid", "eu", "unknown", ""]),
        ),
    ),
    max_size=3,
    unique=True,
)


@examples(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(tags, patterns, st.booleans()), min_size=1, max_size=4),
    asked_tags,
    st.sampled_from(["", "cli/1.0", "other", "a bot"]),
    st.fixed_dictionaries(
        {"tag_filtering_match_any": st.booleans()},
        optional={"tag_routing_prefix": st.sampled_from(["", "to:", "&"])},
    ),
)
async def test_tags_and_clients_leave_whom_litellm_leaves(
    oracle: ModuleType,
    carried: list[tuple[list[str], list[str], bool]],
    asked: list[str],
    user_agent: str,
    configuration: dict[str, Any],
) -> None:
    deployments = [
        deployment(
            f"d{i}",
            tags=tuple(own),
            params={"tag_regex": regexes},
            info={"allow_fail_open": fails_open and i == 0},
        )
        for i, (own, regexes, fails_open) in enumerate(carried)
    ]
    configuration = {"enable_tag_filtering": True, **configuration}
    ours = router(deployments, "least-busy", **configuration)
    left = set()
    request = call(tags=tuple(asked), headers={"user-agent": user_agent})
    with suppress(PermissionDenied):
        for _ in deployments:
            chosen = await ours.choose(deployments, request)
            left.add(chosen.id)
            ours.started(chosen, request)  # the next pick is another: this one is busier now
    assert left == await oracle.tagged(deployments, configuration, asked, user_agent)


@few
@given(st.lists(st.one_of(st.none(), st.integers(-1, 3)), min_size=1, max_size=5))
async def test_the_lowest_order_is_litellms(oracle: ModuleType, orders: list[int | None]) -> None:
    deployments = [deployment(f"d{i}", order=order) for i, order in enumerate(orders)]
    ours = router(deployments, "least-busy")
    first = oracle.lowest_order(deployments)
    for _ in orders * 2:
        chosen = await ours.choose(deployments, call())
        ours.started(chosen, call())
        assert chosen.id in first
