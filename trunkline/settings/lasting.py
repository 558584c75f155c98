"""What of a configuration a running process can't change: it takes effect at the next start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .schema import Section, Settings

AT_START: Final[Mapping[str, tuple[str, ...]]] = {
    "general_settings": (
        "accounts",
        "database_url",
        "database_connection_pool_limit",
        "database_connection_timeout",
        "data_directory",
        "disable_spend_logs",
        "maximum_spend_logs_retention_period",
        "user_api_key_cache_ttl",
        "user_api_key_cache_max_size",
        "key_grace_seconds",
        "keep_alive_seconds",
    ),
    "router_settings": (
        "redis_host",
        "redis_port",
        "redis_username",
        "redis_password",
        "redis_db",
        "redis_ssl",
        "redis_url",
        "redis_failure",
    ),
    "litellm_settings": ("ssl_verify", "ssl_certificate"),
}
"""Of the database, of Redis, of the connections of clients and of those to providers."""

SALT: Final = "general_settings.salt_key"


def lasting(first: Settings, new: Settings) -> tuple[Settings, tuple[str, ...]]:
    """A configuration with what can't change as it was at the start, and the names of what would.

    first: the configuration that the process was started with.
    """
    update: dict[str, Any] = {}
    names: list[str] = []
    for section, keys in AT_START.items():
        was, now = getattr(first, section), getattr(new, section)
        changed = [key for key in keys if getattr(was, key) != getattr(now, key)]
        names += [f"{section}.{key}" for key in changed]
        if changed:
            update[section] = _with(now, {key: getattr(was, key) for key in changed})
    if _salt(first) != _salt(new) and first.general_settings.charges:
        names.append(SALT)
    if first.litellm_settings.calls_back("otel") != new.litellm_settings.calls_back("otel"):
        names.append("litellm_settings.callbacks: otel")
    if not first.general_settings.charges and new.general_settings.charges:
        # There is nothing to charge calls to, until the next start.
        names.append("general_settings.accounts")
        general = update.get("general_settings", new.general_settings)
        update["general_settings"] = _with(general, {"accounts": False})
    return new.model_copy(update=update), tuple(dict.fromkeys(names))


def _with(section: Section, values: Mapping[str, Any]) -> Section:
    return section.model_copy(update=values)


def _salt(settings: Settings) -> str | None:
    """What virtual keys are hashed with: also the master key, where nothing else is named."""
    general = settings.general_settings
    return general.salt_key or general.master_key
