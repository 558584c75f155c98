"""What LiteLLM is told for Azure beside a deployment's parameters: as whom to ask, and how.

Transcriptions: LiteLLM asks for them under the version of the environment, or its default, whatever
the deployment says. It takes a client of OpenAI's SDK instead, and that one holds the version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..call import Deployment
from . import entra
from .environment import AZURE_KEYS, AZURE_TOKENS, first_of, keep_azure_credentials
from .litellm_sdk import Sdk
from .target import Location, azure_version, location

_PROVIDERS = frozenset({"azure", "azure_ai"})
_AS_KEY = re.compile("^a(?:create_file|file_|[a-z]+_fine_tuning)")
"""Functions of LiteLLM's that take no tokens; in undated versions a token goes where a key does."""
_KEY_ONLY = re.compile("container")
"""Those that send a token where only a key may be."""
_OF_LITELLM = "agents/"
"""What the names of Foundry's agents begin with; LiteLLM makes their tokens from the parameters."""


async def authenticated(
    deployment: Deployment, provider: str, function: str, named: dict[str, Any]
) -> dict[str, Any]:
    """A call's arguments, with which LiteLLM asks Azure with the deployment's own credentials.

    Raises ProviderError when Entra gives no token.
    """
    if provider not in AZURE_KEYS:
        return named
    keep_azure_credentials()
    if named.get("api_key"):
        return named
    params = deployment.params
    if not entra.is_stated(provider, params):
        if key := first_of(AZURE_KEYS[provider]):
            return {**named, "api_key": key}
        params = {"azure_ad_token": first_of(AZURE_TOKENS)}
        if not params["azure_ad_token"]:
            return named
    if _KEY_ONLY.search(function):
        raise entra.refused(provider, "LiteLLM takes nothing but keys for this")
    if entra.is_federated(params) or deployment.upstream_model.startswith(_OF_LITELLM):
        return {"azure_ad_token": params.get("azure_ad_token"), **named}
    tokens = await entra.tokens_of(provider, params)
    # The others would stand in some requests' bodies.
    given = {name: value for name, value in named.items() if name not in entra.PARAMETERS}
    if _AS_KEY.search(function) and not azure_version(deployment)[:1].isdigit():
        given["api_key"] = tokens()
    return {**given, "azure_ad_token_provider": tokens}


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
