"""What a caller may see of a deployment: its parameters without credentials, its model's facts."""

from __future__ import annotations

from typing import Any

from ..call import Deployment
from ..live.snapshot import Snapshot
from ..providers.secrets import secrets_of
from ..redaction import PLACEHOLDER, redact_value
from .headers import api_base

_LEFT_OUT = frozenset(
    [
        "api_key",
        "client_secret",
        "vertex_credentials",
        "vertex_ai_credentials",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
    ]
)
_HEADERS = frozenset(["headers", "extra_headers"])

_ALWAYS_GIVEN = (
    "max_tokens",
    "max_input_tokens",
    "max_output_tokens",
    "input_cost_per_token",
    "output_cost_per_token",
    "litellm_provider",
    "mode",
    "supports_function_calling",
    "supports_parallel_function_calling",
    "supports_vision",
    "supports_response_schema",
    "supports_tool_choice",
    "supports_prompt_caching",
    "supports_reasoning",
    "supports_web_search",
    "supports_audio_input",
    "supports_audio_output",
    "supports_pdf_input",
    "supports_system_messages",
    "tpm",
    "rpm",
)
"""Fields of LiteLLM's `model_info` that stand there also when nothing is known: as null."""


def described(deployment: Deployment, name: str, snapshot: Snapshot) -> dict[str, Any]:
    """An entry of `/model/info`. name: the model group as clients ask for it."""
    facts = redact_value(dict(snapshot.facts_of(deployment)), secrets_of(deployment))
    info = {
        **dict.fromkeys(_ALWAYS_GIVEN),
        **facts,
        "id": deployment.id,
        "db_model": deployment.info.get("db_model") is True,
        "key": deployment.upstream_model,
    }
    info["litellm_provider"] = info["litellm_provider"] or deployment.provider or None
    return {"model_name": name, "litellm_params": shown_params(deployment), "model_info": info}


def shown_params(deployment: Deployment) -> dict[str, Any]:
    """`litellm_params` without anything secret; LiteLLM's proxy leaves the same ones out."""
    params = {name: value for name, value in deployment.params.items() if name not in _LEFT_OUT}
    for name in _HEADERS & params.keys():
        params[name] = dict.fromkeys(params[name] or {}, PLACEHOLDER)
    for name in ("api_base", "base_url"):
        if name in params:
            params[name] = api_base(deployment)
    shown: dict[str, Any] = redact_value(params, secrets_of(deployment))
    return shown
