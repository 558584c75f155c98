"""Which fields of a request a client may not set.

LiteLLM takes its own controls, the provider's credentials and the provider's address from the same
keywords as the request's fields. What configuration decides, a request can't: a base URL would send
the deployment's key to the client's server, a callback would leave the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PROVIDERS = frozenset(
    """
    api_base base_url api_key apikey api_version api_type custom_endpoint endpoint_url
    deployment_url deployment_id organization custom_llm_provider headers extra_headers extra_query
    provider_specific_header provider_affinity_header ssl_verify use_ssl client client_id
    client_secret tenant_id account_id project_id workspace_id space_id region_name token
    access_token zen_api_key gemini_api_key google_api_key openai_api_key cohere_api_key
    flow_id use_psc_endpoint_format use_xai_oauth use_litellm_proxy use_in_pass_through
    follow_redirects secret_fields agentcore_runtime_session_id fireworks_forward_user_id
    anthropic-workspace-id databricks_user_agent provider_config secret_manager_settings
    """.split()
)
"""Where a provider is, who we are to it, and how we reach it."""

_CONTROLS = frozenset(
    """
    model_list model_info model_config model_alias_map model_file_id_mapping base_model user_config
    router_settings_override routing_strategy weights fallback_depth attempted_targets max_fallbacks
    context_window_fallbacks content_policy_fallbacks context_window_fallback_dict
    configurable_clientside_auth_params default_litellm_params
    callbacks success_callback failure_callback service_callback logger_fn input_callback
    standard_logging_object proxy_server_request complete_response stream_response async_call
    acompletion aembedding atext_completion aimg_generation text_completion allm_passthrough_route
    fastest_response shared_session use_client force_timeout verbose log_client_error_tracebacks
    turn_off_message_logging user_api_key_dict user_api_key_auth user_api_key_auth_metadata
    hf_model_name custom_prompt_dict initial_prompt_value final_prompt_value roles bos_token
    eos_token prompt_id prompt_variables prompt_version prompt_label prompt_environment
    cache_key preset_cache_key caching caching_groups max_budget budget_duration tiered_pricing
    output_vector_size silent_model search_tool_name max_file_size_mb retry_policy retry_strategy
    rust passthrough tag_regex enable_tag_filtering disable_global_guardrails
    disable_global_guardrail default_api_key_rpm_limit default_api_key_tpm_limit
    max_agentic_loops allow_client_keepalive_override max_parallel_requests cooldown_time
    bucket_name user_agent self cost_per_query cost_per_second
    """.split()
)
"""What LiteLLM keeps for itself: routing, callbacks, prompts out of templates, prices."""

_CALLBACKS = tuple(
    """
    arize_ braintrust_ dd_ gcs_ humanloop_ langfuse_ langsmith_ litellm_ lunary_ newrelic_ posthog_
    signoz_ slack_ user_api_key_ wandb_ weave_
    """.split()
)
_PREFIXES = (
    "_",
    *_CALLBACKS,
    *"""
    adaptive_router_ auto_router_ complexity_router_ quality_router_ mock_ regional_ bedrock_tags
    anthropic_disable_ anthropic_federation_ anthropic_identity_ anthropic_issuer_
    anthropic_keycloak_ anthropic_organization_ anthropic_service_account_ anthropic_workspace_
    openai_identity_ openai_service_account_
    aws_ azure_ gigachat_ milvus_ nvcf_ oci_ predibase_ s3_ sagemaker_ sap_ snowflake_ valkey_
    vertex_ watsonx_
    """.split(),
)

_ALLOWED = frozenset({"litellm_metadata", "litellm_trace_id", "litellm_session_id"})
"""Labels that LiteLLM's clients send along."""

_FORBIDDEN = _PROVIDERS | _CONTROLS

_NESTED = ("extra_body", "litellm_embedding_config")
"""Objects inside a request that LiteLLM reads as if their fields stood beside them."""

_LABELS = ("metadata", "litellm_metadata")
"""Objects with names of the client's choice, where only callbacks and addresses are refused."""

_REFUSED_LABELS = frozenset({"api_base", "base_url", "api_key", "headers", "extra_headers"})


def forbidden_parameter(body: Mapping[str, Any]) -> str | None:
    """The first field of a request that a client may not set, with its path; None when all is well.

    body: the decoded JSON object, or the plain fields of a multipart form.
    """
    for name in body:
        if _is_forbidden(name):
            return name
    for holder in _NESTED:
        if isinstance(held := body.get(holder), dict):
            for name in held:
                if _is_forbidden(name):
                    return f"{holder}.{name}"
    for holder in _LABELS:
        if isinstance(held := body.get(holder), dict):
            for name in held:
                if name in _REFUSED_LABELS or (
                    name.startswith(_CALLBACKS) and name not in _ALLOWED
                ):
                    return f"{holder}.{name}"
    return None


def _is_forbidden(name: str) -> bool:
    return (
        name in _FORBIDDEN
        or (name.startswith(_PREFIXES) and name not in _ALLOWED)
        or "_cost" in name
    )
