"""Which deployment a call goes to, and what keeps it from going elsewhere."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.support.routing import CHAT, Clock, answer, call, deployment, fail, failure, router
from trunkline.call import Deployment
from trunkline.errors import ErrorKind, NoDeployment, PermissionDenied, ProviderError
from trunkline.operations import OPERATIONS
from trunkline.routing.health import Health
from trunkline.routing.router import Router
from trunkline.routing.strategies import STRATEGIES

INTERNAL = failure(ErrorKind.INTERNAL)
RATE_LIMIT = failure(ErrorKind.RATE_LIMIT)


async def chosen(over: Router, deployments: Sequence[Deployment], times: int = 60) -> set[str]:
    """All who are chosen when a call comes often."""
    return {(await over.choose(deployments, call())).id for _ in range(times)}


def two(**fields: Any) -> tuple[Deployment, Deployment]:
    return deployment("d0", **fields), deployment("d1", **fields)


# --- strategies


@pytest.mark.criterion("R2.6")
@pytest.mark.parametrize("name", sorted(STRATEGIES))
async def test_every_built_in_strategy_routes_under_its_litellm_name(name: str) -> None:
    deployments = two()
    over = router(deployments, name)
    assert over.strategy_of(tuple(deployments)).name == name
    assert await chosen(over, deployments, 5) <= {"d0", "d1"}


@pytest.mark.criterion("R2.6")
async def test_simple_shuffle_shares_calls_by_weight() -> None:
    deployments = [deployment(f"d{i}", weight=weight) for i, weight in enumerate((1, 2, 7))]
    over = router(deployments, seed=3)
    drawn = Counter([(await over.choose(deployments, call())).id for _ in range(5000)])
    # Chi-square with 2 degrees of freedom: above 20 once in 20,000 runs, and the seed is fixed.
    expected = {"d0": 500, "d1": 1000, "d2": 3500}
    assert sum((drawn[i] - n) ** 2 / n for i, n in expected.items()) < 20


@pytest.mark.criterion("R2.6")
async def test_cost_based_takes_a_model_that_costs_nothing_for_the_cheapest() -> None:
    # LiteLLM takes a price of 0 for an unknown one, and an unknown one for 5 dollars.
    free = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    cheap = {"input_cost_per_token": 1e-9, "output_cost_per_token": 1e-9}
    deployments = deployment("d0", params=cheap), deployment("d1", params=free)
    assert await chosen(router(deployments, "cost-based-routing"), deployments) == {"d1"}


@pytest.mark.criterion("R2.6")
async def test_latency_based_forgets_what_is_older_than_its_ttl() -> None:
    clock, deployments = Clock(), two()
    over = router(deployments, "latency-based-routing", {"ttl": 100}, clock=clock)
    answer(over, deployments[0], call(), seconds=9.0)
    clock.now += 50
    answer(over, deployments[1], call(), seconds=1.0)
    assert await chosen(over, deployments) == {"d1"}
    clock.now += 60
    assert await chosen(over, deployments) == {"d0"}, "it has no samples left, so it gets some"


@pytest.mark.criterion("R2.6")
async def test_latency_based_can_go_by_a_percentile_of_first_chunks() -> None:
    deployments = two()
    over = router(deployments, "latency-based-routing", {"ttft_percentile": 0.5})
    for of, samples in zip(deployments, ([1.0, 3.0, 30.0], [2.0, 2.0, 50.0]), strict=True):
        for first in samples:
            answer(over, of, call(stream=True), seconds=60.0, first_chunk=first)
    assert (await over.choose(deployments, call(stream=True))).id == "d1"


@pytest.mark.criterion("R2.6")
async def test_a_timeout_of_a_stream_counts_against_its_first_chunks_too() -> None:
    # LiteLLM notes it for whole answers only, so a stream is sent where streams time out.
    deployments = two()
    over = router(deployments, "latency-based-routing")
    for of, first in zip(deployments, (0.1, 5.0), strict=True):
        answer(over, of, call(stream=True), seconds=9.0, first_chunk=first)
    fail(over, deployments[0], call(stream=True), failure(ErrorKind.TIMEOUT))
    assert (await over.choose(deployments, call(stream=True))).id == "d1"


@pytest.mark.criterion("R2.6")
async def test_usage_counts_begin_anew_with_each_minute() -> None:
    clock, deployments = Clock(), two(tpm=100)
    over = router(deployments, "usage-based-routing", clock=clock)
    answer(over, deployments[0], call(), tokens=(60, 10))
    assert await chosen(over, deployments) == {"d1"}
    clock.now += 60
    assert await chosen(over, deployments) == {"d0"}


# --- who may be chosen


@pytest.mark.criterion("R14.5")
async def test_a_deployment_without_its_credentials_is_passed_over() -> None:
    deployments = deployment("d0", missing=("FIRST_KEY",)), deployment("d1")
    assert await chosen(router(deployments), deployments) == {"d1"}


@pytest.mark.criterion("R14.5")
async def test_with_no_credentials_at_all_the_refusal_names_the_model_and_the_variables() -> None:
    deployments = two(missing=("FIRST_KEY", "SECOND_KEY"), group="gpt-4o")
    with pytest.raises(NoDeployment) as refused:
        await router(deployments).choose(deployments, call())
    assert refused.value.status == 503
    assert all(name in str(refused.value) for name in ("gpt-4o", "FIRST_KEY", "SECOND_KEY"))


@pytest.mark.criterion("R14.1")
async def test_a_retry_goes_to_a_deployment_that_was_not_asked_yet() -> None:
    deployments = deployment("d0", weight=1000), deployment("d1", weight=1)
    over = router(deployments)
    assert (await over.choose(deployments, call(), {"d0"})).id == "d1"
    assert (await over.choose(deployments, call(), {"d0", "d1"})).id in {"d0", "d1"}


@pytest.mark.criterion("R14.1")
async def test_a_higher_order_is_asked_when_the_lower_ones_failed_or_cool_down() -> None:
    deployments = deployment("d0", order=1), deployment("d1", order=2), deployment("d2")
    over = router(deployments)
    assert await chosen(over, deployments) == {"d0"}
    assert (await over.choose(deployments, call(), {"d0"})).id == "d1"
    fail(over, deployments[0], call(), RATE_LIMIT)
    assert await chosen(over, deployments) == {"d1"}


@pytest.mark.criterion("R14.5")
async def test_tags_that_no_deployment_carries_are_refused_by_name() -> None:
    deployments = deployment("d0", tags=("paid",)), deployment("d1", tags=("free",))
    over = router(deployments, enable_tag_filtering=True)
    with pytest.raises(PermissionDenied, match="unknown"):
        await over.choose(deployments, call(tags=("unknown",)))


async def test_tags_choose_only_where_tag_filtering_is_on() -> None:
    deployments = deployment("d0", tags=("paid",)), deployment("d1", tags=("free",))
    request = call(tags=("free",))
    for over, expected in (
        (router(deployments), {"d0", "d1"}),
        (router(deployments, enable_tag_filtering=True), {"d1"}),
    ):
        assert {(await over.choose(deployments, request)).id for _ in range(60)} == expected


async def test_a_group_turns_tag_filtering_on_for_itself() -> None:
    deployments = (
        deployment("d0", tags=("default",), info={"enable_tag_filtering": True}),
        deployment("d1", tags=("paid",)),
    )
    assert await chosen(router(deployments), deployments) == {"d0"}


async def test_untagged_calls_stay_off_tagged_deployments_while_the_default_ones_cool_down() -> (
    None
):
    # LiteLLM sends them to the tagged ones then, which others may pay for.
    deployments = deployment("d0", tags=("default",)), deployment("d1", tags=("paid",))
    over = router(deployments, enable_tag_filtering=True)
    fail(over, deployments[0], call(), RATE_LIMIT)
    with pytest.raises(NoDeployment):
        await over.choose(deployments, call())


async def test_required_tags_are_enough_to_leave_the_default_deployments() -> None:
    deployments = deployment("d0", tags=("default",)), deployment("d1", tags=("paid",))
    over = router(deployments, enable_tag_filtering=True)
    assert (await over.choose(deployments, call(tags=("&paid",)))).id == "d1"


# --- limits


@pytest.mark.criterion("R2.6")
@pytest.mark.parametrize(
    "configuration",
    [
        {"enable_pre_call_checks": True},
        {"optional_pre_call_checks": ["enforce_model_rate_limits"]},
        {"strategy": "usage-based-routing"},
        {"strategy": "cost-based-routing"},
        {"strategy": "latency-based-routing"},
    ],
)
async def test_who_is_at_its_limit_is_passed_over_until_the_minute_ends(
    configuration: dict[str, Any],
) -> None:
    clock, deployments = Clock(), (deployment("d0", rpm=2), deployment("d1", tpm=50))
    over = router(deployments, clock=clock, **configuration)
    for _ in range(2):
        answer(over, deployments[0], call())
    assert await chosen(over, deployments) == {"d1"}
    answer(over, deployments[1], call(), tokens=(40, 11))
    clock.now += 15
    with pytest.raises(NoDeployment) as refused:
        await over.choose(deployments, call())
    assert (refused.value.status, refused.value.retry_after) == (429, 45)
    clock.now += 45
    assert await chosen(over, deployments)


@pytest.mark.criterion("R2.6")
async def test_limits_are_only_weights_for_simple_shuffle() -> None:
    deployments = (deployment("d0", rpm=1),)
    over = router(deployments)
    answer(over, deployments[0], call())
    assert await chosen(over, deployments) == {"d0"}


async def test_a_prompt_that_exceeds_the_tokens_left_goes_elsewhere() -> None:
    deployments = deployment("d0", tpm=100), deployment("d1", tpm=10_000)
    over = router(deployments, "usage-based-routing")
    assert (await over.choose(deployments, call("word " * 200))).id == "d1"


# --- what a model takes

CONTEXTS = {"d0": 100, "d1": 1000}


def with_contexts() -> tuple[Router, tuple[Deployment, ...]]:
    deployments = tuple(deployment(name) for name in CONTEXTS)
    over = router(
        deployments,
        "least-busy",
        enable_pre_call_checks=True,
        facts=lambda each: {"max_input_tokens": CONTEXTS[each.id]},
    )
    return over, deployments


@pytest.mark.criterion("R14.3")
async def test_a_prompt_goes_to_a_model_whose_context_holds_it() -> None:
    over, deployments = with_contexts()
    assert (await over.choose(deployments, call("short"))).id == "d0"
    assert (await over.choose(deployments, call("word " * 100))).id == "d1"


@pytest.mark.criterion("R14.3")
async def test_a_prompt_that_no_context_holds_falls_back_as_if_the_provider_had_refused() -> None:
    over, deployments = with_contexts()
    with pytest.raises(ProviderError) as refused:
        await over.choose(deployments, call("word " * 2000))
    assert refused.value.kind is ErrorKind.CONTEXT_WINDOW
    assert (refused.value.status, refused.value.code) == (400, "context_length_exceeded")


@pytest.mark.criterion("R14.3")
async def test_a_prompt_that_may_just_fit_is_for_the_provider_to_judge() -> None:
    over, deployments = with_contexts()
    assert (await over.choose(deployments, call("word " * 1000))).id in CONTEXTS


async def test_images_and_batches_of_texts_are_not_taken_for_long_prompts() -> None:
    over, deployments = with_contexts()
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}
    looking = call(body={"messages": [{"role": "user", "content": [image]}]})
    assert (await over.choose(deployments, looking)).id == "d0"
    embeddings = next(each for each in OPERATIONS if each.name == "embeddings")
    batch = call(body={"input": ["word " * 50] * 100}, operation=embeddings)
    assert (await over.choose(deployments, batch)).id == "d0"


async def test_context_sizes_count_only_with_pre_call_checks() -> None:
    deployments = (deployment("d0"),)
    over = router(deployments, facts=lambda each: {"max_input_tokens": 10})
    assert (await over.choose(deployments, call("word " * 500))).id == "d0"


def image_of_anthropic() -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    return {"messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}


@pytest.mark.parametrize(
    ("capability", "body"),
    [
        ("supports_function_calling", {"tools": [{"type": "function"}]}),
        ("supports_response_schema", {"response_format": {"type": "json_schema"}}),
        ("supports_vision", image_of_anthropic()),
        (
            "supports_audio_input",
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
        ),
        ("supports_pdf_input", {"input": [{"content": [{"type": "input_file"}]}]}),
    ],
)
async def test_a_request_goes_where_the_model_is_not_known_to_lack_what_it_needs(
    capability: str, body: dict[str, Any]
) -> None:
    deployments = deployment("d0", info={capability: False}), deployment("d1")
    over = router(deployments, "least-busy", enable_pre_call_checks=True)
    assert (await over.choose(deployments, call(body=body))).id == "d1"
    assert (await over.choose(deployments, call("plain"))).id == "d0"
    # What is known may be outdated: with nobody else, the provider decides.
    assert (await over.choose(deployments[:1], call(body=body))).id == "d0"


@pytest.mark.parametrize("unknown", [None, True])
async def test_a_model_of_which_nothing_is_known_is_taken_to_be_capable(unknown: Any) -> None:
    deployments = deployment("d0", info={"supports_vision": unknown}), deployment("d1")
    over = router(deployments, "least-busy", enable_pre_call_checks=True)
    assert (await over.choose(deployments, call(body=image_of_anthropic()))).id == "d0"


async def test_plain_json_needs_no_schemas() -> None:
    deployments = deployment("d0", info={"supports_response_schema": False}), deployment("d1")
    over = router(deployments, "least-busy", enable_pre_call_checks=True)
    request = call(body={"response_format": {"type": "json_object"}})
    assert (await over.choose(deployments, request)).id == "d0"


@examples(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
        lambda inner: st.one_of(
            st.lists(inner), st.dictionaries(st.sampled_from(["content", "type", "url"]), inner)
        ),
    ),
    st.sampled_from(["messages", "input", "tools", "response_format", "contents", "system"]),
)
async def test_whatever_a_client_sends_can_be_routed(value: Any, name: str) -> None:
    over, deployments = with_contexts()
    assert (await over.choose(deployments, call(body={name: value}))).id in CONTEXTS


# --- cooldowns


@pytest.mark.criterion("R14.1")
async def test_who_cools_down_is_passed_over_until_its_time_has_passed() -> None:
    clock, deployments = Clock(), two()
    over = router(deployments, clock=clock, cooldown_time=30)
    fail(over, deployments[0], call(), RATE_LIMIT)
    assert await chosen(over, deployments) == {"d1"}
    assert over.cooldowns() == {"d0": {"seconds": 30, "error": "rate_limit", "status": 429}}
    clock.now += 30
    assert await chosen(over, deployments) == {"d0", "d1"}
    assert over.cooldowns() == {}


@pytest.mark.criterion("R14.5")
async def test_when_all_cool_down_the_client_learns_when_the_first_returns() -> None:
    clock, deployments = Clock(), two()
    over = router(deployments, clock=clock)
    fail(over, deployments[0], call(), failure(ErrorKind.RATE_LIMIT, retry_after=40))
    clock.now += 10
    fail(over, deployments[1], call(), failure(ErrorKind.RATE_LIMIT, retry_after=60))
    with pytest.raises(NoDeployment) as refused:
        await over.choose(deployments, call())
    assert (refused.value.status, refused.value.retry_after) == (429, 30)


async def test_a_cooldown_is_never_shortened_by_a_call_that_was_still_in_flight() -> None:
    deployments = two()
    over = router(deployments)
    for asked in (60, 5):
        fail(over, deployments[0], call(), failure(ErrorKind.RATE_LIMIT, retry_after=asked))
    assert over.cooldowns()["d0"]["seconds"] == 60


async def test_a_provider_cannot_send_a_deployment_away_for_more_than_an_hour() -> None:
    deployments = two()
    over = router(deployments)
    fail(over, deployments[0], call(), failure(ErrorKind.RATE_LIMIT, retry_after=86_400))
    assert over.cooldowns()["d0"]["seconds"] == 3600


@pytest.mark.parametrize("section", ["router_settings", "litellm_settings"])
async def test_allowed_fails_counts_failures_a_minute(section: str) -> None:
    # LiteLLM takes no notice of 3, its default, nor of the value in litellm_settings.
    clock, deployments = Clock(), two()
    over = router(deployments, clock=clock, **{section: {"allowed_fails": 3}})
    for _ in range(3):
        fail(over, deployments[0], call(), INTERNAL)
    clock.now += 60
    for failed in range(4):
        assert not over.cooldowns(), f"{failed} failures in this minute"
        fail(over, deployments[0], call(), INTERNAL)
    assert over.cooldowns().keys() == {"d0"}


@pytest.mark.parametrize("kind", [ErrorKind.RATE_LIMIT, ErrorKind.AUTHENTICATION])
async def test_the_only_deployment_of_a_group_keeps_answering_with_the_providers_error(
    kind: ErrorKind,
) -> None:
    deployments = (deployment("d0"), deployment("other", group="another"))
    over = router(deployments)
    for _ in range(20):
        fail(over, deployments[0], call(), failure(kind))
    assert (await over.choose(deployments[:1], call())).id == "d0"


async def test_an_unreachable_provider_cools_down_like_a_failing_one() -> None:
    # LiteLLM excepts what it calls APIConnectionError.
    deployments = two()
    over = router(deployments, allowed_fails=1)
    for _ in range(2):
        fail(over, deployments[0], call(), failure(ErrorKind.CONNECTION))
    assert over.cooldowns().keys() == {"d0"}


async def test_a_client_cannot_cool_a_deployment_by_allowing_no_time() -> None:
    deployments = two()
    over = router(deployments, allowed_fails=0)
    fail(over, deployments[0], call(timeout=0.01), failure(ErrorKind.TIMEOUT), seconds=0.02)
    assert not over.cooldowns()
    fail(over, deployments[0], call(timeout=9), failure(ErrorKind.TIMEOUT), seconds=0.02)
    assert over.cooldowns(), "the provider gave up before the client's time was over"


async def test_a_client_cannot_cool_a_deployment_by_asking_for_an_object_that_is_not_there() -> (
    None
):
    deployments = two()
    over = router(deployments)
    stored = next(each for each in OPERATIONS if each.stateful)
    fail(over, deployments[0], call(operation=stored), failure(ErrorKind.NOT_FOUND))
    assert not over.cooldowns()
    fail(over, deployments[0], call(operation=CHAT), failure(ErrorKind.NOT_FOUND))
    assert over.cooldowns()


async def test_cooldowns_can_be_disabled() -> None:
    deployments = two()
    over = router(deployments, disable_cooldowns=True)
    fail(over, deployments[0], call(), RATE_LIMIT)
    assert not over.cooldowns()


# --- what survives


async def test_health_outlives_the_configuration_that_learned_it() -> None:
    health, deployments = Health(Clock()), two()
    before = router(deployments, "least-busy", health=health)
    fail(before, deployments[0], call(), RATE_LIMIT)
    replaced = deployment("d0"), deployment("d1"), deployment("d2")
    after = router(replaced, "least-busy", health=health)
    after.started(replaced[1], call())
    before.cancelled(deployments[1], call())
    assert (await after.choose(replaced, call())).id == "d1"


async def test_records_of_deployments_that_vanish_are_dropped() -> None:
    health = Health(Clock())
    for number in range(5):
        over = router([deployment(f"d{number}")], health=health)
        await over.choose((deployment(f"d{number}"),), call())
    gc.collect()
    assert health.known() == ["d4"]
    del over
    gc.collect()
    assert health.known() == []


@examples(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("sfc")), max_size=30))
async def test_every_way_an_attempt_ends_gives_its_place_back(endings: list[Any]) -> None:
    deployments = two()
    over = router(deployments, "least-busy", disable_cooldowns=True)
    for index, ending in endings:
        of = deployments[index]
        if ending == "s":
            answer(over, of, call())
        elif ending == "f":
            fail(over, of, call(), INTERNAL)
        else:
            over.started(of, call())
            over.cancelled(of, call())
    # Whoever had kept a place would be the busier one.
    for of in reversed(deployments):
        other = next(each for each in deployments if each is not of)
        over.started(of, call())
        assert (await over.choose(deployments, call())).id == other.id
        over.cancelled(of, call())


# --- every filter at once


def configurations() -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.fixed_dictionaries(
        {},
        optional={
            "missing": st.just(("KEY",)),
            "order": st.integers(1, 2),
            "rpm": st.integers(1, 2),
            "tags": st.sampled_from([("default",), ("paid",), ("free",)]),
        },
    )
    return st.lists(one, min_size=1, max_size=5)


@examples(max_examples=300, deadline=None)
@given(
    configurations(),
    st.sampled_from([(), ("paid",), ("free",)]),
    st.sets(st.integers(0, 4)),
    st.sets(st.integers(0, 4)),
    st.sets(st.integers(0, 4)),
    st.booleans(),
)
async def test_the_chosen_one_passes_every_filter_and_a_refusal_means_that_nobody_does(
    described: list[dict[str, Any]],
    tags: tuple[str, ...],
    cooling: set[int],
    used: set[int],
    tried: set[int],
    filtering: bool,
) -> None:
    deployments = [deployment(f"d{i}", **fields) for i, fields in enumerate(described)]
    over = router(
        deployments, enable_tag_filtering=filtering, enable_pre_call_checks=True, allowed_fails=0
    )
    for index, each in enumerate(deployments):
        if index in used:
            answer(over, each, call())
        if index in cooling:
            fail(over, each, call(), INTERNAL)
    requests = {each.id: (i in used) + (i in cooling) for i, each in enumerate(deployments)}

    present = [each for each in deployments if not each.missing]
    known = any(set(tags) & set(each.tags) for each in present)
    defaults = [each for each in present if "default" in each.tags]
    meant = [each for each in present if set(tags) & set(each.tags)] if known else defaults
    allowed = (meant or ([] if tags else present)) if filtering else present
    healthy = [
        each
        for each in allowed
        if int(each.id[1:]) not in cooling and (each.rpm is None or requests[each.id] < each.rpm)
    ]
    names = {f"d{index}" for index in tried}
    fresh = [each for each in healthy if each.id not in names] or healthy
    orders = [each.order for each in fresh if each.order is not None]
    expected = {each.id for each in fresh if not orders or each.order == min(orders)}
    try:
        assert (await over.choose(deployments, call(tags=tags), names)).id in expected
    except (NoDeployment, PermissionDenied):
        assert not expected
