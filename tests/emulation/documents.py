"""What the scenario uploads: configurations and bundles."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.bundles import knn_files
from trunkline.routing.bundles.writing import tar

SMALL, LARGE, ADDED, EMBEDDER = "small", "large", "added", "embedder"
COMMON = "m"
"""The group that `tests.support.traffic` calls."""

PROVIDER_KEY = "sk-of-the-emulated-secret"
_PRICE = 1e-6


def configuration(provider: str, bundles: str, *more: str) -> bytes:
    """Routes `auto` by the bundle in force.

    provider: the URL of a fake that speaks like OpenAI. bundles: a bucket. more: further groups.
    """
    names = (COMMON, SMALL, LARGE, EMBEDDER, *more)
    in_force = {"model_s3_bucket": bundles, "model_s3_key": "active.json"}
    return yaml.safe_dump(
        {
            "model_list": [_entry(name, provider) for name in names],
            "router_settings": {
                "routing_strategy": "llmrouter-knn",
                "routing_strategy_args": in_force,
            },
            "general_settings": {"config_hot_reload": True},
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
