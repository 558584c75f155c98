"""A request can't choose where a call goes, with which credentials, or who is told of it."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.api.controls import FIELDS
from trunkline.settings.client_parameters import forbidden_parameter
from trunkline.settings.fallbacks import stand_in_of

pytestmark = pytest.mark.criterion("R11.1")

HARMLESS = frozenset(
    """
    additional_drop_params allowed_model_region allowed_openai_params azure
    assistant_continue_message cache client_side_timeout
    disable_add_transform_inline_image_block drop_params enable_json_schema_validation
    enable_prompt_caching ensure_alternating_roles fallbacks guardrails id itpm keepalive_seconds
    litellm_metadata litellm_session_id litellm_trace_id max_fallbacks max_retries
    merge_reasoning_content_in_choices metadata no-log num_retries order otpm completion_call_id
    request_timeout rpm stream_chunk_size stream_timeout stream_timeout_by_service_tier
    supports_system_message tags timeout timeout_by_service_tier tpm ttl use_chat_completions_api
    user_continue_message vector_store_id weight data_residency
    """.split()
)
"""LiteLLM's parameters that a client may send: the gateway takes them, the lane drops them, or they
only shape the request."""


@pytest.mark.parametrize(
    "name",
    [
        "api_base", "base_url", "api_key", "custom_llm_provider", "organization", "api_version",
        "aws_access_key_id", "aws_profile_name", "aws_bedrock_runtime_endpoint", "aws_role_name",
        "azure_ad_token", "azure_ad_token_provider", "vertex_credentials", "vertex_ai_project",
        "headers", "extra_headers", "callbacks", "success_callback", "langfuse_host", "logger_fn",
        "user_config", "model_list", "context_window_fallbacks", "mock_response", "mock_timeout",
        "input_cost_per_token", "litellm_params", "litellm_credential_name", "hf_model_name",
        "deployment_id", "model_info", "ssl_verify", "sagemaker_base_url", "_router_weights",
    ],
)  # fmt: skip
def test_what_configuration_decides_a_request_can_t(name: str) -> None:
    assert forbidden_parameter({"model": "m", "messages": [], name: "x"}) == name
    assert forbidden_parameter({"model": "m", "extra_body": {name: "x"}}) == f"extra_body.{name}"


@pytest.mark.parametrize("holder", ["metadata", "litellm_metadata"])
@pytest.mark.parametrize("name", ["api_base", "langfuse_host", "user_api_key_team_id", "api_key"])
def test_labels_carry_no_credentials(holder: str, name: str) -> None:
    assert forbidden_parameter({holder: {"mine": "x", name: "x"}}) == f"{holder}.{name}"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "m", "messages": [], "temperature": 0, "stream": True, "stream_options": {}},
        {"tools": [], "tool_choice": "auto", "response_format": {}, "logit_bias": {}, "user": "u"},
        {"reasoning_effort": "low", "service_tier": "auto", "prompt_cache_key": "k", "store": True},
        {"anthropic_version": "2023-06-01", "anthropic_beta": [], "thinking": {}, "top_k": 3},
        {"contents": [], "generationConfig": {}, "safetySettings": [], "cachedContent": "c"},
        {"metadata": {"project_id": "p", "session_id": "s", "azure_region": "x", "tags": []}},
        {"provider": {"order": []}, "extra_body": {"guided_json": {}}, "metadata": None},
        {"litellm_metadata": {"tags": ["a"]}, "litellm_trace_id": "t", "extra_body": "odd"},
    ],
)
def test_what_providers_take_is_let_through(body: dict[str, Any]) -> None:
    assert forbidden_parameter(body) is None


@given(st.dictionaries(st.text(max_size=20), st.none() | st.dictionaries(st.text(), st.none())))
def test_no_body_makes_it_fail(body: dict[str, Any]) -> None:
    refused = forbidden_parameter(body)
    assert refused is None or refused.partition(".")[0] in body or refused in body


def test_every_parameter_that_litellm_keeps_for_itself_is_refused_or_known_as_harmless() -> None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    from litellm.types.router import CredentialLiteLLMParams, GenericLiteLLMParams
    from litellm.types.utils import all_litellm_params

    known = {*all_litellm_params, *CredentialLiteLLMParams.model_fields}
    known |= GenericLiteLLMParams.model_fields.keys()
    let_through = {name for name in known if forbidden_parameter({name: 1}) is None}
    assert let_through - HARMLESS == set()
    assert known >= HARMLESS - {"additional_drop_params"}


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_no_control_of_a_request_reaches_a_provider_through_a_fallback(name: str) -> None:
    assert stand_in_of({"model": "m", name: 1, "seed": 1}).fields == {"seed": 1}
