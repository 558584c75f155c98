"""What usage objects tell beside tokens of text: media, searches, pages, lengths, costs.

None where there is nothing of the kind, which is so for most calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import UsageDetails
from .figures import amount, first, inner

_MEDIA = ("audio", "image", "video")

_BESIDE = frozenset(
    """
    server_tool_use server_side_tool_usage_details num_search_queries citation_tokens cost
    cost_in_usd_ticks search_units seconds duration_seconds duration inference_geo speed
    cache_creation
    """.split()
)
"""Fields of OpenAI's usage object, as some providers fill it, that tell of more than tokens."""

_OF_INPUT = frozenset(
    """
    audio_tokens image_tokens video_tokens cached_tokens_details cache_creation_token_details
    web_search_requests google_maps_grounding_requests character_count image_count
    video_length_seconds audio_length_seconds
    """.split()
)
_OF_OUTPUT = frozenset({"audio_tokens", "image_tokens", "video_tokens"})

USD_TICKS = 10**10
"""xAI's ticks in a dollar: https://docs.x.ai/docs/key-information/consumption-and-rate-limits"""


def of_openai(
    found: Mapping[str, Any], incoming: Mapping[str, Any], outgoing: Mapping[str, Any]
) -> UsageDetails | None:
    """incoming, outgoing: its details of input and output."""
    if not (_tells(incoming, _OF_INPUT) or _tells(outgoing, _OF_OUTPUT) or _tells(found, _BESIDE)):
        return None
    told: dict[str, Any] = {}
    for kind in _MEDIA:
        told[f"{kind}_input"] = first(incoming, f"{kind}_tokens")
        told[f"{kind}_output"] = first(outgoing, f"{kind}_tokens")
    cached = inner(incoming, "cached_tokens_details")
    told["cached_audio"] = first(cached, "audio_tokens")
    told["cached_image"] = first(cached, "image_tokens")
    told["created_hour"] = first(
        inner(incoming, "cache_creation_token_details") or inner(found, "cache_creation"),
        "ephemeral_1h_input_tokens",
    )
    told["citations"] = first(found, "citation_tokens")
    told["searches"] = _searches(found, incoming)
    told["maps"] = first(incoming, "google_maps_grounding_requests")
    told["search_units"] = first(found, "search_units")
    told["characters"] = first(incoming, "character_count")
    told["images"] = first(incoming, "image_count")
    told["seconds"] = _or(amount(found, "seconds"), amount(incoming, "audio_length_seconds"))
    told["video_seconds"] = _or(
        amount(found, "duration_seconds", "duration"), amount(incoming, "video_length_seconds")
    )
    told["resolution"] = _text(found.get("video_resolution"))
    told["cost"] = _cost(found)
    return _made(told, _modes(found))


def of_anthropic(found: Mapping[str, Any]) -> UsageDetails | None:
    created = inner(found, "cache_creation")
    told = {
        "created_hour": first(created, "ephemeral_1h_input_tokens"),
        "searches": first(inner(found, "server_tool_use"), "web_search_requests"),
    }
    return _made(told, _modes(found))


def of_google(found: Mapping[str, Any]) -> UsageDetails | None:
    """Google counts each modality apart: text, image, video, audio, document."""
    told: dict[str, Any] = {}
    for name, suffix in (("promptTokensDetails", "input"), ("candidatesTokensDetails", "output")):
        for modality, count in _modalities(found.get(name)).items():
            told[f"{modality}_{suffix}"] = count
    cached = _modalities(found.get("cacheTokensDetails"))
    told["cached_audio"], told["cached_image"] = cached.get("audio"), cached.get("image")
    return _made(told, ())


def of_pages(found: Mapping[str, Any]) -> UsageDetails | None:
    told = {
        "pages": first(found, "pages_processed"),
        "annotated_pages": first(found, "pages_processed_annotation"),
        "credits": amount(found, "credits"),
    }
    return _made(told, ())


def cites(choices: Any) -> bool:
    """Whether a chat's answer cites a page of the web, so that a search was made for it."""
    return any(
        isinstance(note, dict) and note.get("type") == "url_citation"
        for choice in (choices if isinstance(choices, list) else ())
        if isinstance(choice, dict)
        for note in inner(choice, "message", "delta").get("annotations") or ()
    )


def searches_of(output: Any) -> int:
    """The searches of the web among a response's items."""
    items = output if isinstance(output, list) else ()
    return sum(isinstance(item, dict) and item.get("type") == "web_search_call" for item in items)


def queries_of(candidates: Any) -> int:
    """Google's searches of the web for its candidates."""
    return sum(
        len(queries)
        for candidate in (candidates if isinstance(candidates, list) else ())
        if isinstance(candidate, dict)
        and isinstance(
            queries := inner(candidate, "groundingMetadata").get("webSearchQueries"), list
        )
    )


def _tells(holder: Mapping[str, Any], names: frozenset[str]) -> bool:
    """Whether one of the fields holds something."""
    return any(value and name in names for name, value in holder.items())


def _searches(found: Mapping[str, Any], incoming: Mapping[str, Any]) -> int | None:
    """OpenAI's shape has no place for them; providers have found several."""
    told = first(inner(found, "server_tool_use"), "web_search_requests")
    for holder, name in (
        (inner(found, "server_side_tool_usage_details"), "web_search_calls"),
        (incoming, "web_search_requests"),
        (found, "num_search_queries"),
    ):
        told = told or first(holder, name)
    return told


def _cost(found: Mapping[str, Any]) -> float | None:
    """Dollars: a number, Perplexity's object, or xAI's ticks."""
    ticks = first(found, "cost_in_usd_ticks")
    if ticks is not None:
        return ticks / USD_TICKS
    held = found.get("cost")
    if isinstance(held, dict):
        return amount(held, "total_cost")
    return None if isinstance(held, str) else amount(found, "cost")


def _modes(found: Mapping[str, Any]) -> tuple[str, ...]:
    told = (_text(found.get(name)) for name in ("speed", "inference_geo"))
    return tuple(mode for mode in told if mode)


def _modalities(told: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in told if isinstance(told, list) else ():
        if isinstance(each, dict) and (kind := _text(each.get("modality"))) in _MEDIA:
            counts[kind] = counts.get(kind, 0) + (first(each, "tokenCount") or 0)
    return counts


def _made(told: Mapping[str, Any], modes: tuple[str, ...]) -> UsageDetails | None:
    given = {name: value for name, value in told.items() if value}
    if told.get("cost") is not None:
        given["cost"] = told["cost"]
    return UsageDetails(**given, modes=modes) if given or modes else None


def _text(value: Any) -> str:
    return value.strip().lower() if isinstance(value, str) else ""


def _or(one: float | None, other: float | None) -> float | None:
    return other if one is None else one
