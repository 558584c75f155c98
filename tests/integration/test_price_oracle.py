"""A call costs what LiteLLM says that it costs, over its whole price map and every usage shape.

Where the two differ, `OURS` or the test says why ours is right; any other difference fails.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from trunkline.call import Usage
from trunkline.ledger.asked import Asked
from trunkline.ledger.levels import BATCHES
from trunkline.ledger.prices import NANO_PER_DOLLAR, Prices
from trunkline.providers.realtime_events import read as read_event
from trunkline.providers.usage import read_object
from trunkline.settings.price_map import IMAGE_PRICES, PriceMap

pytestmark = pytest.mark.criterion("R12.1")

Entry = Mapping[str, Any]
Models = Mapping[str, Entry]

TALKING = {"chat", "responses", "completion", "embedding", "realtime", "evaluation", "extraction"}
"""Modes of models that are charged by their tokens."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A model whose cost isn't LiteLLM's. ours: None where we say that nobody knows."""

    model: str
    entry: Entry
    ours: int | None
    theirs: float

    @property
    def provider(self) -> str:
        return str(self.entry["litellm_provider"])


@pytest.fixture(scope="module")
def oracle() -> Iterator[ModuleType]:
    logging.disable(logging.CRITICAL)
    try:
        from tests.support import price_oracle

        yield price_oracle
    finally:
        logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def models() -> Models:
    """Every entry that stands for a model, with what its images cost by their size."""
    prices = PriceMap.whole()
    found: dict[str, Entry] = {}
    for name, entry in prices:
        if "litellm_provider" in entry and "-x-" not in name:
            sized = prices.images_of([name])
            found[name] = {**entry, IMAGE_PRICES: sized} if sized else entry
    return found


def test_the_map_has_thousands_of_models(models: Models) -> None:
    assert len(models) > 3500


def tokens(given: int, made: int, **details: Any) -> dict[str, Any]:
    """OpenAI's usage object, as LiteLLM's answers tell it."""
    told = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
    return {**told, **details}


SHAPES: Mapping[str, dict[str, Any]] = {
    "text": tokens(1234, 567),
    "no output": tokens(1234, 0),
    "cached": tokens(1234, 567, prompt_tokens_details={"cached_tokens": 1000}),
    "written to the cache": tokens(
        5000, 567, prompt_tokens_details={"cached_tokens": 1000, "cache_creation_tokens": 2000}
    ),
    "written for an hour": tokens(
        5000,
        567,
        prompt_tokens_details={
            "cache_creation_tokens": 2000,
            "cache_creation_token_details": {
                "ephemeral_5m_input_tokens": 500,
                "ephemeral_1h_input_tokens": 1500,
            },
        },
    ),
    "reasoning": tokens(1234, 567, completion_tokens_details={"reasoning_tokens": 400}),
    "audio": tokens(
        1234,
        567,
        prompt_tokens_details={"audio_tokens": 1000, "text_tokens": 234},
        completion_tokens_details={"audio_tokens": 400, "text_tokens": 167},
    ),
    "images": tokens(
        1234,
        567,
        prompt_tokens_details={"image_tokens": 1000, "text_tokens": 234},
        completion_tokens_details={"image_tokens": 400, "text_tokens": 167},
    ),
    "above 100k": tokens(110_000, 1000, prompt_tokens_details={"cached_tokens": 10_000}),
    "above 128k": tokens(150_000, 1000),
    "at 200k": tokens(200_000, 1000),
    "above 200k": tokens(220_000, 1000, prompt_tokens_details={"cached_tokens": 10_000}),
    "above 272k": tokens(
        300_001,
        20_000,
        prompt_tokens_details={"cached_tokens": 100_000, "cache_creation_tokens": 50_000},
    ),
    "above 512k": tokens(600_000, 1000, completion_tokens_details={"reasoning_tokens": 400}),
}


def compared(
    models: Models,
    theirs: Callable[[str, Entry], float],
    usage: Usage,
    asked: Asked | None = None,
    *,
    unpriced: tuple[type[Exception], ...] = (),
) -> list[Difference]:
    """The models whose cost differs by more than a nano-dollar.

    unpriced: what LiteLLM raises for models that it can't price.
    """
    found = []
    for name, entry in models.items():
        try:
            dollars = theirs(name, entry)
        except unpriced:
            continue
        prices = _prices(name, entry)
        ours = prices.cost(usage, asked) if prices else None
        nano = dollars * NANO_PER_DOLLAR
        # LiteLLM adds floats: they are off by some 10⁻¹⁶ of the sum.
        if ours is None or abs(ours - nano) > 1 + nano * 1e-12:
            found.append(Difference(name, entry, ours, nano))
    return found


_KNOWN: dict[str, Prices | None] = {}


def _prices(name: str, entry: Entry) -> Prices | None:
    """Worked out once for all tests, as the gateway does."""
    if name not in _KNOWN:
        _KNOWN[name] = Prices.from_facts(entry)
    return _KNOWN[name]


def of_mode(models: Models, *modes: str) -> dict[str, Entry]:
    return {name: entry for name, entry in models.items() if entry.get("mode") in modes}


def read(kind: str, answer: Any) -> Usage:
    usage = Usage()
    read_object(kind, answer, usage)
    return usage


def unknown(each: Difference) -> bool:
    """LiteLLM's 0 stands for what it doesn't know."""
    return each.ours is None and each.theirs == 0


OURS: Mapping[str, Callable[[Difference], bool]] = {
    "LiteLLM finds another entry under the same name, of another provider first": lambda each: (
        each.model in {"deepseek-chat", "moonshotai.kimi-k2.5", "gemini-exp-1206"}
    ),
    "LiteLLM takes Together's models of a size class for one of the smallest": lambda each: (
        each.model.startswith("together-ai-")
    ),
    "LiteLLM charges what Perplexity reads from the cache as input": lambda each: (
        each.provider == "perplexity" and "cache_read_input_token_cost" in each.entry
    ),
    "LiteLLM leaves the price of a request out": lambda each: (
        "input_cost_per_request" in each.entry
    ),
    "LiteLLM guesses what Together's models cost from the size in their name": lambda each: (
        each.provider == "together_ai" and each.ours is None
    ),
}

OURS_OF_TIERS: Mapping[str, Callable[[Difference], bool]] = {
    "LiteLLM leaves Fireworks' service tiers out": lambda each: each.provider == "fireworks_ai",
    "LiteLLM leaves the prices of a service tier's audio out": lambda each: any(
        name.startswith("input_cost_per_audio_token_") for name in each.entry
    ),
}


def explained(each: Difference, *more: Mapping[str, Callable[[Difference], bool]]) -> bool:
    return any(applies(each) for reasons in (OURS, *more) for applies in reasons.values())


@pytest.mark.parametrize("shape", SHAPES)
def test_tokens_cost_what_they_cost_in_litellm(
    shape: str, oracle: ModuleType, models: Models
) -> None:
    told = SHAPES[shape]
    found = compared(
        of_mode(models, *TALKING),
        lambda name, e: oracle.chat(name, e, told),
        read("openai", {"usage": oracle.usage_of(told).model_dump()}),
    )
    assert not [each for each in found if not (unknown(each) or explained(each))]


@pytest.mark.parametrize("tier", ["flex", "priority", "balanced", "ultrafast", "fast"])
def test_service_tiers_cost_what_they_cost_in_litellm(
    tier: str, oracle: ModuleType, models: Models
) -> None:
    suffix = "_priority" if tier == "fast" else f"_{tier}"
    tiered = {
        name: entry
        for name, entry in models.items()
        if entry.get("mode") in TALKING and any(key.endswith(suffix) for key in entry)
    }
    assert tiered
    odd = []
    for shape, told in SHAPES.items():
        usage = read("openai", {"usage": oracle.usage_of(told).model_dump()})
        found = compared(
            tiered,
            lambda name, e, told=told: oracle.chat(name, e, told, tier),
            usage,
            Asked(tier=tier),
        )
        odd += [
            (shape, each) for each in found if not (unknown(each) or explained(each, OURS_OF_TIERS))
        ]
    assert not odd


def test_batches_cost_what_they_cost_in_litellm(oracle: ModuleType, models: Models) -> None:
    """Where a model's batches have prices. Where they don't, all costs half; LiteLLM then gives
    what was read from the cache for nothing, where that has no price of its own."""
    priced = {
        name: entry
        for name, entry in models.items()
        if entry.get("input_cost_per_token_batches")
        and entry.get("output_cost_per_token_batches") is not None
    }
    odd = []
    for shape in ("text", "cached", "written to the cache", "above 128k", "above 272k"):
        told = SHAPES[shape]
        usage = read("openai", {"usage": oracle.usage_of(told).model_dump()})
        found = compared(
            priced,
            lambda name, e, told=told: oracle.batch(name, e, told),
            usage,
            Asked(tier=BATCHES),
        )
        odd += [(shape, each) for each in found if not explained(each)]
    assert not odd


@pytest.mark.parametrize("context", ["", "low", "medium", "high"])
def test_searches_of_the_web_cost_what_they_cost_in_litellm(
    context: str, oracle: ModuleType, models: Models
) -> None:
    """One search: LiteLLM counts no more than one in a chat, unless the provider is one of three
    that it knows to count. Ours charges each that is told of."""
    told = tokens(
        100,
        10,
        prompt_tokens_details={"web_search_requests": 1},
        server_tool_use={"web_search_requests": 1},
    )
    searching = {
        name: entry
        for name, entry in of_mode(models, "chat", "responses").items()
        if "search_context_cost_per_query" in entry
    }
    usage = read("openai", {"usage": oracle.usage_of(told).model_dump()})
    found = compared(
        searching,
        lambda name, e: oracle.chat(name, e, told, context=context),
        usage,
        Asked(context=context, searches=1),
    )
    assert not [each for each in found if not explained(each)]


@pytest.mark.parametrize(
    ("size", "quality"),
    [
        (None, ""),
        ((1024, 1024), "hd"),
        ((1024, 1792), "standard"),
        ((1024, 1536), "low"),
        ((1792, 1024), "high"),
    ],
)
def test_images_cost_what_they_cost_in_litellm(
    size: tuple[int, int] | None, quality: str, oracle: ModuleType, models: Models
) -> None:
    asked: dict[str, str] = {"size": f"{size[0]}x{size[1]}", "quality": quality} if size else {}
    found = compared(
        of_mode(models, "image_generation", "image_edit"),
        lambda name, e: oracle.images(name, e, 2, asked, None),
        Usage(),
        Asked(operation="images", images=2, size=size, quality=quality),
        unpriced=(Exception,),
    )
    # Where the provider tells no tokens, an image still has the price of its size.
    by_size = [each for each in found if each.theirs == 0 and each.ours and _sized(each)]
    odd = [each for each in found if each not in by_size and not unknown(each)]
    assert not [each for each in odd if each.provider != "fal_ai"]
    assert not [each for each in odd if not each.entry.get(IMAGE_PRICES)]


def _sized(each: Difference) -> bool:
    return IMAGE_PRICES in each.entry


def test_images_counted_in_tokens_cost_what_they_cost_in_litellm(
    oracle: ModuleType, models: Models
) -> None:
    told = {
        "input_tokens": 50,
        "output_tokens": 4000,
        "total_tokens": 4050,
        "input_tokens_details": {"text_tokens": 40, "image_tokens": 10},
    }
    found = compared(
        of_mode(models, "image_generation", "image_edit"),
        lambda name, e: oracle.images(name, e, 2, {}, told),
        read("media", {"usage": told}),
        Asked(operation="images", images=2),
        unpriced=(Exception,),
    )
    # LiteLLM charges nothing where tokens are told that have no price; the images have one.
    odd = [each for each in found if not (each.theirs == 0 and each.ours)]
    assert not [each for each in odd if not unknown(each)]


def test_reranking_costs_what_it_costs_in_litellm(oracle: ModuleType, models: Models) -> None:
    meta = {
        "billed_units": {"search_units": 3, "total_tokens": 1000},
        "tokens": {"input_tokens": 1000},
    }
    found = compared(
        of_mode(models, "rerank"),
        lambda name, e: oracle.rerank(name, e, meta),
        read("openai", {"results": [], "meta": meta}),
        Asked(operation="rerank", documents=250),
    )
    # LiteLLM knows rerankers by the token of few providers, and charges nothing for the others'.
    by_token = [each for each in found if each.theirs == 0 and each.entry["input_cost_per_token"]]
    assert [each for each in found if each not in by_token] == []


@pytest.mark.parametrize(
    "told",
    [
        {"pages_processed": 7},
        {"pages_processed": 7, "pages_processed_annotation": 3},
        {"pages_processed": 7, "credits": 4.5},
    ],
)
def test_reading_documents_costs_what_it_costs_in_litellm(
    told: dict[str, Any], oracle: ModuleType, models: Models
) -> None:
    found = compared(
        of_mode(models, "ocr"),
        lambda name, e: oracle.ocr(name, e, told),
        read("ocr", {"usage_info": told}),
        Asked(operation="ocr"),
    )
    assert not [each for each in found if not unknown(each)]


@pytest.mark.parametrize(("queries", "results"), [(1, 10), (3, 10), (1, 60), (3, 60)])
def test_searching_costs_what_it_costs_in_litellm(
    queries: int, results: int, oracle: ModuleType, models: Models
) -> None:
    """But for Parallel: what it takes for more results is in LiteLLM's program, not in the map."""
    found = compared(
        of_mode(models, "search"),
        lambda name, e: oracle.search(name, e, queries, results),
        Usage(),
        Asked(operation="search", queries=queries, results=results),
    )
    assert not [each for each in found if each.provider != "parallel_ai"]


def test_speech_costs_what_it_costs_in_litellm(oracle: ModuleType, models: Models) -> None:
    """By the character. Where it is charged by tokens, an answer of audio tells none: LiteLLM then
    counts those of the text, which are the smaller part; ours says that it isn't known."""
    found = compared(
        of_mode(models, "audio_speech"),
        lambda name, e: oracle.speech(name, e, "a" * 321),
        Usage(),
        Asked(operation="speech", characters=321),
    )
    by_token = [each for each in found if not each.entry.get("input_cost_per_character")]
    assert [each for each in found if each not in by_token] == []
    assert all(each.ours is None for each in by_token)


def test_transcriptions_cost_what_they_cost_in_litellm(oracle: ModuleType, models: Models) -> None:
    hearing = of_mode(models, "audio_transcription")
    by_second = compared(
        hearing,
        lambda name, e: oracle.transcription(name, e, 12.34),
        read("media", {"usage": {"type": "duration", "seconds": 12.34}}),
        Asked(operation="transcriptions"),
    )
    assert not [each for each in by_second if not unknown(each)]
    told = {
        "type": "tokens",
        "input_tokens": 100,
        "output_tokens": 45,
        "total_tokens": 145,
        "input_token_details": {"text_tokens": 10, "audio_tokens": 90},
    }
    by_token = compared(
        hearing,
        lambda name, e: oracle.transcription_in_tokens(name, e, told),
        read("media", {"usage": told}),
        Asked(operation="transcriptions"),
    )
    assert not [each for each in by_token if not unknown(each)]


@pytest.mark.parametrize("resolution", ["", "480p", "720p", "1080p", "4k"])
def test_videos_cost_what_they_cost_in_litellm(
    resolution: str, oracle: ModuleType, models: Models
) -> None:
    told: dict[str, Any] = {"duration_seconds": 8.0}
    if resolution:
        told["video_resolution"] = resolution
    found = compared(
        of_mode(models, "video_generation"),
        lambda name, e: oracle.video(name, e, told),
        read("media", {"object": "video", "usage": told}),
        Asked(operation="videos"),
    )
    assert not [each for each in found if not unknown(each)]


SPOKEN: Mapping[str, dict[str, Any]] = {
    "text": {"input_tokens": 120, "output_tokens": 30},
    "audio": {
        "input_tokens": 900,
        "output_tokens": 300,
        "input_token_details": {"text_tokens": 400, "audio_tokens": 500, "cached_tokens": 0},
        "output_token_details": {"text_tokens": 60, "audio_tokens": 240},
    },
    "cached": {
        "input_tokens": 900,
        "output_tokens": 300,
        "input_token_details": {
            "text_tokens": 400,
            "audio_tokens": 500,
            "cached_tokens": 320,
            "cached_tokens_details": {"text_tokens": 192, "audio_tokens": 128},
        },
        "output_token_details": {"text_tokens": 60, "audio_tokens": 240},
    },
    "images": {
        "input_tokens": 1500,
        "output_tokens": 40,
        "input_token_details": {
            "text_tokens": 500,
            "audio_tokens": 0,
            "image_tokens": 1000,
            "cached_tokens": 0,
        },
        "output_token_details": {"text_tokens": 40, "audio_tokens": 0},
    },
}


@pytest.mark.parametrize("shape", SPOKEN)
def test_responses_of_realtime_sessions_cost_what_they_cost_in_litellm(
    shape: str, oracle: ModuleType, models: Models
) -> None:
    told = SPOKEN[shape]
    usage = told | {"total_tokens": told["input_tokens"] + told["output_tokens"]}
    done = {"type": "response.done", "response": {"usage": usage}}
    event = read_event(json.dumps(done))
    assert event is not None
    assert event.usage is not None
    found = compared(
        of_mode(models, "realtime"),
        lambda name, e: oracle.realtime(name, e, [done]),
        event.usage,
    )
    assert not [each for each in found if not (unknown(each) or explained(each))]


HEARD = {
    "duration": {"type": "duration", "seconds": 12.5},
    "tokens": {
        "type": "tokens",
        "input_tokens": 130,
        "output_tokens": 20,
        "total_tokens": 150,
        "input_token_details": {"audio_tokens": 120, "text_tokens": 10},
    },
}


@pytest.mark.parametrize("shape", HEARD)
def test_what_realtime_sessions_transcribe_costs_what_it_costs_in_litellm(
    shape: str, oracle: ModuleType, models: Models
) -> None:
    kind = "conversation.item.input_audio_transcription.completed"
    told = {"type": kind, "usage": HEARD[shape]}
    event = read_event(json.dumps(told))
    assert event is not None
    assert event.usage is not None
    found = compared(
        {
            name: entry
            for name, entry in of_mode(models, "audio_transcription").items()
            if entry["litellm_provider"] in {"openai", "azure"}
        },
        lambda name, e: oracle.realtime(name, e, [told]),
        event.usage,
        Asked(operation="transcriptions"),
    )
    assert not [each for each in found if not (unknown(each) or explained(each))]
