"""LiteLLM's costs, asked directly: what `litellm.completion_cost` makes of answers of every kind.

Importing this imports LiteLLM, which takes seconds: let a module's fixture do it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from litellm.cost_calculator import (
    RealtimeAPITokenUsageProcessor,
    batch_cost_calculator,
    handle_realtime_stream_cost_calculation,
)
from litellm.llms.base_llm.ocr.transformation import OCRResponse, OCRUsageInfo
from litellm.types.rerank import RerankResponse
from litellm.types.utils import (
    ImageObject,
    ImageResponse,
    ImageUsage,
    ModelResponse,
    TranscriptionResponse,
    Usage,
)
from litellm.types.videos.main import VideoObject

litellm.suppress_debug_info = True

PROVIDERS = {"bedrock_converse": "bedrock"}


def provider_of(entry: Mapping[str, Any]) -> str:
    """Whom LiteLLM calls for an entry of its price map."""
    named = str(entry["litellm_provider"])
    return "vertex_ai" if named.startswith("vertex_ai") else PROVIDERS.get(named, named)


def usage_of(told: Mapping[str, Any]) -> Any:
    return Usage(**told)


def chat(
    model: str, entry: Mapping[str, Any], told: Mapping[str, Any], tier: str = "", context: str = ""
) -> float:
    options = {"web_search_options": {"search_context_size": context}} if context else None
    answer = ModelResponse(usage=usage_of(told), model=model)
    return float(
        litellm.completion_cost(
            completion_response=answer,
            model=model,
            custom_llm_provider=provider_of(entry),
            service_tier=tier or None,
            standard_built_in_tools_params=options,
        )
    )


def batch(model: str, entry: Mapping[str, Any], told: Mapping[str, Any]) -> float:
    provider = provider_of(entry)
    return sum(
        batch_cost_calculator(usage=usage_of(told), model=model, custom_llm_provider=provider)
    )


def realtime(model: str, entry: Mapping[str, Any], events: list[dict[str, Any]]) -> float:
    """A session of these events, each of which the provider said."""
    used = RealtimeAPITokenUsageProcessor.collect_and_combine_usage_from_realtime_stream_results(
        events
    )
    return float(
        handle_realtime_stream_cost_calculation(
            results=events,
            combined_usage_object=used,
            custom_llm_provider=provider_of(entry),
            litellm_model_name=model,
        )
    )


def images(
    model: str,
    entry: Mapping[str, Any],
    count: int,
    asked: Mapping[str, str],
    told: Mapping[str, Any] | None,
) -> float:
    kind = "image_edit" if entry["mode"] == "image_edit" else "image_generation"
    usage = ImageUsage(**told) if told else None
    answer = ImageResponse(created=1, data=[ImageObject(url="x")] * count, usage=usage)
    named = {"image_size": asked["size"]} if "size" in asked else {}
    return _cost(model, entry, kind, answer, n=count, optional_params={**asked, **named}, **asked)


def rerank(model: str, entry: Mapping[str, Any], meta: Mapping[str, Any]) -> float:
    return _cost(model, entry, "rerank", RerankResponse(id="x", results=[], meta=meta))


def ocr(model: str, entry: Mapping[str, Any], told: Mapping[str, Any]) -> float:
    answer = OCRResponse(pages=[], model=model, usage_info=OCRUsageInfo(**told))
    return _cost(model, entry, "ocr", answer)


def search(model: str, entry: Mapping[str, Any], queries: int, results: int) -> float:
    query = ["a"] * queries if queries > 1 else "a"
    asked = {"query": query, "max_results": results}
    return _cost(model, entry, "search", None, optional_params=asked)


def speech(model: str, entry: Mapping[str, Any], text: str) -> float:
    return _cost(model, entry, "speech", None, prompt=text)


def transcription(model: str, entry: Mapping[str, Any], seconds: float) -> float:
    answer = TranscriptionResponse(text="x")
    answer._hidden_params = {"audio_transcription_duration": seconds}
    return _cost(model, entry, "transcription", answer)


def transcription_in_tokens(model: str, entry: Mapping[str, Any], told: Any) -> float:
    answer = TranscriptionResponse(text="x")
    answer.usage = told  # type: ignore[attr-defined]
    return _cost(model, entry, "transcription", answer)


def video(model: str, entry: Mapping[str, Any], told: Mapping[str, Any]) -> float:
    answer = VideoObject(id="v", object="video", status="queued", usage=dict(told))
    return _cost(model, entry, "create_video", answer)


def _cost(model: str, entry: Mapping[str, Any], kind: str, answer: Any, **more: Any) -> float:
    return float(
        litellm.completion_cost(
            completion_response=answer,
            model=model,
            custom_llm_provider=provider_of(entry),
            call_type=kind,
            **more,
        )
    )
