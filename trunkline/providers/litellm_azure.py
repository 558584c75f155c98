"""Azure's transcriptions under the version of its API that the deployment names.

LiteLLM asks for them under the version of the environment, or its default, whatever the deployment
says. It takes a client of OpenAI's SDK instead, and that one holds the version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Deployment
from .litellm_sdk import Sdk
from .target import Location, azure_version, location

_PROVIDERS = frozenset({"azure", "azure_ai"})


def transcription_arguments(
    sdk: Sdk, deployment: Deployment, provider: str, named: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments that name the version to LiteLLM's `atranscription`; none for other providers.

    named: the call's other arguments.
    """
    place = location(deployment)
    if provider not in _PROVIDERS or not place.base:
        return {}
    version = azure_version(deployment)
    if not version[:1].isdigit():
        return _undated(deployment, place)
    # Without a version too: LiteLLM keeps the clients that it is given, and hands them to calls
    # that give none.
    client = sdk.module.main.azure_audio_transcriptions.get_azure_openai_client(
        api_key=place.key,
        api_base=place.base,
        api_version=version,
        litellm_params=dict(named),
        _is_async=True,
        model=deployment.upstream_model,
    )
    return {"client": client}


def _undated(deployment: Deployment, place: Location) -> dict[str, Any]:
    """The next generation of Azure's API ("v1", "preview"), which is OpenAI's own."""
    if not place.key:
        return {}
    return {
        "model": f"openai/{deployment.upstream_model}",
        "api_base": f"{place.base}/openai/v1",
        "api_key": place.key,
    }
