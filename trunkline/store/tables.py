"""The tables, under LiteLLM's names for their columns where it has them.

Their own names begin with `trunkline_`, so that they can stand in a database that others use.

    keys            virtual keys, by HMAC-SHA-256 of the key
    replaced_keys   those that others took the place of, while they are still good
    users           people and services who own keys
    teams           with members, who may have budgets of their own in it
    team_members
    organizations   hold teams
    organization_members
    customers       the `user` of calls: whom our users serve
    budgets         limits under a name, that keys, members, customers and organizations share
    tags            limits of what is tagged
    models          deployments that were added while the gateway ran; parameters sealed
    spend_logs      one row a call; on PostgreSQL partitioned by day
    spend_seen      their ids alone, for some days, where no rows are kept
    batches         what providers work at for hours: whose, and whether it was charged
    daily_spend     sums of them by day and who was charged; stay when the rows are dropped
    daily_tag_spend the same by tag
    routing_records on PostgreSQL, one row a call that a learned strategy routed
    routing_feedback the same for calls that somebody judged; a later judgement replaces an earlier

Money is in nano-dollars. `spend` is what was spent in the running period, or ever where there is
none; the ledger adds to it in the transaction that inserts the rows.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from .columns import Instant, Json

METADATA = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

_COUNT = BigInteger


def _text(name: str, **more: Any) -> Column[Any]:
    return Column(name, Text, nullable=False, server_default="", **more)


def _json(name: str, empty: str) -> Column[Any]:
    return Column(name, Json, nullable=False, server_default=text(f"'{empty}'"))


def _limits() -> list[Column[Any]]:
    """What may be limited of whom; none where null."""
    return [
        Column("max_budget", BigInteger),
        Column("soft_budget", BigInteger),
        Column("budget_duration", Text),
        Column("budget_reset_at", Instant),
        Column("rpm_limit", _COUNT),
        Column("tpm_limit", _COUNT),
        Column("max_parallel_requests", _COUNT),
        _json("model_max_budget", "{}"),
    ]


def _spend() -> Column[Any]:
    return Column("spend", BigInteger, nullable=False, server_default="0")


def _period() -> Column[Any]:
    """When the running period began: calls that started before don't count. Null for ever."""
    return Column("budget_started_at", Instant)


def _due(table: str) -> Index:
    """To find those whose period has ended; most rows have none."""
    exist = text("budget_reset_at IS NOT NULL")
    return Index(f"ix_{table}_due", "budget_reset_at", postgresql_where=exist, sqlite_where=exist)


def _kept() -> list[Column[Any]]:
    """When and by whom it was made and changed."""
    return [
        _json("metadata", "{}"),
        Column("created_at", Instant, nullable=False),
        _text("created_by"),
        Column("updated_at", Instant, nullable=False),
        _text("updated_by"),
    ]


keys = Table(
    "trunkline_keys",
    METADATA,
    Column("token", Text, primary_key=True),
    _text("key_name"),
    Column("key_alias", Text, unique=True),
    Column("user_id", Text, index=True),
    Column("team_id", Text, index=True),
    Column("organization_id", Text, index=True),
    Column("budget_id", Text, index=True),
    _json("models", "[]"),
    _json("aliases", "{}"),
    _json("config", "{}"),
    _json("permissions", "{}"),
    _json("allowed_routes", "[]"),
    Column("expires", Instant),
    Column("blocked", Boolean, nullable=False, server_default=text("false")),
    _text("blocked_by"),
    *_limits(),
    _json("model_rpm_limit", "{}"),
    _json("model_tpm_limit", "{}"),
    Column("temp_budget_increase", BigInteger),
    Column("temp_budget_expiry", Instant),
    _spend(),
    _period(),
    _due("trunkline_keys"),
    *_kept(),
    Column("last_active", Instant),
    # /key/list gives the latest first.
    Index("ix_trunkline_keys_latest", "created_at", "token"),
)

replaced_keys = Table(
    "trunkline_replaced_keys",
    METADATA,
    Column("token", Text, primary_key=True),
    Column("active_token", Text, nullable=False, index=True),
    Column("ends_at", Instant, nullable=False),
)

users = Table(
    "trunkline_users",
    METADATA,
    Column("user_id", Text, primary_key=True),
    Column("user_alias", Text),
    Column("user_email", Text, unique=True),
    Column("user_role", Text, nullable=False),
    Column("sso_user_id", Text),
    _json("models", "[]"),
    *_limits(),
    _spend(),
    _period(),
    _due("trunkline_users"),
    *_kept(),
    Index("ix_trunkline_users_latest", "created_at", "user_id"),
)

teams = Table(
    "trunkline_teams",
    METADATA,
    Column("team_id", Text, primary_key=True),
    Column("team_alias", Text),
    Column("organization_id", Text, index=True),
    _json("models", "[]"),
    _json("model_aliases", "{}"),
    _json("permissions", "[]"),
    Column("blocked", Boolean, nullable=False, server_default=text("false")),
    _text("blocked_by"),
    *_limits(),
    _json("model_rpm_limit", "{}"),
    _json("model_tpm_limit", "{}"),
    Column("team_member_budget_id", Text),
    _spend(),
    _period(),
    _due("trunkline_teams"),
    *_kept(),
    Index("ix_trunkline_teams_latest", "created_at", "team_id"),
)

team_members = Table(
    "trunkline_team_members",
    METADATA,
    Column("team_id", Text, nullable=False),
    Column("user_id", Text, nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("budget_id", Text),
    Column("budget_reset_at", Instant),
    _spend(),
    _period(),
    _due("trunkline_team_members"),
    PrimaryKeyConstraint("team_id", "user_id"),
)

organizations = Table(
    "trunkline_organizations",
    METADATA,
    Column("organization_id", Text, primary_key=True),
    _text("organization_alias"),
    Column("budget_id", Text),
    Column("budget_reset_at", Instant),
    _json("models", "[]"),
    _spend(),
    _period(),
    _due("trunkline_organizations"),
    *_kept(),
)

organization_members = Table(
    "trunkline_organization_members",
    METADATA,
    Column("organization_id", Text, nullable=False),
    Column("user_id", Text, nullable=False, index=True),
    Column("user_role", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "user_id"),
)

customers = Table(
    "trunkline_customers",
    METADATA,
    Column("user_id", Text, primary_key=True),
    Column("alias", Text),
    Column("blocked", Boolean, nullable=False, server_default=text("false")),
    Column("budget_id", Text),
    Column("budget_reset_at", Instant),
    Column("allowed_model_region", Text),
    Column("default_model", Text),
    _spend(),
    _period(),
    _due("trunkline_customers"),
    *_kept(),
)

budgets = Table(
    "trunkline_budgets", METADATA, Column("budget_id", Text, primary_key=True), *_limits(), *_kept()
)

tags = Table(
    "trunkline_tags",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("description", Text),
    Column("budget_id", Text),
    Column("budget_reset_at", Instant),
    _json("models", "[]"),
    _spend(),
    _period(),
    _due("trunkline_tags"),
    *_kept(),
)

spend_seen = Table(
    "trunkline_spend_seen",
    METADATA,
    # Calls that the sums hold already, where no rows are kept that would tell.
    Column("request_id", Text, primary_key=True),
    Column("started_at", Instant, nullable=False, index=True),
)

shared_spend = Table(
    "trunkline_shared_spend",
    METADATA,
    # Of what has no row of its own: "model:gpt-4o", "provider:openai", "key:3f9c…:model:gpt-4o".
    Column("counter", Text, primary_key=True),
    Column("period", BigInteger, primary_key=True),
    _spend(),
)

models = Table(
    "trunkline_models",
    METADATA,
    Column("model_id", Text, primary_key=True),
    Column("model_name", Text, nullable=False),
    # Sealed: the parameters hold credentials.
    Column("litellm_params", Text, nullable=False),
    _json("model_info", "{}"),
    *_kept(),
)

spend_logs = Table(
    "trunkline_spend_logs",
    METADATA,
    Column("request_id", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    _text("parent_id"),
    Column("ended_at", Instant, nullable=False),
    Column("first_byte_at", Instant),
    _text("api_key"),
    _text("key_alias"),
    _text("user_id"),
    _text("team_id"),
    _text("organization_id"),
    _text("end_user"),
    _json("request_tags", "[]"),
    _text("call_type"),
    _text("model_group"),
    _text("model"),
    _text("model_id"),
    _text("custom_llm_provider"),
    _text("api_base"),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("cache_creation_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("spend", BigInteger),
    Column("cache_hit", Boolean, nullable=False, server_default=text("false")),
    Column("stream", Boolean, nullable=False, server_default=text("false")),
    _text("status"),
    _text("error"),
    _text("strategy"),
    _text("bundle"),
    _text("trace_id"),
    _text("requester_ip_address"),
    _text("messages"),
    _text("response"),
    # The time belongs to the key because PostgreSQL partitions by it; a row that comes again has
    # the same time.
    PrimaryKeyConstraint("request_id", "started_at"),
    Index("ix_trunkline_spend_logs_latest", "started_at"),
    Index("ix_trunkline_spend_logs_of_key", "api_key", "started_at"),
    Index("ix_trunkline_spend_logs_of_user", "user_id", "started_at"),
    Index("ix_trunkline_spend_logs_of_team", "team_id", "started_at"),
    postgresql_partition_by="RANGE (started_at)",
)

batches = Table(
    "trunkline_batches",
    METADATA,
    # The provider's server, and its id of the batch.
    Column("place", Text, nullable=False),
    Column("batch_id", Text, nullable=False),
    # Of its row in spend_logs, and of the call that created it.
    _text("request_id"),
    _text("parent_id"),
    _text("account"),
    _text("model_id"),
    _text("model_group"),
    _text("api_key"),
    _text("key_alias"),
    _text("user_id"),
    _text("team_id"),
    _text("organization_id"),
    _text("end_user"),
    _json("request_tags", "[]"),
    _text("requester_ip_address"),
    _text("trace_id"),
    Column("created_at", Instant, nullable=False, index=True),
    # When the provider is to be asked for it, unless somebody has asked before.
    Column("due_at", Instant, nullable=False),
    # When it was first seen to have ended: the time of its row.
    Column("ended_at", Instant),
    Column("charged_at", Instant, index=True),
    PrimaryKeyConstraint("place", "batch_id"),
    Index(
        "ix_trunkline_batches_due",
        "due_at",
        postgresql_where=text("charged_at IS NULL"),
        sqlite_where=text("charged_at IS NULL"),
    ),
)


def _sums() -> list[Column[Any]]:
    counted = (
        *("prompt_tokens", "completion_tokens", "cached_tokens", "cache_creation_tokens"),
        *("spend", "api_requests", "successful_requests", "failed_requests"),
    )
    return [Column(name, BigInteger, nullable=False, server_default="0") for name in counted]


daily_spend = Table(
    "trunkline_daily_spend",
    METADATA,
    Column("date", Date, nullable=False),
    *(
        Column(name, Text, nullable=False)
        for name in (
            *("api_key", "user_id", "team_id", "organization_id", "end_user"),
            *("model_group", "model", "custom_llm_provider"),
        )
    ),
    *_sums(),
    PrimaryKeyConstraint(
        *("date", "api_key", "user_id", "team_id", "organization_id", "end_user"),
        *("model_group", "model", "custom_llm_provider"),
    ),
    Index("ix_trunkline_daily_spend_of_user", "user_id", "date"),
    Index("ix_trunkline_daily_spend_of_team", "team_id", "date"),
    Index("ix_trunkline_daily_spend_of_key", "api_key", "date"),
)

daily_tag_spend = Table(
    "trunkline_daily_tag_spend",
    METADATA,
    Column("date", Date, nullable=False),
    Column("tag", Text, nullable=False),
    Column("model_group", Text, nullable=False),
    *_sums(),
    PrimaryKeyConstraint("date", "tag", "model_group"),
)

routing_records = Table(
    "trunkline_routing_records",
    METADATA,
    Column("call_id", Text, primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    _text("strategy"),
    _text("bundle"),
    Column("query_text", Text),
    Column("embedding", LargeBinary),
    Column("embedder_sha256", Text),
    _text("user_id"),
    _text("model"),
    _text("deployment"),
    _text("group_name"),
    Column("scores", Text, nullable=False),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cost_nano", BigInteger),
    Column("latency_ms", Float, nullable=False),
    _text("status"),
)

routing_feedback = Table(
    "trunkline_routing_feedback",
    METADATA,
    Column("call_id", Text, primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    Column("score", Float, nullable=False),
    _text("comment"),
    _text("source"),
)
