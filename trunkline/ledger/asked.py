"""What a request says that its cost depends on, beside the tokens that the answer tells of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ..call import Call
from ..dataclass import dataclass

STANDARD_TIERS = frozenset({"default", "standard"})
"""Service tiers at the plain price. "auto" is none: it leaves the tier to the provider."""

_SIZE = re.compile(r"(\d{1,5})(?:x|-x-)(\d{1,5})")
_SEARCHES = ("web_search", "google_search", "googleSearch")
"""What types of tools that search the web begin with, or the names of Google's."""

FAL_SIZES: Mapping[str, tuple[int, int]] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
"""Names of fal.ai's sizes: https://docs.fal.ai/model-apis"""

MOST = 10_000
"""The largest count that a request is believed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for. The defaults are those of the APIs.

    operation: the operation's family ("images").
    tier: service tier, or `levels.BATCHES`; empty where none is asked for.
    images: how many. size: width and height. quality: their name ("hd").
    resolution: of a video ("720p"). seconds: its length; None where it isn't said.
    characters: of a text to be spoken. took: seconds that the provider took to answer.
    queries: of a web search. results: it may bring. documents: to be ranked.
    context: how much of what it finds on the web the model reads ("low", "medium", "high").
    searches: of the web, that it may make; 0 where it may make none.
    modes: of serving that have a price ("fast", "us").
    """

    operation: str = "chat"
    tier: str = ""
    images: int = 1
    size: tuple[int, int] | None = None
    quality: str = ""
    resolution: str = ""
    seconds: float | None = None
    characters: int = 0
    took: float | None = None
    queries: int = 1
    results: int = 10
    documents: int = 0
    context: str = ""
    searches: int = 0
    modes: tuple[str, ...] = ()


PLAIN = Asked()
"""What a chat asks for that says nothing of it."""

_TELLING = frozenset({"service_tier", "web_search_options", "tools", "speed", "inference_geo"})
"""Fields of the bodies of chats that a cost may depend on."""


def asked_of(call: Call, *, timed: bool = False) -> Asked | None:
    """What a call asks for; None where the tokens tell all.

    timed: whether the seconds matter that the provider took.
    """
    body, family = call.body, _family(call.operation.name)
    read = _READERS.get(family)
    if read is not None:
        return read(body)
    took = call.attempts[-1].seconds if timed and call.attempts else None
    if took is None and _TELLING.isdisjoint(body):
        return _DECISIONS if family == "decisions" else None
    return Asked(
        operation=family,
        tier=_text(body.get("service_tier")).lower(),
        took=took,
        context=_context(body),
        searches=_searches(body),
        modes=tuple(_text(body[name]) for name in ("speed", "inference_geo") if body.get(name)),
    )


@lru_cache(maxsize=512)
def _family(operation: str) -> str:
    return operation.partition(".")[0]


_DECISIONS = Asked(operation="decisions")


def _images(body: Mapping[str, Any]) -> Asked:
    quality = _text(body.get("quality"))
    if _count(body.get("steps"), 0) > 50:
        quality = "max-steps"  # what Bedrock charges more for
    return Asked(
        operation="images",
        images=_count(body.get("n") or body.get("num_images"), 1),
        size=_size(body),
        quality="" if quality == "auto" else quality,
        resolution=str(body.get("resolution") or ""),
    )


def _videos(body: Mapping[str, Any]) -> Asked:
    size = _size(body)
    resolution = _text(body.get("resolution")).lower() or (f"{min(size)}p" if size else "")
    told = _number(body.get("seconds", body.get("duration")))
    return Asked(operation="videos", seconds=told, resolution=resolution)


def _speech(body: Mapping[str, Any]) -> Asked:
    return Asked(operation="speech", characters=len(_text(body.get("input"))))


def _rerank(body: Mapping[str, Any]) -> Asked:
    documents = body.get("documents")
    return Asked(operation="rerank", documents=len(documents) if isinstance(documents, list) else 0)


def _search(body: Mapping[str, Any]) -> Asked:
    query = body.get("query")
    return Asked(
        operation="search",
        queries=max(1, len(query)) if isinstance(query, list) else 1,
        results=_count(body.get("max_results"), 10),
    )


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Asked]] = {
    "images": _images,
    "videos": _videos,
    "speech": _speech,
    "transcriptions": lambda body: Asked(operation="transcriptions"),
    "translations": lambda body: Asked(operation="transcriptions"),
    "rerank": _rerank,
    "search": _search,
    "ocr": lambda body: Asked(operation="ocr"),
}


def _context(body: Mapping[str, Any]) -> str:
    """How much a search of the web may bring: of a chat, else of a response's tool."""
    options = [body.get("web_search_options"), *_search_tools(body)]
    sizes = (each.get("search_context_size") for each in options if isinstance(each, dict))
    return next((size for size in sizes if isinstance(size, str)), "")


def _searches(body: Mapping[str, Any]) -> int:
    tools = _search_tools(body)
    uses = sum(_count(tool.get("max_uses"), 1) for tool in tools)
    return uses + (isinstance(body.get("web_search_options"), dict))


def _search_tools(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    tools = body.get("tools")
    return [
        tool
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict)
        and (
            _text(tool.get("type")).startswith(_SEARCHES) or any(name in tool for name in _SEARCHES)
        )
    ]


def _size(body: Mapping[str, Any]) -> tuple[int, int] | None:
    told = body.get("size") or body.get("image_size")
    if isinstance(told, dict):
        width, height = _count(told.get("width"), 0), _count(told.get("height"), 0)
        return (width, height) if width and height else None
    if not isinstance(told, str):
        return None
    match = _SIZE.fullmatch(told)
    return (int(match[1]), int(match[2])) if match else FAL_SIZES.get(told)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any, default: int) -> int:
    """A count; multipart forms hold it as text."""
    number = _number(value)
    return default if number is None or number < 1 else min(int(number), MOST)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None
