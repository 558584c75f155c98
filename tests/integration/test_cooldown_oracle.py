"""Deployments cool down when LiteLLM's would, and for as long."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.routing import answer, call, deployment, fail, failure, router
from trunkline.errors import ErrorKind

pytestmark = pytest.mark.criterion("R14.1")

BLAMELESS = (
    ErrorKind.BAD_REQUEST,
    ErrorKind.CONTEXT_WINDOW,
    ErrorKind.CONTENT_POLICY,
    ErrorKind.PERMISSION,
)
LASTING = (ErrorKind.AUTHENTICATION, ErrorKind.NOT_FOUND)

kinds = st.sampled_from(sorted(set(ErrorKind) - {ErrorKind.MALFORMED, *BLAMELESS}))
events = st.lists(st.one_of(st.just("success"), kinds), max_size=14)
allowed = st.integers(0, 2)
policies = st.dictionaries(
    st.sampled_from(
        [
            "BadRequestErrorAllowedFails",
            "AuthenticationErrorAllowedFails",
            "TimeoutErrorAllowedFails",
            "RateLimitErrorAllowedFails",
            "InternalServerErrorAllowedFails",
            "ServiceUnavailableErrorAllowedFails",
            "NotFoundErrorAllowedFails",
        ]
    ),
    allowed,
    min_size=1,
    max_size=3,
)
configurations = st.fixed_dictionaries(
    {"cooldown_time": st.just(60.0)},
    optional={"allowed_fails": allowed, "allowed_fails_policy": policies},
)


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    from tests.support import litellm_oracle

    return litellm_oracle


@settings(max_examples=150, deadline=None)
@given(
    events,
    configurations,
    st.fixed_dictionaries({}, optional={"allowed_fails": allowed}),
    st.integers(1, 2),
    st.sampled_from([None, 0, 7]),
)
async def test_failures_cool_a_deployment_when_litellm_says_so(
    oracle: ModuleType,
    happening: list[Any],
    configuration: dict[str, Any],
    info: dict[str, Any],
    size: int,
    retry_after: int | None,
) -> None:
    deployments = [deployment(f"d{i}", info=info) for i in range(size)]
    ours = router(deployments, **configuration)
    theirs = oracle.Cooldowns(deployments, configuration)
    by_share = not info and configuration.keys() == {"cooldown_time"}
    for event in happening:
        if event == "success":
            answer(ours, deployments[0], call())
            theirs.succeeded("d0")
            continue
        fail(ours, deployments[0], call(), failure(event, retry_after=retry_after))
        cooled = ours.cooldowns().get("d0", {}).get("seconds")
        expected = await theirs.failed("d0", event, retry_after)
        if size == 1 and by_share and event in LASTING:
            # LiteLLM takes away the only deployment, and with it the provider's own error.
            assert cooled is None
            return
        assert cooled == expected
        if cooled is not None:
            return


@pytest.mark.parametrize("kind", BLAMELESS)
@settings(max_examples=20, deadline=None)
@given(configuration=configurations)
async def test_what_the_request_is_to_blame_for_cools_nobody_as_in_litellm(
    oracle: ModuleType, kind: ErrorKind, configuration: dict[str, Any]
) -> None:
    deployments = [deployment("d0"), deployment("d1")]
    ours = router(deployments, **configuration)
    theirs = oracle.Cooldowns(deployments, configuration)
    for _ in range(8):
        fail(ours, deployments[0], call(), failure(kind))
        assert not ours.cooldowns()
        assert await theirs.failed("d0", kind, None) is None


@pytest.mark.parametrize("kind", [ErrorKind.BAD_REQUEST, ErrorKind.INTERNAL, ErrorKind.RATE_LIMIT])
@pytest.mark.parametrize("size", [1, 2])
async def test_a_deployments_own_policy_counts_each_class_by_itself_as_in_litellm(
    oracle: ModuleType, kind: ErrorKind, size: int
) -> None:
    policy = {
        "BadRequestErrorAllowedFails": 1,
        "InternalServerErrorAllowedFails": 2,
        "RateLimitErrorAllowedFails": 0,
    }
    deployments = [deployment(f"d{i}", info={"allowed_fails_policy": policy}) for i in range(size)]
    ours = router(deployments)
    theirs = oracle.Cooldowns(deployments, {})
    fail(ours, deployments[0], call(), failure(ErrorKind.INTERNAL))
    assert await theirs.failed("d0", ErrorKind.INTERNAL, None) is None
    for _ in range(3):
        fail(ours, deployments[0], call(), failure(kind))
        expected = await theirs.failed("d0", kind, None)
        assert ours.cooldowns().get("d0", {}).get("seconds") == expected
        if expected is not None:
            return


@pytest.mark.parametrize("where", ["info", "params"])
async def test_a_deployments_cooldown_time_holds_before_the_providers_and_the_routers(
    oracle: ModuleType, where: str
) -> None:
    own: dict[str, Any] = {where: {"cooldown_time": 9.0}}
    deployments = [deployment("d0", **own), deployment("d1")]
    ours = router(deployments, cooldown_time=60.0)
    theirs = oracle.Cooldowns(deployments, {"cooldown_time": 60.0})
    for each, retry_after, seconds in (("d0", 7, 9.0), ("d1", 7, 7.0), ("d1", None, 60.0)):
        of = next(one for one in deployments if one.id == each)
        fail(ours, of, call(), failure(ErrorKind.RATE_LIMIT, retry_after=retry_after))
        assert await theirs.failed(each, ErrorKind.RATE_LIMIT, retry_after) == seconds
        assert ours.cooldowns()[each]["seconds"] == seconds
