"""What a call costs: integers of nano-dollars, and nothing where a price isn't known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.routing import deployment
from trunkline.call import Call, Usage, UsageDetails
from trunkline.ledger.asked import Asked, asked_of
from trunkline.ledger.prices import Prices
from trunkline.operations import OPERATIONS
from trunkline.providers.usage import read_object
from trunkline.settings.price_map import PriceMap, PriceMapInvalid, checked

pytestmark = pytest.mark.criterion("R12.1")

PLAIN = {"input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6}
OPERATION = {each.name: each for each in OPERATIONS}


def prices(**facts: Any) -> Prices:
    found = Prices.from_facts(facts)
    assert found is not None
    return found


def call(operation: str, body: Mapping[str, Any]) -> Call:
    return Call("id", OPERATION[operation], "group", dict(body), 0.0)


def usage_of(kind: str, answer: Any) -> Usage:
    usage = Usage()
    read_object(kind, answer, usage)
    return usage


def test_a_chat_costs_its_tokens() -> None:
    assert prices(**PLAIN).cost(Usage(1000, 100)) == 1_400_000


def test_a_price_may_be_text_as_in_a_yaml_file() -> None:
    assert prices(input_cost_per_token="1e-6", output_cost_per_token="4e-6").cost(
        Usage(1000, 100)
    ) == (1_400_000)


def test_sums_are_exact_and_halves_are_rounded_up() -> None:
    tiny = prices(input_cost_per_token=1e-10, output_cost_per_token=0)
    assert [tiny.cost(Usage(n, 0)) for n in (4, 5, 10, 14, 15)] == [0, 1, 1, 1, 2]


def test_nothing_is_known_of_what_has_no_price() -> None:
    assert Prices.from_facts({}) is None
    assert Prices.from_facts({"mode": "chat", "max_tokens": 4096}) is None
    assert prices(**PLAIN).cost(Usage()) is None
    assert prices(input_cost_per_token=1e-6).cost(Usage(10, 10)) is None
    assert prices(**PLAIN).cost(Usage(), Asked(operation="images")) is None
    assert prices(ocr_cost_per_page=0.1).cost(Usage(), Asked(operation="ocr")) is None


def test_what_is_free_costs_nothing_whatever_it_consumes() -> None:
    free = prices(input_cost_per_token=0.0, output_cost_per_token=0.0, mode="moderation")
    assert free.cost(Usage()) == 0
    assert free.cost(Usage(10, 0)) == 0


def test_a_price_of_a_kind_of_token_holds_for_that_kind_alone() -> None:
    known = prices(
        **PLAIN,
        cache_read_input_token_cost=1e-7,
        cache_creation_input_token_cost=1.25e-6,
        cache_creation_input_token_cost_above_1hr=2e-6,
        output_cost_per_reasoning_token=5e-6,
        input_cost_per_audio_token=4e-5,
        output_cost_per_audio_token=8e-5,
    )
    assert known.cost(Usage(1000, 0, 400)) == 640_000
    assert known.cost(Usage(1000, 0, None, 400)) == 1_100_000
    assert known.cost(Usage(1000, 100, reasoning_tokens=50)) == 1_450_000
    hour = Usage(1000, 0, None, 400, details=UsageDetails(created_hour=400))
    assert known.cost(hour) == 1_400_000
    spoken = Usage(100, 100, details=UsageDetails(audio_input=90, audio_output=60))
    assert known.cost(spoken) == 90 * 40_000 + 10 * 1000 + 60 * 80_000 + 40 * 4000


def test_tokens_from_the_cache_are_not_charged_again_as_what_they_stand_for() -> None:
    known = prices(**PLAIN, cache_read_input_token_cost=1e-7, input_cost_per_audio_token=4e-5)
    overlapping = Usage(100, 0, 80, details=UsageDetails(audio_input=50))
    assert known.cost(overlapping) == 80 * 100 + 20 * 40_000


def test_all_tokens_of_a_large_input_cost_what_large_inputs_cost() -> None:
    known = prices(
        **PLAIN,
        input_cost_per_token_above_200k_tokens=2e-6,
        output_cost_per_token_above_200k_tokens=6e-6,
    )
    assert known.cost(Usage(200_000, 1)) == 200_000 * 1000 + 4000
    assert known.cost(Usage(200_001, 1)) == 200_001 * 2000 + 6000


@pytest.mark.parametrize(
    ("asked", "served", "cost"),
    [("", None, 1000), ("priority", None, 2000), ("fast", None, 2000), ("flex", None, 1000),
     ("priority", "default", 1000), ("auto", "priority", 2000), ("", "priority", 2000),
     ("priority", "on_demand", 2000)],
)  # fmt: skip
def test_the_service_tier_that_was_served_is_charged(
    asked: str, served: str | None, cost: int
) -> None:
    known = prices(**PLAIN, input_cost_per_token_priority=2e-6)
    assert known.cost(Usage(1, 0, tier=served), Asked(tier=asked)) == cost


def test_off_peak_prices_hold_in_their_windows() -> None:
    facts = {
        **PLAIN,
        "off_peak_pricing": {
            "input_cost_per_token": 5e-7,
            "windows": [
                {"hours_utc": ["22:00-04:00"], "weekdays": [1, 2, 3, 4, 5]},
                {"hours_utc": "00:00-00:00", "weekdays": ["sat", "sunday"]},
            ],
        },
    }

    def at(day: int, hour: int) -> int | None:
        found = Prices.from_facts(facts, now=lambda: datetime(2026, 6, day, hour, tzinfo=UTC))
        assert found is not None
        return found.cost(Usage(1, 0))

    assert [at(1, 12), at(1, 22), at(2, 3), at(2, 4), at(6, 12)] == [1000, 500, 500, 1000, 500]


def test_a_batch_costs_half_where_it_has_no_price_of_its_own() -> None:
    assert prices(**PLAIN).cost(Usage(1000, 100), Asked(tier="batches")) == 700_000


def test_a_region_and_a_mode_of_serving_multiply_prices() -> None:
    facts = {**PLAIN, "regional_processing_uplift_multiplier_eu": 1.1}
    eu = deployment("a", params={"api_base": "https://eu.api.openai.com/v1"})
    known = Prices.of(eu, facts)
    assert known is not None
    assert known.cost(Usage(1000, 100)) == 1_540_000
    fast = prices(**PLAIN, provider_specific_entry={"fast": 6, "us": 1.1})
    served = Usage(1000, 100, details=UsageDetails(modes=("fast", "us")))
    assert fast.cost(served) == 9_240_000


def test_the_provider_s_word_on_the_cost_counts_unless_a_price_was_agreed() -> None:
    usage = usage_of(
        "openai",
        {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "cost": {"total_cost": 0.0125}}},
    )
    facts = {**PLAIN, "litellm_provider": "perplexity"}
    assert prices(**facts).cost(usage) == 12_500_000
    agreed = Prices.of(deployment("a", params={"input_cost_per_token": 1e-6}), facts)
    assert agreed is not None
    assert agreed.cost(usage) == 13_000
    assert prices(**PLAIN, litellm_provider="openai").cost(usage) == 13_000


@pytest.mark.parametrize(
    ("operation", "body", "facts", "cost"),
    [
        ("images.generate", {"prompt": "x", "n": 3}, {"output_cost_per_image": 0.04}, 120_000_000),
        ("images.edit", {"prompt": "x", "n": "2"}, {"output_cost_per_image": 0.04}, 80_000_000),
        ("images.generate", {"size": "512x256"}, {"input_cost_per_pixel": 1e-8}, 1_310_720),
        ("speech", {"input": "four"}, {"input_cost_per_character": 1.5e-5}, 60_000),
        ("rerank", {"documents": ["a"] * 101}, {"input_cost_per_query": 0.002}, 4_000_000),
        ("search", {"query": ["a", "b"]}, {"input_cost_per_query": 0.005}, 10_000_000),
        ("videos.create", {"seconds": "8"}, {"output_cost_per_video_per_second": 0.1}, 800_000_000),
        ("videos.create", {"seconds": 4, "size": "1280x720"},
         {"output_cost_per_second": 0.5, "output_cost_per_second_720p": 0.1}, 400_000_000),
    ],
)  # fmt: skip
def test_what_is_not_counted_in_tokens_is_charged_by_the_request(
    operation: str, body: dict[str, Any], facts: dict[str, Any], cost: int
) -> None:
    made = call(operation, body)
    assert prices(**facts).charge(made) == cost
    assert prices(**facts).bound(0, 0, asked_of(made)) >= cost


@pytest.mark.parametrize(
    ("kind", "operation", "answer", "facts", "cost"),
    [
        ("media", "transcriptions", {"text": "x", "usage": {"type": "duration", "seconds": 30}},
         {"input_cost_per_second": 1e-4}, 3_000_000),
        ("media", "transcriptions", {"text": "x", "duration": 12.5},
         {"input_cost_per_second": 1e-4}, 1_250_000),
        ("openai", "rerank", {"meta": {"billed_units": {"search_units": 3}}},
         {"input_cost_per_query": 0.002}, 6_000_000),
        ("ocr", "ocr", {"usage_info": {"pages_processed": 4}}, {"ocr_cost_per_page": 0.001},
         4_000_000),
        ("media", "videos", {"object": "video", "seconds": "12"},
         {"output_cost_per_second": 0.1}, 1_200_000_000),
    ],
)  # fmt: skip
def test_what_is_not_counted_in_tokens_is_charged_by_the_answer(
    kind: str, operation: str, answer: Any, facts: dict[str, Any], cost: int
) -> None:
    usage = usage_of(kind, answer)
    assert prices(**facts).cost(usage, Asked(operation=operation)) == cost


SEARCHING = {
    "search_context_cost_per_query": {
        f"search_context_size_{size}": price
        for size, price in (("low", 0.01), ("medium", 0.02), ("high", 0.03))
    }
}


@pytest.mark.parametrize(
    ("kind", "operation", "body", "answer", "provider", "cost"),
    [
        ("openai", "chat", {"web_search_options": {"search_context_size": "low"}},
         {"choices": [{"message": {"annotations": [{"type": "url_citation"}] * 3}}],
          "usage": {"prompt_tokens": 0, "completion_tokens": 0}}, "openai", 10),
        ("responses", "responses",
         {"tools": [{"type": "web_search", "search_context_size": "high"}]},
         {"output": [{"type": "web_search_call"}] * 2,
          "usage": {"input_tokens": 0, "output_tokens": 0}}, "openai", 60),
        ("anthropic", "messages", {},
         {"usage": {"input_tokens": 0, "output_tokens": 0,
                    "server_tool_use": {"web_search_requests": 4}}}, "anthropic", 80),
        ("google", "generate_content", {},
         {"candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}}],
          "usageMetadata": {"promptTokenCount": 0, "candidatesTokenCount": 0}}, "gemini", 20),
    ],
)  # fmt: skip
def test_searches_of_the_web_are_charged(
    kind: str, operation: str, body: Any, answer: Any, provider: str, cost: int
) -> None:
    made = call(operation, body)
    read_object(kind, answer, made.usage)
    known = prices(**PLAIN, **SEARCHING, litellm_provider=provider)
    assert known.charge(made) == cost * 1_000_000


counts = st.integers(0, 10**6)
dollars = st.sampled_from([0.0, 1e-7, 2.5e-6, 4e-5])
FACTS = (
    "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost",
    "cache_creation_input_token_cost", "output_cost_per_reasoning_token",
    "input_cost_per_audio_token", "output_cost_per_audio_token", "output_cost_per_image_token",
    "input_cost_per_token_above_200k_tokens", "output_cost_per_token_above_200k_tokens",
    "cache_read_input_token_cost_above_200k_tokens", "input_cost_per_token_priority",
    "input_cost_per_token_flex", "output_cost_per_token_flex",
)  # fmt: skip


@given(
    st.fixed_dictionaries(
        dict.fromkeys(FACTS[:2], dollars), optional=dict.fromkeys(FACTS[2:], dollars)
    ),
    counts,
    counts,
    st.lists(st.floats(0, 1), min_size=6, max_size=6),
    st.sampled_from(["", "priority", "flex", "default", "auto"]),
)
def test_no_call_costs_more_than_its_bound(
    facts: dict[str, float], given_tokens: int, made: int, shares: list[float], tier: str
) -> None:
    known = prices(**facts)
    cached = int(given_tokens * shares[0])
    created = int((given_tokens - cached) * shares[1])
    reasoning = int(made * shares[2])
    audio = int((made - reasoning) * shares[3])
    details = UsageDetails(
        audio_input=int(given_tokens * shares[4]),
        audio_output=audio,
        image_output=int((made - reasoning - audio) * shares[5]),
    )
    usage = Usage(given_tokens, made, cached, created, reasoning, details=details)
    asked = Asked(tier=tier)
    cost = known.cost(usage, asked)
    assert cost is not None
    assert cost <= known.bound(given_tokens, made, asked) <= known.bound(given_tokens, made)


def test_a_bound_grows_with_the_tokens() -> None:
    known = prices(**PLAIN, input_cost_per_token_above_200k_tokens=2e-6)
    assert known.bound(200_000, 100) == 200_400_000
    assert known.bound(200_001, 100) == 200_001 * 2000 + 400_000


def test_images_cost_what_their_size_and_quality_cost() -> None:
    found = PriceMap.of(["azure/dall-e-3"]).images_of(["azure/dall-e-3"])
    assert found is not None
    known = prices(image_prices=found)
    asked = {"n": 1, "size": "1024x1792", "quality": "hd"}
    assert known.charge(call("images.generate", asked)) == pytest.approx(132_000_000, rel=1e-4)
    assert known.charge(call("images.generate", {})) == pytest.approx(44_000_000, rel=1e-4)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"{", "not JSON"),
        (b"[]", "not an object of models"),
        (b"{}", "no models"),
        (b'{"a": 1}', "'a' is not an object"),
        (b'{"a": {"input_cost_per_token": "much"}}', "'a': 'input_cost_per_token' is not a price"),
        (b'{"a": {"input_cost_per_token": -1}}', "'a': 'input_cost_per_token' is not a price"),
        (b'{"a": {"mode": "chat"}}', "none of its models has a price"),
    ],
)
def test_a_file_that_is_no_price_map_is_refused(content: bytes, complaint: str) -> None:
    with pytest.raises(PriceMapInvalid, match=complaint):
        checked(content)
