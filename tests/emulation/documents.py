"""What the scenario uploads: configurations and bundles."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.bundles import knn_files
from trunkline.routing.bundles.writing import tar

SMALL, LARGE, ADDED, EMBEDDER = "small", "large", "added", "embedder"
COMMON = "m"
"""The group that `tests.support.traffic` calls."""

INTERVAL = 2
"""Seconds between looks at what is in force, by those who weren't told."""

PROVIDER_KEY, CHANGED_KEY = "sk-of-the-emulated-secret", "sk-that-took-its-place"
_PRICE = 1e-6


def configuration(provider: str, bundles: str, *more: str) -> bytes:
    """Routes `auto` by the bundle in force.

    provider: the URL of a fake that speaks like OpenAI. bundles: a bucket. more: further groups.
    """
    names = (COMMON, SMALL, LARGE, EMBEDDER, *more)
    place = f"s3://{bundles}/active.json"
    in_force = {"model_path": place, "hot_reload": True, "reload_interval": INTERVAL}
    return yaml.safe_dump(
        {
            "model_list": [_entry(name, provider) for name in names],
            "router_settings": {
                "routing_strategy": "llmrouter-knn",
                "routing_strategy_args": in_force,
            },
            "general_settings": {
                "config_hot_reload": True,
                "config_reload_interval": INTERVAL,
                "routing_records": True,
                "secrets_refresh_interval": INTERVAL,
            },
        }
    ).encode()


def _entry(name: str, provider: str) -> dict[str, Any]:
    params = {
        "model": f"openai/{name}",
        "api_base": f"{provider}/v1",
        "api_key": "os.environ/OPENAI_API_KEY",
        "input_cost_per_token": _PRICE,
        "output_cost_per_token": _PRICE,
    }
    return {"model_name": name, "litellm_params": params}


def bundle(chosen: str, *, created: str = "2026-01-02") -> bytes:
    """One that chooses that model, whatever is asked."""
    return tar(knn_files({"a question": chosen, "another": chosen}, created=created))
