"""Which calls have the same answer: a digest of all that decides it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from ..call import Call, Wire

_NO_PART = frozenset(
    {"metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
)
"""Fields of a request that no answer depends on."""
_HEADERS = ("openai-beta", "anthropic-beta", "anthropic-version")
"""What a client's headers tell the provider."""

_SHARED = """
    model user seed temperature top_p n stop stream stream_options max_tokens logprobs
    presence_penalty frequency_penalty logit_bias
""".split()
_OPENAI = {
    "chat": frozenset(
        [
            *_SHARED,
            *"""
            messages top_logprobs max_completion_tokens response_format tools tool_choice
            parallel_tool_calls functions function_call reasoning_effort verbosity modalities audio
            prediction service_tier store web_search_options
            """.split(),
        ]
    ),
    "completions": frozenset([*_SHARED, *"prompt suffix best_of echo".split()]),
    "embeddings": frozenset("model input encoding_format dimensions user".split()),
    "responses": frozenset(
        [
            *_SHARED,
            *"""
            input instructions include max_output_tokens max_tool_calls parallel_tool_calls prompt
            reasoning service_tier store text tool_choice tools top_logprobs truncation
            """.split(),
        ]
    ),
    "rerank": frozenset(
        """
        model query documents top_n rank_fields return_documents max_chunks_per_doc
        max_tokens_per_doc
        """.split()
    ),
}
"""The parameters of OpenAI's operations; others are some provider's own."""


def is_specific(call: Call) -> bool:
    """Whether it has parameters that only some providers know."""
    known = _OPENAI.get(call.operation.name)
    if call.operation.wire is not Wire.OPENAI or known is None:
        return False
    return not known.issuperset(call.body.keys() - _NO_PART)


def digest(call: Call, tenant: str, body: Mapping[str, Any] | None = None) -> str | None:
    """Hex digest of what a call asks; None where its body can't be compared.

    tenant: who may share its answer. body: in the place of the call's.
    """
    fields = call.body if body is None else body
    asked = {
        "tenant": tenant,
        "namespace": call.caching.namespace,
        "operation": call.operation.name,
        "group": call.group,
        "stream": call.stream,
        "body": {name: value for name, value in fields.items() if name not in _NO_PART},
        "query": call.query,
        "headers": [call.headers.get(name) for name in _HEADERS],
        "tags": call.tags,
        "provider": call.provider,
        "cost_weight": call.cost_weight,
    }
    try:
        text = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers of more than 64 bits, lone surrogates
        return None
    return hashlib.sha256(text).hexdigest()
