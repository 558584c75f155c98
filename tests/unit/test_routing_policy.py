"""What the configuration says about retries, waits, fallbacks and timeouts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.routing import call, deployment, fail, failure, router, settings
from trunkline.call import Call, Deployment
from trunkline.errors import ErrorKind, GatewayError, InvalidRequest, NoDeployment, NotFound
from trunkline.routing.policy import RoutingPolicy
from trunkline.routing.router import Router

INTERNAL = failure(ErrorKind.INTERNAL)


def policy(
    router_settings: dict[str, Any] | None = None, litellm_settings: dict[str, Any] | None = None
) -> RoutingPolicy:
    return RoutingPolicy.from_settings(settings(router_settings, litellm_settings), lambda: 0.5)


def after(
    over: Router, deployments: tuple[Deployment, ...], *failed: str, kind: ErrorKind, **fields: Any
) -> float | None:
    """Seconds to the next retry of a call that failed on the named deployments; None for none."""
    request = call(**fields)
    for name in failed:
        of = next(each for each in deployments if each.id == name)
        fail(over, of, request, failure(kind))
    return over.retry_in(deployments, request, set(failed), failure(kind), len(failed) - 1)


# --- how often


@pytest.mark.criterion("R14.1")
@pytest.mark.parametrize(
    ("of_router", "of_litellm", "expected"),
    [({}, {}, 2), ({}, {"num_retries": 4}, 4), ({"num_retries": 0}, {"num_retries": 4}, 0)],
)
def test_router_settings_win_over_litellm_settings(
    of_router: dict[str, Any], of_litellm: dict[str, Any], expected: int
) -> None:
    assert policy(of_router, of_litellm).retries(INTERNAL, call()) == expected


@pytest.mark.criterion("R14.1")
def test_a_groups_own_policy_holds_for_that_group_and_not_for_those_that_stand_in() -> None:
    own = {"main": {"DefaultRetries": 5}, "standby": {"InternalServerErrorRetries": 7}}
    rules = policy({"model_group_retry_policy": own})
    assert rules.retries(INTERNAL, call(group="main")) == 5
    for group, expected in (("standby", 7), ("third", 2)):
        request = call(group="main", fallbacks=1)
        failed = deployment("d0", group=group)
        fail(router([failed]), failed, request, INTERNAL)
        assert rules.retries(INTERNAL, request) == expected


@pytest.mark.criterion("R14.1")
def test_a_policy_for_another_class_leaves_the_general_number() -> None:
    rules = policy({"retry_policy": {"TimeoutErrorRetries": 9}, "num_retries": 1})
    assert rules.retries(INTERNAL, call()) == 1
    assert rules.retries(failure(ErrorKind.TIMEOUT), call()) == 9


@pytest.mark.criterion("R14.1")
def test_what_fails_everywhere_alike_is_retried_only_where_a_policy_says_so() -> None:
    refused = failure(ErrorKind.BAD_REQUEST)
    assert policy({"num_retries": 5}).retries(refused, call(num_retries=5)) == 0
    allowed = policy({"retry_policy": {"BadRequestErrorRetries": 1}})
    assert allowed.retries(refused, call()) == 1
    assert allowed.retries(refused, call(num_retries=0)) == 0


@pytest.mark.criterion("R14.1")
def test_credentials_that_are_refused_are_tried_again_only_with_others() -> None:
    refused = failure(ErrorKind.AUTHENTICATION)
    assert policy().retries(refused, call(), others=True) == 2
    assert policy().retries(refused, call(), others=False) == 0


# --- whether and when


@pytest.mark.criterion("R14.1")
async def test_a_call_is_tried_again_as_often_as_configured_and_no_more() -> None:
    deployments = (deployment("d0"),)
    over = router(deployments, num_retries=2)
    request = call()
    waits = [over.retry_in(deployments, request, {"d0"}, INTERNAL, count) for count in range(4)]
    assert [wait is not None for wait in waits] == [True, True, False, False]


@pytest.mark.criterion("R14.5")
async def test_with_all_cooling_down_the_client_gets_the_providers_own_error() -> None:
    deployments = deployment("d0"), deployment("d1")
    over = router(deployments, num_retries=5)
    assert after(over, deployments, "d0", kind=ErrorKind.RATE_LIMIT) == 0
    assert after(over, deployments, "d0", "d1", kind=ErrorKind.RATE_LIMIT) is None


@pytest.mark.criterion("R14.2")
async def test_a_retry_waits_only_where_no_other_deployment_can_take_it() -> None:
    deployments = deployment("d0"), deployment("d1")
    over = router(deployments)
    assert after(over, deployments, "d0", kind=ErrorKind.INTERNAL) == 0
    wait = after(over, deployments, "d0", "d1", kind=ErrorKind.INTERNAL)
    assert wait is not None
    assert wait > 0


@pytest.mark.criterion("R14.2")
@given(
    st.floats(0, 100), st.integers(0, 20), st.booleans(), st.one_of(st.none(), st.floats(0, 999))
)
def test_a_retry_never_comes_sooner_than_retry_after(
    retry_after: float, retry: int, others: bool, asked: float | None
) -> None:
    error = failure(ErrorKind.RATE_LIMIT, retry_after=asked)
    wait = policy({"retry_after": retry_after}).delay(error, retry, others)
    assert wait >= retry_after
    assert wait <= max(retry_after, 60) + 0.75


@pytest.mark.criterion("R14.2")
def test_waits_double_up_to_eight_seconds_and_follow_the_provider_up_to_a_minute() -> None:
    rules, jitter = policy(), 0.375
    waits = [rules.delay(INTERNAL, retry, False) - jitter for retry in range(6)]
    assert waits == [0.5, 1, 2, 4, 8, 8]
    for asked, expected in ((7, 7), (60, 60), (61, 0.5), (0, 0.5)):
        error = failure(ErrorKind.RATE_LIMIT, retry_after=asked)
        assert rules.delay(error, 0, False) - jitter == expected


@pytest.mark.criterion("R14.1")
async def test_a_standby_of_a_higher_order_is_asked_even_without_retries() -> None:
    deployments = deployment("d0", order=1), deployment("d1", order=2)
    over = router(deployments, num_retries=0)
    assert after(over, deployments, "d0", kind=ErrorKind.INTERNAL) == 0
    assert after(over, deployments, "d0", "d1", kind=ErrorKind.INTERNAL) is None
    assert after(over, deployments, "d0", kind=ErrorKind.CONTEXT_WINDOW) is None


@pytest.mark.criterion("R14.1")
@pytest.mark.parametrize(
    "standby",
    [
        deployment("d1", order=2, tags=("paid",)),
        deployment("d1", order=2, tags=("free",), rpm=0),
        deployment("d1", order=2, tags=("free",), missing=("KEY",)),
    ],
    ids=["for other tags", "at its limit", "without its key"],
)
async def test_a_standby_that_the_call_cannot_go_to_ends_it(standby: Deployment) -> None:
    deployments = deployment("d0", order=1, tags=("free",)), standby
    over = router(deployments, "cost-based-routing", num_retries=0, enable_tag_filtering=True)
    assert after(over, deployments, "d0", kind=ErrorKind.INTERNAL, tags=("free",)) is None


@pytest.mark.criterion("R14.1")
async def test_a_standby_whose_places_are_taken_is_not_waited_for() -> None:
    deployments = deployment("d0", order=1), deployment("d1", order=2, max_parallel_requests=1)
    over = router(deployments, num_retries=0)
    over.started(deployments[1], call())
    assert after(over, deployments, "d0", kind=ErrorKind.INTERNAL) is None


@pytest.mark.criterion("R14.1")
async def test_an_equal_is_not_asked_without_retries() -> None:
    deployments = deployment("d0", order=1), deployment("d1", order=1), deployment("d2")
    over = router(deployments, num_retries=0)
    assert after(over, deployments, "d0", kind=ErrorKind.INTERNAL) is None


# --- to whom else


def groups(rules: RoutingPolicy, group: str, error: GatewayError) -> list[str]:
    """The groups that stand in for one that fails so."""
    return [each.group for each in rules.fallbacks(group, error)]


@pytest.mark.criterion("R14.3")
def test_a_prompt_that_is_too_long_goes_to_its_own_fallbacks() -> None:
    rules = policy(
        {"fallbacks": [{"small": ["cheap"]}]},
        {"context_window_fallbacks": [{"small": ["large", "largest"]}]},
    )
    assert groups(rules, "small", failure(ErrorKind.CONTEXT_WINDOW)) == ["large", "largest"]
    assert groups(rules, "small", INTERNAL) == ["cheap"]
    assert groups(rules, "other", failure(ErrorKind.CONTEXT_WINDOW)) == []


@pytest.mark.criterion("R14.3")
def test_the_general_fallbacks_stand_in_where_no_special_ones_are_configured() -> None:
    rules = policy({"fallbacks": [{"small": ["cheap"]}]})
    for kind in (ErrorKind.CONTEXT_WINDOW, ErrorKind.CONTENT_POLICY, ErrorKind.TIMEOUT):
        assert groups(rules, "small", failure(kind)) == ["cheap"]


@pytest.mark.criterion("R14.3")
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NoDeployment("all are cooling down"), ["standby"]),
        (NotFound("no such model"), ["standby"]),
        (InvalidRequest("no messages"), []),
    ],
)
def test_default_fallbacks_stand_in_for_groups_that_cannot_answer(
    error: GatewayError, expected: list[str]
) -> None:
    rules = policy({"default_fallbacks": ["standby"], "fallbacks": [{"named": ["other"]}]})
    assert groups(rules, "any", error) == expected


@pytest.mark.criterion("R14.3")
@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["x", "y"], ["x", "y"]),
        ([{"*": ["x"]}], ["x"]),
        ([{"a": ["a", "x", "x"]}], ["x"]),
        ([{"a": "x"}], ["x"]),
        ([{"a": [{"model": "x"}, "x"]}], ["x"]),
        ([{"other": ["x"]}], []),
    ],
)
def test_every_notation_of_fallbacks_is_read(entries: list[Any], expected: list[str]) -> None:
    assert groups(policy({"fallbacks": entries}), "a", INTERNAL) == expected


# --- for how long


@pytest.mark.criterion("R14.4")
@pytest.mark.parametrize(
    ("stream", "of_deployment", "of_router", "of_litellm", "expected"),
    [
        (False, {}, {}, {}, 600),
        (False, {}, {}, {"request_timeout": 50}, 50),
        (False, {}, {"timeout": 40}, {}, 40),
        (False, {"timeout": 30}, {"timeout": 40}, {"request_timeout": 50}, 30),
        (False, {"stream_timeout": 20}, {"timeout": 40}, {}, 40),
        (True, {"stream_timeout": 20, "timeout": 30}, {"stream_timeout": 10}, {}, 20),
        (True, {"timeout": 30}, {"stream_timeout": 10}, {}, 10),
        (True, {"timeout": 30}, {"timeout": 40}, {"request_timeout": 50}, 30),
        (True, {"timeout": 0}, {}, {"request_timeout": 50}, 50),
    ],
)
def test_the_most_specific_timeout_holds(
    stream: bool,
    of_deployment: dict[str, Any],
    of_router: dict[str, Any],
    of_litellm: dict[str, Any],
    expected: float,
) -> None:
    rules = policy(of_router, of_litellm)
    timeouts = rules.timeouts(deployment("d0", **of_deployment), call(stream=stream))
    assert (timeouts.total, timeouts.idle) == (expected, expected)


@pytest.mark.criterion("R14.4")
@given(st.floats(0.001, 1e6), st.booleans())
def test_what_the_client_allows_holds_before_all_else(seconds: float, stream: bool) -> None:
    rules = policy({"timeout": 1, "stream_timeout": 2}, {"request_timeout": 3})
    request: Call = call(stream=stream, timeout=seconds)
    assert rules.timeouts(deployment("d0", timeout=4, stream_timeout=5), request).total == seconds
