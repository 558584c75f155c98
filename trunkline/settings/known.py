"""Settings of LiteLLM that are known and not supported yet, by section; "" is the top level.

A key leaves this list for the schema when something here reads it.
"""

from __future__ import annotations

from collections.abc import Mapping

LATER: Mapping[str, frozenset[str]] = {
    "": frozenset(
        """
        agent_list assistant_settings callback_settings files_settings
        finetune_settings mcp_servers mcp_tools prompts sandbox_tools
        vector_store_registry worker_registry
        """.split()
    ),
    "router_settings": frozenset(
        """
        alerting_config assistants_config cache_kwargs cache_responses
        caching_groups client_ttl debug_level default_priority
        deployment_affinity_ttl_seconds enable_health_check_routing
        guardrail_list health_check_ignore_transient_errors
        health_check_staleness_threshold ignore_invalid_deployments
        model_group_affinity_config plugins polling_interval
        router_general_settings set_verbose
        """.split()
    ),
    "litellm_settings": frozenset(
        """
        audit_log_callbacks aws_sqs_callback_params budget_reset_time
        cost_discount_config cost_margin_config custom_provider_map
        datadog_params default_team_settings disable_end_user_cost_tracking
        enable_redis_auth_cache forward_traceparent_to_llm_provider
        global_bitbucket_config global_gitlab_config global_prompt_directory
        key_alias_pattern langfuse_default_tags log_raw_request_response
        max_ui_session_budget mcp_aliases mcp_semantic_tool_filter
        model_group_settings presidio_logging_only priority_reservation
        priority_reservation_settings prometheus_initialize_budget_metrics
        prometheus_metrics_config public_model_groups public_model_groups_links
        redact_messages_in_exceptions redact_user_api_key_info responses
        s3_callback_params scim_admin_group scim_upsert_user service_callback
        store_audit_logs telemetry turn_off_message_logging
        websearch_interception_params
        """.split()
    ),
    "general_settings": frozenset(
        """
        admission_queue_timeout_seconds alert_to_webhook_url alert_type_config
        alert_types alerting alerting_args alerting_threshold
        allow_requests_on_db_unavailable always_include_stream_usage
        background_health_check_model_groups background_health_checks
        cancel_on_disconnect completion_model control_plane_url
        coordination_redis custom_key_generate custom_key_policy
        custom_key_update custom_sso custom_ui_sso_sign_in_handler database_args
        database_connect_timeout database_connection_pool_timeout
        database_disable_prepared_statements database_extra_connection_params
        database_max_idle_connection_lifetime database_socket_timeout
        database_type default_team_disabled disable_error_logs
        disable_prisma_schema_update disable_reset_budget
        disable_retry_on_max_parallel_request_limit_error disable_spend_updates
        enable_health_check_routing enable_public_model_hub
        forward_client_headers_to_llm_api forward_openai_org_id
        health_check_ignore_transient_errors health_check_interval
        health_check_staleness_threshold infer_model_from_keys
        litellm_key_header_name
        litellm_license max_batch_file_size_mb max_file_size_mb
        max_in_flight_requests_per_worker max_queued_requests_per_worker
        max_response_size_mb maximum_spend_logs_retention_interval
        model_list_healthy_only otel proxy_batch_write_at proxy_budget_rescheduler_max_time
        proxy_budget_rescheduler_min_time proxy_config_reload_interval_seconds
        spend_report_frequency supported_db_objects ui_access_mode
        use_azure_key_vault use_google_kms use_redis_transaction_buffer
        use_shared_health_check use_x_forwarded_for user_header_mappings
        user_header_name
        """.split()
    ),
}

PRIORITY = "priority"
"""The strategy of a routing group that asks its models one after another."""

CALLBACKS = frozenset({"otel", "prometheus"})
"""Callbacks that are supported."""

UNENFORCED: Mapping[str, frozenset[str]] = {
    "": frozenset({"guardrails", "policies", "policy_attachments"}),
    "litellm_settings": frozenset(
        """
        guardrails max_user_budget post_call_rules pre_call_rules
        """.split()
    ),
    "general_settings": frozenset(
        """
        allowed_file_extensions allowed_ips blocked_file_extensions custom_auth
        disable_custom_api_keys enable_jwt_auth enable_oauth2_auth
        enable_oauth2_proxy_auth enforce_fallback_model_access enforce_rbac
        enforced_params fail_closed_budget_enforcement
        fail_closed_rate_limit_enforcement litellm_jwtauth public_routes
        role_permissions service_account_settings
        """.split()
    ),
}
"""Those that restrict what callers may do: whoever relies on one must know that it isn't there."""

NOT_SHARED = frozenset(
    """
    model custom_llm_provider organization litellm_credential_name lane order weight rpm tpm
    max_parallel_requests tags tag_regex cooldown_time num_retries max_retries request_timeout
    metadata max_budget budget_duration
    """.split()
)
"""Parameters of a deployment that `default_litellm_params` can't give to all."""
