"""Microsoft Entra's access tokens for Azure's deployments.

A deployment names an application and its secret, a user and a password, a token that it has
already, or the machine's own identity (`enable_azure_ad_token_refresh`). azure-identity is imported
with the first token that has to be fetched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

from ..errors import ErrorKind, ProviderError
from ..redaction import bounded
from . import failures
from .environment import ENVIRON
from .secrets import secrets_in

PROVIDERS = frozenset({"azure", "azure_ai", "azure_text"})
REFRESH = "enable_azure_ad_token_refresh"
USUAL_SCOPE = "https://cognitiveservices.azure.com/.default"

EARLY = 300.0
"""Seconds before its end in which a token is fetched anew."""
LONGEST_REASON = 400

PARAMETERS = frozenset(
    {
        "azure_ad_token",
        "azure_password",
        "azure_scope",
        "azure_username",
        "client_id",
        "client_secret",
        "tenant_id",
        REFRESH,
    }
)
_STATED = PARAMETERS - {"azure_scope"}
_APPLICATION = ("tenant_id", "client_id", "client_secret")
_VARIABLES = {
    "tenant_id": "AZURE_TENANT_ID",
    "client_id": "AZURE_CLIENT_ID",
    "client_secret": "AZURE_CLIENT_SECRET",
    "azure_username": "AZURE_USERNAME",
    "azure_password": "AZURE_PASSWORD",
    "azure_scope": "AZURE_SCOPE",
}

_ONCE = {"retry_total": 0, "connection_timeout": 10, "read_timeout": 30}
"""The gateway retries by itself."""


def is_stated(provider: str, params: Mapping[str, Any]) -> bool:
    """Whether a deployment names credentials of Entra's, and no key."""
    return (
        provider in PROVIDERS
        and not params.get("api_key")
        and any(params.get(name) for name in _STATED)
    )


def is_federated(params: Mapping[str, Any]) -> bool:
    """Whether the token is one of another issuer's, for which Entra gives its own."""
    return str(params.get("azure_ad_token") or "").startswith("oidc/")


class Tokens:
    """The tokens of one credential; calling it gives the current one, as LiteLLM wants it.

    credential: one of azure-identity's, or a token.
    """

    def __init__(self, credential: Any, scope: str) -> None:
        self._credential = credential
        self._scope = scope
        self._token = credential if isinstance(credential, str) else ""
        self._until = float("inf") if self._token else 0.0

    def __call__(self) -> str:
        """Blocks while the token is fetched, unless `fresh` was awaited before."""
        if not self._is_fresh():
            fetched = self._credential.get_token(self._scope)
            self._token, self._until = fetched.token, float(fetched.expires_on)
        return self._token

    async def fresh(self) -> str:
        """A token that is good for a while. Raises what azure-identity does."""
        return self() if self._is_fresh() else await asyncio.to_thread(self)

    def _is_fresh(self) -> bool:
        return time.time() < self._until - EARLY


async def tokens_of(provider: str, params: Mapping[str, Any]) -> Tokens:
    """The tokens of a deployment, with one that is good for a while. Raises ProviderError."""
    tokens = _tokens(*_credential(provider, params))
    try:
        await tokens.fresh()
    except Exception as error:
        raise _failure(error, provider, secrets_in(params)) from error
    return tokens


async def authorization(provider: str, params: Mapping[str, Any]) -> str:
    """The header that a deployment's credentials make. Raises ProviderError."""
    tokens = await tokens_of(provider, params)
    return f"Bearer {tokens()}"


def _credential(provider: str, params: Mapping[str, Any]) -> tuple[str, tuple[str, ...], str]:
    """azure-identity's class, what it is made of, and the scope. No class for a token.

    What a deployment leaves out may stand in the environment.
    """
    named = {
        name: str(params.get(name) or ENVIRON.get(variable) or "")
        for name, variable in _VARIABLES.items()
    }
    tenant, client, secret = (named[name] for name in _APPLICATION)
    user, password = named["azure_username"], named["azure_password"]
    scope = named["azure_scope"] or USUAL_SCOPE
    token = str(params.get("azure_ad_token") or "")
    if is_federated(params):
        raise refused(provider, "tokens of other issuers (oidc/…) can't be exchanged here")
    if token and not params.get("client_secret"):
        return "", (token,), scope
    if tenant and client and secret:
        return "ClientSecretCredential", (tenant, client, secret), scope
    if client and user and password:
        return "UsernamePasswordCredential", (client, user, password), scope
    if params.get(REFRESH):
        return "DefaultAzureCredential", (), scope
    missing = " and ".join(name for name in _APPLICATION if not named[name])
    raise refused(provider, f"{missing} missing")


@lru_cache(maxsize=256)
def _tokens(kind: str, parts: tuple[str, ...], scope: str) -> Tokens:
    if not kind:
        return Tokens(parts[0], scope)
    made = getattr(import_module("azure.identity"), kind)
    return Tokens(made(*parts, **_ONCE), scope)


def _failure(error: Exception, provider: str, secrets: tuple[str, ...]) -> ProviderError:
    known = import_module("azure.core.exceptions")
    if isinstance(error, known.ServiceRequestError | known.ServiceResponseError | OSError):
        return failures.unreachable(error)
    told = isinstance(error, known.ClientAuthenticationError)
    if isinstance(error, known.HttpResponseError) and not told:
        message = f"Microsoft Entra failed to give a token for {provider}"
        return failures.failure(ErrorKind.UNAVAILABLE, message)
    return refused(provider, bounded(str(error), LONGEST_REASON, secrets))


def refused(provider: str, reason: str) -> ProviderError:
    """The failure of credentials that give no token."""
    message = f"Microsoft Entra's credentials for {provider} could not be used: {reason}"
    return failures.failure(ErrorKind.AUTHENTICATION, message)
