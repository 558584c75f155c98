"""The arguments with which a call reaches a function of LiteLLM's.

The deployment's parameters come first, the client's fields over them, and what the gateway decides
over both. LiteLLM hands fields that it doesn't know on to the provider.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

from ..call import Call, Deployment, Timeouts, Upload, Wire
from .target import Location, location

MODEL_FUNCTIONS = frozenset(
    """
    acompletion atext_completion aembedding amoderation arerank adecisions asystemone
    aresponses acompact_responses anthropic_messages agenerate_content agenerate_content_stream
    interactions.acreate aimage_generation aimage_edit aimage_variation aspeech atranscription aocr
    avideo_generation acreate_fine_tuning_job
    """.split()
)
"""Functions that take a model; the others take the provider, whose objects they name."""

_LOCAL = frozenset(
    """
    model lane weight rpm tpm itpm otpm order tags tag_regex max_parallel_requests cooldown_time
    timeout stream_timeout request_timeout timeout_by_service_tier
    stream_timeout_by_service_tier max_retries num_retries retry_policy mock_response
    mock_tool_calls mock_timeout mock_delay model_info use_in_pass_through max_budget
    budget_duration configurable_clientside_auth_params default_api_key_rpm_limit
    default_api_key_tpm_limit cache caching_groups guardrails tiered_pricing search_provider
    max_file_size_mb keepalive_seconds litellm_credential_name enable_azure_ad_token_refresh
    """.split()
)
"""Parameters of a deployment that say how the gateway uses it."""

_IGNORED = frozenset(
    """
    model max_retries num_retries timeout request_timeout stream_timeout fallbacks
    disable_fallbacks tags cache guardrails no-log rpm tpm order weight ttl litellm_metadata
    litellm_trace_id litellm_session_id litellm_call_id
    """.split()
)
"""Fields of a request that are for the gateway, as far as they are still there."""

_REFUSING_MAX_RETRIES = frozenset({"gradient_ai"})
"""Providers for which LiteLLM takes `max_retries` for an unknown field of the request."""

_QUERY = frozenset({"after", "before", "limit", "order", "purpose", "filter", "variant", "include"})
"""Query parameters that LiteLLM's functions take."""

_ANTHROPIC_HEADERS = ("anthropic-version", "anthropic-beta")
_ANTHROPIC_PROVIDERS = "anthropic,bedrock,bedrock_mantle,vertex_ai"
_WITH_ANTHROPIC_HEADERS = frozenset({"acompletion", "anthropic_messages"})

_NUMBERS = {"n": int, "temperature": float, "seed": int, "partial_images": int}
"""Fields that are numbers to LiteLLM, and text in a multipart form."""

_STORING = frozenset({"openai", "azure"})
"""Providers that keep chats with their metadata."""

_READ_BASE_MODEL = frozenset({"aimage_generation"})
"""Functions that look for `base_model` beside `model_info` and not inside it."""

_WANTING_A_KEY = frozenset(
    """
    anthropic azure azure_text custom_openai gemini litellm_proxy openai perplexity
    text-completion-openai
    """.split()
)
"""Providers whose clients in LiteLLM don't start without a key, and send another header first."""

_USAGE_STREAMS = frozenset({"acompletion", "atext_completion"})

_TAKE_OPEN_FILES = frozenset(
    """
    aimage_edit aimage_variation avideo_generation avideo_edit avideo_extension
    avideo_create_character
    """.split()
)
"""Functions that take open files; the others take name, content and content type."""

_THOUGHT_SIGNATURE = "__thought__"


def arguments(
    call: Call, deployment: Deployment, provider: str, timeouts: Timeouts
) -> dict[str, Any]:
    """Keyword arguments for the operation's function, without its files.

    provider: LiteLLM's name for the deployment's provider.
    """
    function = call.operation.function
    named = _stated(deployment, function, provider)
    named |= _query(call)
    named |= call.path
    named.pop("provider", None)
    named |= {name: value for name, value in _fields(call).items() if name not in _IGNORED}
    named.pop("model", None)
    named |= _addressed(call, deployment, provider)
    place = location(deployment)
    if place.authorization:
        named |= _of_address(place, provider, named)
        named.pop("base_url", None)
    named["timeout"] = timeouts.idle if call.stream else timeouts.total
    if provider not in _REFUSING_MAX_RETRIES:
        named["max_retries"] = 0
    if call.stream and call.operation.wire is not Wire.GOOGLE:
        named["stream"] = True
    if call.stream and function in _USAGE_STREAMS:
        named["stream_options"] = {**_options(call), "include_usage": True}
    if function == "acompletion" and provider in _STORING and "metadata" in named:
        # LiteLLM would keep it for its own logs.
        named["extra_body"] = {"metadata": named.pop("metadata"), **(named.get("extra_body") or {})}
    if function in _WITH_ANTHROPIC_HEADERS:
        headers = {name: call.headers[name] for name in _ANTHROPIC_HEADERS if name in call.headers}
        if headers:
            named["provider_specific_header"] = {
                "custom_llm_provider": _ANTHROPIC_PROVIDERS,
                "extra_headers": headers,
            }
    return named


def wants_usage(call: Call) -> bool:
    """Whether the client of a stream asked for its usage."""
    return bool(_options(call).get("include_usage"))


def files(function: str, uploads: Iterable[Upload]) -> dict[str, Any]:
    """Uploads by their field, as a function takes files. Reads them from disk."""
    found: dict[str, Any] = {}
    for upload in uploads:
        upload.file.seek(0)
        content = upload.file.read()
        part: Any = (upload.filename, content, upload.content_type)
        if function in _TAKE_OPEN_FILES:
            part = io.BytesIO(content)
            part.name = upload.filename
        if upload.field in found:
            held = found[upload.field]
            found[upload.field] = [*(held if isinstance(held, list) else [held]), part]
        else:
            found[upload.field] = part
    return found


def has_thought_signatures(call: Call) -> bool:
    """Whether the messages carry signatures of Gemini's in the ids of tool calls.

    LiteLLM takes them out for other providers, in a step that needs its own logging.
    """
    messages = call.body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            continue
        if _THOUGHT_SIGNATURE in str(message.get("tool_call_id", "")):
            return True
        calls = message.get("tool_calls")
        for tool_call in calls if isinstance(calls, list) else ():
            if isinstance(tool_call, dict) and _THOUGHT_SIGNATURE in str(tool_call.get("id", "")):
                return True
    return False


def _stated(deployment: Deployment, function: str, provider: str) -> dict[str, Any]:
    """The deployment's parameters that are for LiteLLM."""
    named = {name: value for name, value in deployment.params.items() if not _is_local(name)}
    if provider == "azure" and function.startswith("avideo_"):
        # Only the undated version has videos, and LiteLLM would put their ids behind it.
        named.pop("api_version", None)
    return named


def _is_local(name: str) -> bool:
    return name in _LOCAL or "_cost" in name


def _fields(call: Call) -> Mapping[str, Any]:
    """The body's fields; those of a multipart form with their types and without brackets."""
    if call.operation.body != "multipart" or not (call.uploads or call.form):
        return call.body
    fields: dict[str, Any] = {}
    for name, value in call.body.items():
        plain = name.removesuffix("[]")
        fields[plain] = [value] if plain != name and not isinstance(value, list) else value
    for name, kind in _NUMBERS.items():
        if isinstance(fields.get(name), str):
            try:
                fields[name] = kind(fields[name])
            except ValueError:
                continue
    if isinstance(fields.get("stream"), str):
        fields["stream"] = fields["stream"].lower() == "true"
    return fields


def _addressed(call: Call, deployment: Deployment, provider: str) -> dict[str, Any]:
    """The arguments that say which model or which provider is asked."""
    function, asked = call.operation.function, call.body.get("model")
    if function == "asearch":
        return {"search_provider": deployment.params.get("search_provider") or provider}
    if function not in MODEL_FUNCTIONS:
        given = {"model": deployment.upstream_model if call.group else asked}
        return {"custom_llm_provider": provider} | (given if "model" in call.body else {})
    if call.operation.model == "own":
        named = {"model": deployment.upstream_model if call.group else asked}
        named["custom_llm_provider"] = provider
    else:
        named = {"model": deployment.model}
    return named | _model_info(function, deployment)


def _of_address(place: Location, provider: str, named: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for an address with a user and a password, which LiteLLM's clients don't take."""
    headers = {**(named.get("extra_headers") or {}), "Authorization": place.authorization}
    key = place.key or ("none" if provider in _WANTING_A_KEY else None)
    return {"api_base": place.base, "extra_headers": headers} | ({"api_key": key} if key else {})


def _model_info(function: str, deployment: Deployment) -> dict[str, Any]:
    """What is known of the deployment's model, as LiteLLM's router hands it on.

    LiteLLM reads there which model an opaque name stands for (`base_model`), for one.
    """
    info = deployment.info
    named: dict[str, Any] = {"model_info": dict(info)} if info else {}
    if function in _READ_BASE_MODEL and info.get("base_model"):
        named["base_model"] = info["base_model"]
    return named


def _query(call: Call) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    for name, value in call.query:
        plain = name.removesuffix("[]")
        if plain not in _QUERY:
            continue
        if plain == "include":
            taken.setdefault("include", []).append(value)
        else:
            taken[plain] = int(value) if plain == "limit" and value.isdecimal() else value
    return taken


def _options(call: Call) -> Mapping[str, Any]:
    options = call.body.get("stream_options")
    return options if isinstance(options, dict) else {}
