"""The providers that the direct lane speaks to, one row each.

A provider stands here only for operations whose requests LiteLLM would send byte for byte the same
in meaning; `tests/integration/test_lane_parity.py` proves it. `rewritten` names the request's
fields that LiteLLM renames, drops or converts for the provider: a call that carries one takes the
litellm lane.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..call import Wire

CHAT = frozenset({"chat"})
TEXT = CHAT | {"completions", "embeddings"}
AZURE = TEXT | frozenset(
    "assistants batches files fine_tuning images responses speech threads transcriptions"
    " translations vector_stores".split()
)
OPENAI = AZURE | {"containers", "moderations", "uploads", "videos"}


@dataclass(frozen=True, slots=True)
class Provider:
    """How a provider is reached on its own wire.

    base: base URL, used when neither the deployment nor `base_env` names another.
    base_env, key_env: environment variables that LiteLLM reads for the provider, in its order.
    auth: the header that carries the key; `authorization` takes it as a bearer token.
    operations: names of the operations that are direct, or of whole families ("files" stands for
        all whose names begin with "files.").
    unmodelled: operations that Azure serves outside of its deployments, though they name a model.
    converting: operations to which `rewritten` applies.
    rewritten: fields of the request that LiteLLM doesn't hand on as they are.
    reasoning: pattern of models whose `reasoning_rewritten` fields LiteLLM converts too.
    stream_usage: whether the provider takes `stream_options.include_usage`.
    headers: headers that every request carries.
    """

    wire: Wire
    base: str
    base_env: tuple[str, ...]
    key_env: tuple[str, ...]
    auth: Literal["authorization", "x-api-key", "api-key", "x-goog-api-key"] = "authorization"
    operations: frozenset[str] = CHAT
    unmodelled: frozenset[str] = frozenset()
    converting: frozenset[str] = CHAT
    rewritten: frozenset[str] = frozenset()
    reasoning: re.Pattern[str] | None = None
    reasoning_rewritten: frozenset[str] = frozenset()
    stream_usage: bool = True
    headers: tuple[tuple[str, str], ...] = ()


_REASONING = re.compile(r"(?:^|/)(?:o\d|gpt-5)")
_REASONING_FIELDS = frozenset(
    {"max_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs"}
)

PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider(
        Wire.OPENAI,
        "https://api.openai.com/v1",
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        ("OPENAI_API_KEY",),
        operations=OPENAI,
        reasoning=_REASONING,
        reasoning_rewritten=_REASONING_FIELDS,
    ),
    "azure": Provider(
        Wire.OPENAI,
        "",
        ("AZURE_API_BASE",),
        ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
        auth="api-key",
        operations=AZURE,
        unmodelled=frozenset({"responses"}),
        reasoning=_REASONING,
        reasoning_rewritten=_REASONING_FIELDS,
    ),
    "hosted_vllm": Provider(
        Wire.OPENAI,
        "",
        ("HOSTED_VLLM_API_BASE",),
        ("HOSTED_VLLM_API_KEY",),
    ),
    "anthropic": Provider(
        Wire.ANTHROPIC,
        "https://api.anthropic.com",
        ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
        ("ANTHROPIC_API_KEY",),
        auth="x-api-key",
        operations=frozenset({"messages"}),
        headers=(("anthropic-version", "2023-06-01"),),
    ),
    "gemini": Provider(
        Wire.GOOGLE,
        "https://generativelanguage.googleapis.com/v1beta",
        ("GEMINI_API_BASE",),
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        auth="x-goog-api-key",
        operations=frozenset({"generate_content", "stream_generate_content"}),
    ),
}
