"""The providers that the direct lane speaks to, one row each.

A provider stands here only for operations whose requests LiteLLM would send the same in meaning;
`tests/integration/test_lane_parity.py` proves it. A row names what LiteLLM renames, drops, refuses
or converts for the provider: fields of the request, and traits of its messages and tools (see
`traits.py`). A call that has any of it takes the litellm lane.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Literal

from ..call import Wire
from ..dataclass import dataclass

Names = frozenset[str]


def _names(text: str) -> Names:
    return frozenset(text.split())


CHAT = frozenset({"chat"})


@dataclass(frozen=True, slots=True)
class Conversion:
    """What LiteLLM converts in some requests.

    fields: fields of the request. traits: traits of its messages, tools or input (`traits.py`).
    operations: names of the operations that it concerns.
    models: pattern of the models' names, and of Azure's "api-version=…"; None for all.
    everything: such requests can't go directly at all.
    """

    fields: Names = frozenset()
    traits: Names = frozenset()
    operations: Names = CHAT
    models: re.Pattern[str] | None = None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Provider:
    """How a provider is reached on its own wire.

    base: base URL, used when neither the deployment nor `base_env` names another.
    base_env, key_env: environment variables that LiteLLM reads for the provider, in its order.
    base_ends: what a base URL ends in, where LiteLLM appends it to others.
    operations: names of the operations that are direct, or of whole families ("files" stands for
        all whose names begin with "files.").
    conversions: requests that are not direct all the same.
    added: fields that LiteLLM adds to every chat.
    auth: the header that carries the key; `authorization` takes it as a bearer token.
    stream_usage: whether LiteLLM asks the provider for `stream_options.include_usage`.
    unmodelled: families that Azure serves outside of its deployments, though they name a model.
    in_beta: families that are served only to those who say which version of the beta they speak.
    keyless: whether it may be asked without a key.
    headers: headers that every request carries.
    header_env: headers that environment variables fill, as LiteLLM and OpenAI's SDK have it.
    """

    wire: Wire
    base: str
    base_env: tuple[str, ...]
    key_env: tuple[str, ...]
    operations: Names = CHAT
    conversions: tuple[Conversion, ...] = ()
    added: Mapping[str, Any] = field(default_factory=dict)
    auth: Literal["authorization", "x-api-key", "api-key", "x-goog-api-key"] = "authorization"
    stream_usage: bool = True
    base_ends: str = ""
    unmodelled: Names = frozenset()
    in_beta: Names = frozenset()
    keyless: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    header_env: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_AZURE = _names(
    "chat embeddings assistants batches files fine_tuning images.generate images.edit responses"
    " speech threads transcriptions translations vector_stores"
)
_OPENAI = _AZURE | _names("completions containers images moderations uploads videos")

# Fields, by what LiteLLM does with them at many providers.
_UNUSUAL = _names("extra_body thinking verbosity")
_UNLIKE_OPENAI = _UNUSUAL | _names(
    "audio function_call functions modalities prediction prompt_cache_key reasoning_effort"
    " safety_identifier service_tier store web_search_options"
)
_LENGTH = _names("max_completion_tokens")
_LOGPROBS = _names("logit_bias logprobs top_logprobs")
_OPTIONS = _names("stream_options")
_PENALTIES = _names("frequency_penalty presence_penalty")
_TOOLS = _names("parallel_tool_calls tool_choice tools")

# Traits, the same.
_PLAIN = _names("developer image_address")
_COMPATIBLE = _PLAIN | _names("cache_control")
_FLAT = _COMPATIBLE | _names("parts")

# Models of OpenAI, also on Azure.
_REASONING = _names(
    "audio frequency_penalty logit_bias logprobs max_tokens modalities prediction presence_penalty"
    " stop temperature top_logprobs top_p web_search_options"
)
_GPT = r"gpt-?(?!35)"
_THINKING = rf"{_GPT}(?:[5-9]|\d\d)|(?:^|/)o\d"
_ASKED_ELSEWHERE = Conversion(
    models=re.compile(
        r"codex|-pro\b|deep-research|daybreak|gpt-5.*search|multi-agent|(?:^|/)responses/|_series/"
    ),
    everything=True,
)
"""Models whose chats LiteLLM asks for as responses, or in a way of their own."""
_OF_OPENAI = (
    _ASKED_ELSEWHERE,
    Conversion(_REASONING, models=re.compile(rf"{_GPT}(?:[5-9]|\d\d)")),
    Conversion(
        _TOOLS | _names("functions reasoning_effort"),
        models=re.compile(rf"{_GPT}(?:5[.-][4-9]|[6-9]|\d\d)"),
    ),
    Conversion(
        _names("extra_body reasoning"),
        operations=_names("responses"),
        models=re.compile(rf"^(?!.*(?:{_THINKING}))"),
    ),
    Conversion(
        _names("extra_body temperature top_p"),
        operations=_names("responses"),
        models=re.compile(_THINKING),
    ),
    Conversion(_names("dimensions extra_body"), operations=_names("embeddings")),
    Conversion(
        _names("extra_body response_format style"), operations=_names("images.generate images.edit")
    ),
)
_O_SERIES = _REASONING | _names("parallel_tool_calls verbosity")


def _compatible(
    base: str,
    variables: str,
    fields: Names = frozenset(),
    traits: Names = _COMPATIBLE,
    *conversions: Conversion,
    keys: str = "",
    unlike: Names = _UNLIKE_OPENAI,
    stream_usage: bool = True,
    added: Mapping[str, Any] = MappingProxyType({}),
    base_ends: str = "",
    keyless: bool = False,
) -> Provider:
    """The row of a provider that speaks OpenAI's chat.

    variables: what the names of its environment variables begin with. keys: the names of those
        with its key, where there are several. unlike: fields that it hasn't in common with OpenAI.
    """
    fields |= unlike if stream_usage else unlike | _OPTIONS
    return Provider(
        Wire.OPENAI,
        base,
        (f"{variables}_API_BASE",),
        tuple(keys.split()) or (f"{variables}_API_KEY",),
        conversions=(Conversion(fields, traits), *conversions),
        stream_usage=stream_usage,
        added=added,
        base_ends=base_ends,
        keyless=keyless,
    )


PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider(
        Wire.OPENAI,
        "https://api.openai.com/v1",
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        ("OPENAI_API_KEY",),
        _OPENAI,
        (
            Conversion(_UNUSUAL | {"reasoning_effort"}, _PLAIN),
            *_OF_OPENAI,
            Conversion(
                _O_SERIES, _names("cache_control system"), models=re.compile(r"(?:^|/)o\d")
            ),
            Conversion(_names("extra_body"), operations=_names("completions moderations speech")),
        ),
        in_beta=_names("assistants threads vector_stores"),
        header_env={
            "openai-organization": ("OPENAI_ORGANIZATION", "OPENAI_ORG_ID"),
            "openai-project": ("OPENAI_PROJECT_ID",),
        },
    ),
    "azure": Provider(
        Wire.OPENAI,
        "",
        ("AZURE_API_BASE",),
        ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
        _AZURE,
        (
            Conversion(
                _UNUSUAL | _names("reasoning_effort safety_identifier service_tier"), _PLAIN
            ),
            *_OF_OPENAI,
            Conversion(_O_SERIES, _names("cache_control system"), models=re.compile(r"o[134]")),
            Conversion(
                _names("response_format tool_choice"),
                models=re.compile(r"gpt-?3[.-]?5|api-version=(?:2023|2024-0[1-7])"),
            ),
            Conversion(
                _names("context_management"), _names("item_status"), _names("responses")
            ),
            Conversion(
                operations=_names("responses"), models=re.compile(r"o[134]"), everything=True
            ),
            Conversion(
                operations=_names("responses.compact responses.input_tokens"), everything=True
            ),
            Conversion(_names("extra_body"), operations=_names("speech")),
        ),
        auth="api-key",
        unmodelled=frozenset({"responses"}),
        in_beta=_names("assistants threads"),
    ),
    "anthropic": Provider(
        Wire.ANTHROPIC,
        "https://api.anthropic.com",
        ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
        ("ANTHROPIC_API_KEY",),
        frozenset({"messages", "messages.count_tokens"}),
        (
            Conversion(
                _names(
                    "context_management extra_body output_config output_format reasoning_effort"
                    " speed thinking"
                ),
                _names("empty_part server_results tool_search"),
                frozenset({"messages"}),
            ),
        ),
        auth="x-api-key",
        headers=(("anthropic-version", "2023-06-01"),),
    ),
    "gemini": Provider(
        Wire.GOOGLE,
        "https://generativelanguage.googleapis.com/v1beta",
        ("GEMINI_API_BASE",),
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        _names("count_tokens generate_content stream_generate_content"),
        (
            Conversion(
                _names("extra_body generation_config"),
                _names("response_schema"),
                _names("generate_content stream_generate_content"),
            ),
        ),
        auth="x-goog-api-key",
    ),
    "cerebras": _compatible(
        "https://api.cerebras.ai/v1", "CEREBRAS",
        _LENGTH | _LOGPROBS | _PENALTIES | _names("n parallel_tool_calls"), stream_usage=False,
    ),
    "deepinfra": _compatible(
        "https://api.deepinfra.com/v1/openai", "DEEPINFRA",
        _LENGTH | _LOGPROBS | _names("parallel_tool_calls seed tool_choice"),
        _COMPATIBLE | {"tool_parts"}, stream_usage=False,
    ),
    "deepseek": _compatible(
        "https://api.deepseek.com/beta", "DEEPSEEK", traits=_FLAT | {"custom_tools"}
    ),
    "friendliai": _compatible(
        "https://api.friendli.ai/serverless/v1", "FRIENDLI", _LENGTH,
        keys="FRIENDLIAI_API_KEY FRIENDLI_TOKEN",
    ),
    "groq": _compatible(
        "https://api.groq.com/openai/v1", "GROQ", _LENGTH | {"response_format"}
    ),
    "hosted_vllm": _compatible(
        "", "HOSTED_VLLM",
        traits=_COMPATIBLE | _names("assistant_parts custom_tools strict_tools"),
        unlike=_UNUSUAL, keyless=True,
    ),
    "hyperbolic": _compatible(
        "https://api.hyperbolic.xyz/v1", "HYPERBOLIC",
        _LENGTH | _LOGPROBS | {"parallel_tool_calls"}, stream_usage=False,
    ),
    "lambda_ai": _compatible("https://api.lambda.ai/v1", "LAMBDA", _LENGTH),
    "lm_studio": _compatible("", "LM_STUDIO", keyless=True),
    "meta_llama": _compatible(
        "https://api.llama.com/compat/v1", "LLAMA", frozenset({"response_format"})
    ),
    "mistral": _compatible(
        "https://api.mistral.ai/v1", "MISTRAL",
        _LENGTH | _LOGPROBS | _PENALTIES | _names("n parallel_tool_calls seed tool_choice"),
        _FLAT | _names("empty name reasoning_content refusal"), stream_usage=False,
        base_ends="/v1",
    ),
    "nebius": _compatible("https://api.studio.nebius.ai/v1", "NEBIUS", _LENGTH),
    "novita": _compatible("https://api.novita.ai/v3/openai", "NOVITA"),
    "nvidia_nim": _compatible(
        "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM", _LENGTH | _LOGPROBS | {"n"},
        _COMPATIBLE,
        Conversion(
            _PENALTIES | _TOOLS | _names("response_format seed stop"),
            models=re.compile("gemma|nemotron"),
        ),
        stream_usage=False,
    ),
    "openrouter": _compatible(
        "https://openrouter.ai/api/v1", "OPENROUTER", frozenset({"usage"}),
        keys="OPENROUTER_API_KEY OR_API_KEY", unlike=_UNUSUAL,
        added={"usage": {"include": True}},
    ),
    "perplexity": _compatible(
        "https://api.perplexity.ai", "PERPLEXITY",
        _LOGPROBS | _TOOLS | _names("n seed stop"),
        keys="PERPLEXITYAI_API_KEY PERPLEXITY_API_KEY", stream_usage=False,
    ),
    "sambanova": _compatible(
        "https://api.sambanova.ai/v1", "SAMBANOVA",
        _LENGTH | _LOGPROBS | _PENALTIES | _TOOLS | _names("n seed"), _FLAT,
    ),
    "together_ai": _compatible(
        "https://api.together.ai/v1", "TOGETHER_AI",
        keys="TOGETHER_API_KEY TOGETHER_AI_API_KEY TOGETHERAI_API_KEY TOGETHER_AI_TOKEN",
    ),
    "xai": _compatible(
        "https://api.x.ai/v1", "XAI", _LENGTH | _PENALTIES | {"stop"},
        _COMPATIBLE | _names("no_tools strict_tools"), _ASKED_ELSEWHERE,
    ),
}  # fmt: skip
