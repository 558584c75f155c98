"""Settings that LiteLLM takes in two places: `router_settings` wins over `litellm_settings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ..settings import Settings


def configured(settings: Settings, name: str, default: Any = None) -> Any:
    """The first value that is set for `name`; an empty list counts as unset, as in LiteLLM."""
    for section in (settings.router_settings, settings.litellm_settings):
        value = getattr(section, name, None)
        if value is not None and value not in ([], {}):
            return value
    return default


def as_mapping(value: Any) -> Mapping[str, Any]:
    """A section of the configuration as plain data."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_none=True)
    return value or {}
