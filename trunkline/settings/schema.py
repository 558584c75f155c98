"""What a configuration file may hold: LiteLLM's `config.yaml`, under LiteLLM's own key names.

    Settings
    ├── model_list             ModelEntry … litellm_params, model_info
    ├── credential_list        Credential: parameters that entries share by a name
    ├── search_tools           SearchTool … litellm_params
    ├── router_settings        RouterSettings
    ├── litellm_settings       LitellmSettings
    ├── general_settings       GeneralSettings: LiteLLM's keys and a few of our own
    └── environment_variables

A key without a value counts as absent. Keys that aren't named here are kept in `model_extra`.
"""

# Annotations aren't left for later: pydantic would compile each of them from its text.

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .fallbacks import Fallback, Fallbacks
from .known import PRIORITY
from .learned import LearnedArgs
from .strategies import BUILT_IN, LEARNED
from .values import (
    Amount,
    CertificateFile,
    Count,
    Dollars,
    Duration,
    Flag,
    FlagOrAuthorities,
    Headers,
    Identifier,
    Mapping,
    Name,
    Number,
    Order,
    Patterns,
    Seconds,
    Strategy,
    StrategyArgs,
    Text,
    TextOrTexts,
    Texts,
    Url,
    Variables,
    Whole,
    expected,
    one_of,
)

MEGABYTES = 100.0
"""The largest request body where the configuration names no limit."""


DERIVED = ("source", "secrets", "warnings")
"""Fields of `Settings` that a file can't set."""


class Section(BaseModel):
    """A mapping of the file.

    open: whether keys that the schema doesn't name are handed on rather than ignored.
    """

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())
    open: ClassVar[bool] = False

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # Values may be secrets, and representations end up in logs.
        return ((None, name) for name in sorted(self.model_fields_set))

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data


class ProviderParams(Section):
    """How a provider is called; LiteLLM's parameters and the provider's."""

    open: ClassVar[bool] = True

    api_key: Text | None = None
    api_base: Text | None = None
    base_url: Text | None = None
    api_version: Text | None = None
    organization: TextOrTexts | None = None
    timeout: Seconds | None = None
    request_timeout: Seconds | None = None
    stream_timeout: Seconds | None = None
    timeout_by_service_tier: dict[str, Seconds] | None = None
    stream_timeout_by_service_tier: dict[str, Seconds] | None = None
    max_retries: Count | None = None
    num_retries: Count | None = None
    rpm: Count | None = None
    tpm: Count | None = None
    weight: Amount | None = None
    order: Whole | None = None
    max_parallel_requests: Count | None = None
    cooldown_time: Seconds | None = None
    max_budget: Dollars | None = None
    budget_duration: Duration | None = None
    tags: Texts | None = None
    tag_regex: Patterns | None = None
    extra_headers: Headers | None = None
    headers: Headers | None = None
    extra_body: Mapping | None = None
    drop_params: Flag | None = None
    additional_drop_params: Texts | None = None
    merge_reasoning_content_in_choices: Flag | None = None
    input_cost_per_token: Dollars | None = None
    output_cost_per_token: Dollars | None = None
    input_cost_per_second: Dollars | None = None
    output_cost_per_second: Dollars | None = None
    cache_read_input_token_cost: Dollars | None = None
    cache_creation_input_token_cost: Dollars | None = None
    output_cost_per_reasoning_token: Dollars | None = None
    max_tokens: Count | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    aws_region_name: Text | None = None
    aws_role_name: Text | None = None
    aws_session_name: Text | None = None
    aws_access_key_id: Text | None = None
    aws_secret_access_key: Text | None = None
    aws_session_token: Text | None = None
    vertex_project: Text | None = None
    vertex_location: Text | None = None
    enable_azure_ad_token_refresh: Flag | None = None


class LitellmParams(ProviderParams):
    """How a deployment is called.

    lane: ours; "litellm" keeps the deployment's calls off the direct lane.
    """

    model: Name
    custom_llm_provider: Name | None = None
    litellm_credential_name: Name | None = None
    lane: Annotated[str, one_of("auto", "direct", "litellm")] | None = None


class AllowedFailsPolicy(Section):
    """Failures a minute that don't cool a deployment, by LiteLLM's error classes."""

    BadRequestErrorAllowedFails: Count | None = None
    AuthenticationErrorAllowedFails: Count | None = None
    TimeoutErrorAllowedFails: Count | None = None
    RateLimitErrorAllowedFails: Count | None = None
    ContentPolicyViolationErrorAllowedFails: Count | None = None
    InternalServerErrorAllowedFails: Count | None = None
    ServiceUnavailableErrorAllowedFails: Count | None = None
    BadGatewayErrorAllowedFails: Count | None = None
    NotFoundErrorAllowedFails: Count | None = None


class ModelInfo(Section):
    """What is known about a deployment's model; handed on in `/model/info`."""

    open: ClassVar[bool] = True

    id: Identifier | None = None
    mode: Text | None = None
    base_model: Text | None = None
    lane: Annotated[str, one_of("auto", "direct", "litellm")] | None = None
    max_tokens: Count | None = None
    max_input_tokens: Count | None = None
    max_output_tokens: Count | None = None
    input_cost_per_token: Dollars | None = None
    output_cost_per_token: Dollars | None = None
    cache_read_input_token_cost: Dollars | None = None
    cache_creation_input_token_cost: Dollars | None = None
    output_cost_per_reasoning_token: Dollars | None = None
    supports_vision: Flag | None = None
    supports_function_calling: Flag | None = None
    supports_response_schema: Flag | None = None
    order: Whole | None = None
    rpm: Count | None = None
    tpm: Count | None = None
    enable_tag_filtering: Flag | None = None
    allow_fail_open: Flag | None = None
    cooldown_time: Seconds | None = None
    allowed_fails: Count | None = None
    allowed_fails_policy: AllowedFailsPolicy | None = None
    access_groups: Texts | None = None


class ModelEntry(Section):
    """One entry of `model_list`: a deployment of a model group.

    missing: environment variables that the entry names and that are not set.
    """

    model_name: Name
    litellm_params: LitellmParams
    model_info: ModelInfo = ModelInfo()
    rpm: Count | None = None
    tpm: Count | None = None
    missing: tuple[str, ...] = ()


class CredentialValues(Section):
    open: ClassVar[bool] = True

    custom_llm_provider: Name | None = None
    api_key: Text | None = None
    api_base: Text | None = None
    base_url: Text | None = None
    api_version: Text | None = None
    organization: TextOrTexts | None = None


class Credential(Section):
    """Parameters that entries take by `litellm_credential_name`.

    missing: environment variables that it names and that are not set.
    """

    credential_name: Name
    credential_values: CredentialValues = CredentialValues()
    credential_info: Mapping = Field(default_factory=dict)
    missing: tuple[str, ...] = ()


class SearchParams(ProviderParams):
    """How a search tool is called."""

    search_provider: Name


class SearchToolInfo(Section):
    """What is told of a search tool in `/search/tools`."""

    open: ClassVar[bool] = True

    description: Text | None = None


class SearchTool(Section):
    """One entry of `search_tools`: a provider of searches. Those of one name share its calls.

    missing: environment variables that the entry names and that are not set.
    """

    search_tool_name: Name
    litellm_params: SearchParams
    search_tool_id: Identifier | None = None
    search_tool_info: SearchToolInfo = SearchToolInfo()
    missing: tuple[str, ...] = ()


class RetryPolicy(Section):
    """Retries by LiteLLM's error classes."""

    BadRequestErrorRetries: Count | None = None
    AuthenticationErrorRetries: Count | None = None
    TimeoutErrorRetries: Count | None = None
    RateLimitErrorRetries: Count | None = None
    ContentPolicyViolationErrorRetries: Count | None = None
    InternalServerErrorRetries: Count | None = None
    ServiceUnavailableErrorRetries: Count | None = None
    NotFoundErrorRetries: Count | None = None
    DefaultRetries: Count | None = None


class Alias(Section):
    """A model group under another name; `hidden` ones aren't listed."""

    model: Name
    hidden: Flag = False

    @model_validator(mode="before")
    @classmethod
    def _of_name(cls, data: Any) -> Any:
        if not isinstance(data, str | dict):
            raise expected("a model group, or a mapping with model and hidden")
        return {"model": data} if isinstance(data, str) else data


class RoutingGroup(Section):
    """Models that share a strategy; by the group's name, the deployments of all can be asked for.

    model_priorities: under `priority`, when each model is asked: the lowest first.
    """

    group_name: Name
    models: Texts
    routing_strategy: Annotated[str, one_of(*BUILT_IN, PRIORITY)]
    routing_strategy_args: StrategyArgs = Field(default_factory=dict)
    model_priorities: dict[str, Order] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.group_name == "default":
            raise expected("another group_name: default is the name of all other models")
        if self.routing_strategy != PRIORITY:
            if self.model_priorities:
                raise expected("model_priorities only with the routing_strategy priority")
        elif not self.models or sorted(self.models) != sorted(self.model_priorities):
            raise expected("model_priorities with each of the models, once")
        elif self.routing_strategy_args:
            raise expected("no routing_strategy_args with the routing_strategy priority")
        return self


class ProviderBudget(Section):
    """What may be spent at a provider, in dollars, and in which time ("1d"); for ever without."""

    budget_limit: Dollars | None = None
    max_budget: Dollars | None = None
    time_period: Duration | None = None
    budget_duration: Duration | None = None

    @property
    def limit(self) -> float | None:
        return self.max_budget if self.budget_limit is None else self.budget_limit

    @property
    def period(self) -> str | None:
        return self.time_period or self.budget_duration


class RouterSettings(Section):
    """How calls are led to deployments, and the Redis in which processes share what they count.

    redis_url: in the place of host, port and the like; `redis://`, `rediss://`, `unix://`, or
        `redis+sentinel://host:port,host:port/service` and `redis+cluster://host:port,host:port`.
    redis_failure: ours; what becomes of limits while Redis can't be reached: "local", each process
        enforces its share of them, or "deny", nothing is let through.
    """

    routing_strategy: Strategy = BUILT_IN[0]
    routing_strategy_args: StrategyArgs = Field(default_factory=dict)
    optional_pre_call_checks: Texts | None = None
    num_retries: Count | None = None
    retry_after: Seconds | None = None
    retry_policy: RetryPolicy | None = None
    model_group_retry_policy: dict[str, RetryPolicy] = Field(default_factory=dict)
    allowed_fails: Count | None = None
    allowed_fails_policy: AllowedFailsPolicy | None = None
    cooldown_time: Seconds | None = None
    disable_cooldowns: Flag = False
    fallbacks: list[Fallback] | None = None
    default_fallbacks: Fallbacks | None = None
    context_window_fallbacks: list[Fallback] | None = None
    content_policy_fallbacks: list[Fallback] | None = None
    max_fallbacks: Count | None = None
    timeout: Seconds | None = None
    stream_timeout: Seconds | None = None
    model_group_alias: dict[str, Alias] = Field(default_factory=dict)
    enable_tag_filtering: Flag = False
    tag_filtering_match_any: Flag = True
    tag_routing_prefix: Text = ""
    enable_pre_call_checks: Flag = False
    default_max_parallel_requests: Count | None = None
    enable_weighted_failover: Flag = False
    redis_host: Text | None = None
    redis_port: Count | None = None
    redis_username: Text | None = None
    redis_password: Text | None = None
    redis_db: Count | None = None
    redis_ssl: Flag = False
    redis_url: Text | None = None
    provider_budget_config: dict[str, ProviderBudget] = Field(default_factory=dict)
    redis_failure: Annotated[str, one_of("local", "deny")] = "local"
    routing_groups: tuple[RoutingGroup, ...] = ()
    default_litellm_params: ProviderParams = ProviderParams()

    @property
    def learned(self) -> LearnedArgs | None:
        """The arguments of a learned strategy; None under a built-in one."""
        if self.routing_strategy not in LEARNED:
            return None
        return LearnedArgs.of(self.routing_strategy_args)


class CacheParams(Section):
    """Where answers are kept: LiteLLM's `cache_params`.

    type: None for Redis where the configuration or the environment says where one is, else local.
    mode: `default_off` caches only what asks for it. ttl: seconds that an answer is kept.
    scope: who shares answers: calls of one key, of one user, of one team, or all.
    namespace: what keys begin with. redis_url: in the place of host, port and the like.
    """

    type: Annotated[str, one_of("local", "redis", "s3", "disk")] | None = None
    mode: Annotated[str, one_of("default_on", "default_off")] = "default_on"
    ttl: Seconds | None = None
    default_in_memory_ttl: Seconds | None = None
    default_in_redis_ttl: Seconds | None = None
    namespace: Text = "trunkline:answers"
    supported_call_types: Texts | None = None
    scope: Annotated[str, one_of("key", "user", "team", "global")] = "key"

    host: Text | None = None
    port: Count | None = None
    username: Text | None = None
    password: Text | None = None
    db: Count = 0
    ssl: Flag = False
    redis_url: Text | None = None

    s3_bucket_name: Text = ""
    s3_path: Text = ""
    s3_region_name: Text | None = None
    s3_endpoint_url: Url | None = None
    s3_aws_access_key_id: Text | None = None
    s3_aws_secret_access_key: Text | None = None
    s3_aws_session_token: Text | None = None
    s3_use_ssl: Flag = True
    s3_verify: FlagOrAuthorities | None = None

    disk_cache_dir: Name | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.type == "s3" and not self.s3_bucket_name:
            raise expected("an s3_bucket_name beside the type s3")
        return self


class KeyLimits(Section):
    """What keys get by default, or at most: LiteLLM's `upperbound_key_generate_params`."""

    max_budget: Dollars | None = None
    budget_duration: Duration | None = None
    duration: Duration | None = None
    max_parallel_requests: Count | None = None
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None


class KeyDefaults(KeyLimits):
    """What keys get that say nothing else: LiteLLM's `default_key_generate_params`."""

    user_id: Text | None = None
    team_id: Text | None = None
    models: Texts | None = None
    metadata: Mapping | None = None


class UserDefaults(Section):
    """What users get who aren't proxy admins: LiteLLM's `default_internal_user_params`."""

    user_role: (
        Annotated[str, one_of("internal_user", "internal_user_viewer", "proxy_admin_viewer")] | None
    ) = None
    max_budget: Dollars | None = None
    budget_duration: Duration | None = None
    models: Texts | None = None
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    max_parallel_requests: Count | None = None


class TeamDefaults(Section):
    """What teams get that say nothing else: LiteLLM's `default_team_params`."""

    max_budget: Dollars | None = None
    budget_duration: Duration | None = None
    models: Texts | None = None
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    organization_id: Text | None = None
    team_member_permissions: Texts | None = None


class KeyGeneration(Section):
    """Who may make keys, by their roles, and which fields they have to give."""

    allowed_user_roles: Texts | None = None
    allowed_team_member_roles: Texts | None = None
    required_params: Texts | None = None


class KeyGenerationSettings(Section):
    """Of keys that belong to a team, and of those that don't."""

    team_key_generation: KeyGeneration = KeyGeneration()
    personal_key_generation: KeyGeneration = KeyGeneration()


class LitellmSettings(Section):
    """Defaults for all models; from `ssl_verify` on, what LiteLLM's SDK is told."""

    num_retries: Count | None = None
    request_timeout: Seconds | None = None
    allowed_fails: Count | None = None
    cooldown_time: Seconds | None = None
    max_fallbacks: Count | None = None
    fallbacks: list[Fallback] | None = None
    default_fallbacks: Fallbacks | None = None
    context_window_fallbacks: list[Fallback] | None = None
    content_policy_fallbacks: list[Fallback] | None = None
    drop_params: Flag = False
    modify_params: Flag = False
    set_verbose: Flag = False
    json_logs: Flag = False
    callbacks: Texts = Field(default_factory=list)
    success_callback: Texts = Field(default_factory=list)
    failure_callback: Texts = Field(default_factory=list)
    require_auth_for_metrics_endpoint: Flag = True
    max_budget: Dollars | None = None
    budget_duration: Duration | None = None
    max_end_user_budget: Dollars | None = None
    default_key_generate_params: KeyDefaults = KeyDefaults()
    upperbound_key_generate_params: KeyLimits = KeyLimits()
    key_generation_settings: KeyGenerationSettings = KeyGenerationSettings()
    default_internal_user_params: UserDefaults = UserDefaults()
    max_internal_user_budget: Dollars | None = None
    default_max_internal_user_budget: Dollars | None = None
    internal_user_budget_duration: Duration | None = None
    default_team_params: TeamDefaults = TeamDefaults()
    cache: Flag = False
    cache_params: CacheParams = CacheParams()
    enable_caching_on_provider_specific_optional_params: Flag = False

    ssl_verify: FlagOrAuthorities | None = None
    ssl_certificate: CertificateFile | None = None
    ssl_security_level: Text | None = None
    ssl_ecdh_curve: Text | None = None
    force_ipv4: Flag | None = None
    disable_aiohttp_transport: Flag | None = None
    aiohttp_trust_env: Flag | None = None
    user_url_validation: Flag | None = None
    user_url_allowed_hosts: Texts | None = None
    enable_preview_features: Flag | None = None
    vertex_project: Text | None = None
    vertex_location: Text | None = None
    vertex_ai_safety_settings: Any = None
    organization: Text | None = None
    add_function_to_prompt: Flag | None = None
    disable_add_transform_inline_image_block: Flag | None = None
    enable_json_schema_validation: Flag | None = None
    use_chat_completions_url_for_anthropic_messages: Flag | None = None
    reasoning_auto_summary: Flag | None = None
    enable_azure_ad_token_refresh: Flag = False

    def calls_back(self, name: str) -> bool:
        """Whether a callback is among those that are asked for."""
        return name in {*self.callbacks, *self.success_callback, *self.failure_callback}


class PassThroughEndpoint(Section):
    """A path that is handed on to another server as it comes."""

    id: Identifier | None = None
    path: Name
    target: Url
    headers: Headers = Field(default_factory=dict)
    default_query_params: Headers = Field(default_factory=dict)
    forward_headers: Flag = False
    include_subpath: Flag = False
    auth: Flag = True
    methods: Texts | None = None
    timeout: Seconds | None = None
    cost_per_request: Dollars | None = None


class KeyManagement(Section):
    """Which secrets hold what `os.environ/NAME` stands for: LiteLLM's `key_management_settings`.

    hosted_keys: the names that are looked for; all that the environment hasn't, without it.
    primary_secret_name: the secret whose JSON object holds them; without it each is the name of a
        secret. access_mode: nothing is read under `write_only`. aws_region_name: where they are.
    """

    hosted_keys: Texts | None = None
    primary_secret_name: Name | None = None
    access_mode: Annotated[str, one_of("read_only", "write_only", "read_and_write")] = "read_only"
    aws_region_name: Name | None = None


class VertexAccount(Section):
    """The project of Vertex AI that requests are passed on to, and its credentials."""

    open: ClassVar[bool] = True

    vertex_project: Text | None = None
    vertex_location: Text | None = None


class GeneralSettings(Section):
    """LiteLLM's keys, then ours.

    allow_unauthenticated: serve without a master key on addresses that others can reach.
    stream_heartbeat_seconds: silence after which a stream carries a comment.
    drain_seconds: how long calls may go on after the gateway was told to stop.
    keep_alive_seconds: how long a connection may be silent before a request, and its headers take:
        longer than a load balancer keeps its own, which otherwise sends requests into closed ones.
    bundle_public_keys: whose signatures of bundles are accepted, each as PEM, as base64 or as a
        file of either; any bundle where there are none.
    bundle_size_limit_mb: the largest bundle that is read.
    routing_records: keep what learned strategies decide, and feedback, for training.
    store_prompts_in_spend_logs: LiteLLM's switch for keeping prompts; off, embeddings are kept.
    data_directory: where files are kept that outlive the process.
    accounts: whether calls are charged to anybody: off, there are no virtual keys, no budgets and
        no ledger.
    database_url: of PostgreSQL; a file of SQLite in the data directory where there is none.
    database_connection_pool_limit: connections that a process opens to it, at most.
    database_connection_timeout: seconds that a call waits for one of them.
    salt_key: what keys are hashed and stored credentials sealed with; the master key where there
        is none.
    disable_spend_logs: keep no row of each call, only sums.
    maximum_spend_logs_retention_period: how long rows of calls are kept ("30d"); for ever without.
    user_api_key_cache_ttl: seconds for which a key that was looked up is good without looking.
    user_api_key_cache_max_size: keys that a process remembers.
    key_grace_seconds: how long a key that was looked up stays good while the database is away.
    budget_exceeded_status: what a call is answered with that a budget doesn't cover.
    key_management_system: where `os.environ/NAME` is looked for beside the environment.
    secrets_refresh_interval: seconds between looks at the secrets of AWS that are in use.
    config_hot_reload: take a changed configuration into service.
    config_reload_interval: seconds between looks at where it comes from.
    proxy_batch_polling_interval: seconds after which a provider is asked whether a batch has ended.
    cost_map_path: a price map to take in the place of LiteLLM's packaged one.
    default_output_tokens: tokens that a budget reserves for the answer of a call that states no
        maximum; without it, the most that its model can answer.
    """

    master_key: Name | None = None
    max_request_size_mb: Amount = MEGABYTES
    pass_through_endpoints: tuple[PassThroughEndpoint, ...] = ()
    pass_through_request_timeout: Seconds = 600.0
    enable_openai_websocket_passthrough: Flag = False
    health_check_concurrency: Count | None = None
    health_check_details: Flag = True
    health_check_skip_disabled_background_models: Flag = False

    allow_unauthenticated: Flag = False
    stream_heartbeat_seconds: Seconds = 15.0
    drain_seconds: Seconds = 30.0
    keep_alive_seconds: Seconds = 75.0
    bundle_public_keys: Texts = Field(default_factory=list)
    bundle_size_limit_mb: Amount = 256.0
    routing_records: Flag = False
    store_prompts_in_spend_logs: Flag = False
    data_directory: Name = ".trunkline"

    accounts: Flag = True
    database_url: Text | None = None
    database_connection_pool_limit: Count = 10
    database_connection_timeout: Seconds = 10.0
    salt_key: Text | None = None
    store_model_in_db: Flag = False
    global_max_parallel_requests: Count | None = None
    max_parallel_requests: Count | None = None
    enforce_user_param: Flag = False
    reject_clientside_metadata_tags: Flag = False
    allowed_routes: Texts | None = None
    admin_only_routes: Texts | None = None
    disable_spend_logs: Flag = False
    maximum_spend_logs_retention_period: Duration | None = None
    user_api_key_cache_ttl: Seconds = 10.0
    user_api_key_cache_max_size: Count = 10_000
    key_grace_seconds: Seconds = 3600.0
    budget_exceeded_status: Annotated[int, one_of(400, 402, 429)] = 400
    default_output_tokens: Count | None = None
    proxy_batch_polling_interval: Seconds = 3600.0
    cost_map_path: Text | None = None
    key_management_system: Text | None = None
    key_management_settings: KeyManagement = KeyManagement()
    secrets_refresh_interval: Seconds = 300.0
    config_hot_reload: Flag = False
    config_reload_interval: Seconds = 10.0

    @property
    def charges(self) -> bool:
        """Whether calls are charged: to keys, or into the ledger of a database that is named."""
        return self.accounts and bool(self.master_key or self.database_url)


class Settings(Section):
    """A whole configuration, with its includes merged and its references resolved.

    environment_variables: what the file wants set, also for LiteLLM; the caller exports them.
    source: the file. secrets: what the secret manager that it names has of it.
    warnings: what was found that doesn't keep the gateway from serving.
    """

    model_list: tuple[ModelEntry, ...] = ()
    credential_list: tuple[Credential, ...] = ()
    search_tools: tuple[SearchTool, ...] = ()
    router_settings: RouterSettings = RouterSettings()
    litellm_settings: LitellmSettings = LitellmSettings()
    general_settings: GeneralSettings = GeneralSettings()
    environment_variables: Variables = Field(default_factory=dict)
    default_vertex_config: VertexAccount = VertexAccount()
    source: Path = Path("config.yaml")
    secrets: dict[str, str] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """What the process's environment is to have beside its own."""
        return {**self.secrets, **self.environment_variables}
