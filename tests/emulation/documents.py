"""What the scenario uploads: configurations and bundles."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.bundles import knn_files
from trunkline.routing.bundles.writing import tar

SMALL, LARGE, ADDED, EMBEDDER = "small", "large", "added", "embedder"
COMMON = "m"
"""The group that `tests.support.traffic` calls: of two models, among which bundles choose, too."""

INTERVAL = 2
"""Seconds between looks at what is in force, by those who weren't told."""

PROVIDER_KEY, CHANGED_KEY = "sk-of-the-emulated-secret", "sk-that-took-its-place"
_PRICE = 1e-6


def configuration(provider: str, bundles: str, *more: str) -> bytes:
    """Routes `auto` by the bundle in force.

    provider: the URL of a fake that speaks like OpenAI. bundles: a bucket. more: further groups.
    """
    entries = [_entry(name, name, provider) for name in (SMALL, LARGE, EMBEDDER, *more)]
    entries += [_entry(COMMON, name, provider) for name in (SMALL, LARGE)]
    place = f"s3://{bundles}/active.json"
    in_force = {"model_path": place, "hot_reload": True, "reload_interval": INTERVAL}
    return yaml.safe_dump(
        {
            "model_list": entries,
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


def _entry(group: str, model: str, provider: str) -> dict[str, Any]:
    params = {
        "model": f"openai/{model}",
        "api_base": f"{provider}/v1",
        "api_key": "os.environ/OPENAI_API_KEY",
        "input_cost_per_token": _PRICE,
        "output_cost_per_token": _PRICE,
    }
    info = {"llmrouter_name": model}
    return {"model_name": group, "litellm_params": params, "model_info": info}


def bundle(chosen: str, *, created: str) -> bytes:
    """One that chooses that model, whatever is asked."""
    return tar(knn_files({"a question": chosen, "another": chosen}, created=created))
