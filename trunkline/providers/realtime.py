"""Where a deployment takes realtime sessions, and the WebSocket to it.

The protocol is OpenAI's, spoken over `…/realtime?model=`; Azure has it at two addresses, of which
clients of the beta get the older one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from yarl import URL

from ..call import Deployment
from ..dataclass import dataclass
from . import entra
from .catalog import PROVIDERS
from .client import aiohttp
from .mock_lane import is_mock
from .sockets import open_socket
from .target import location

BETA = ("openai-beta", "realtime=v1")

_SPEAKING = frozenset({"openai", "azure", "xai", "hosted_vllm", "litellm_proxy"})
_PATHLESS_INTENT = ("intent", "transcription")


@dataclass(frozen=True, slots=True)
class Session:
    """What a client asks for.

    query: parameters to hand on, without the model. beta: whether it speaks the beta's events.
    secret: the provider's own secret for the client, to ask with instead of our key.
    """

    query: Sequence[tuple[str, str]]
    beta: bool = False
    secret: str = ""


def takes_sessions(deployment: Deployment) -> bool:
    """Whether a deployment's provider has the realtime API."""
    return (
        deployment.provider in _SPEAKING
        and deployment.provider in PROVIDERS
        and not deployment.missing
        and not is_mock(deployment)
    )


async def connect(
    http: aiohttp.ClientSession, deployment: Deployment, session: Session, seconds: float
) -> aiohttp.ClientWebSocketResponse:
    """A session at a deployment. seconds: until it is open. Raises ProviderError."""
    url, headers = url_of(deployment, session), await headers_of(deployment, session)
    return await open_socket(http, url, headers, seconds, provider=deployment.provider)


def url_of(deployment: Deployment, session: Session) -> URL:
    """The address of a session; http in the scheme is what aiohttp upgrades from."""
    params = deployment.params
    base = base_of(deployment)
    model = [] if _PATHLESS_INTENT in session.query else [("model", deployment.upstream_model)]
    protocol = str(params.get("realtime_protocol") or ("beta" if session.beta else "GA"))
    if deployment.provider != "azure" or protocol.upper() in {"GA", "V1"}:
        return URL(f"{base}/realtime").with_query([*model, *session.query])
    version = str(
        params.get("api_version") or os.environ.get("AZURE_API_VERSION") or "2024-10-01-preview"
    )
    asked = [("api-version", version), ("deployment", deployment.upstream_model)]
    older = base.removesuffix("/v1")
    return URL(f"{older}/realtime").with_query([*asked, *session.query])


def base_of(deployment: Deployment) -> str:
    """The base URL of a deployment's realtime API, whose scheme is that of HTTP."""
    base = location(deployment).base or ""
    base = base.replace("wss://", "https://", 1).replace("ws://", "http://", 1)
    return base if deployment.provider != "azure" else f"{base.partition('/openai')[0]}/openai/v1"


async def headers_of(deployment: Deployment, session: Session) -> dict[str, str]:
    """The headers with which a deployment is asked for a session. Raises ProviderError."""
    provider = PROVIDERS[deployment.provider]
    params = deployment.params
    headers = dict([BETA]) if session.beta else {}
    if session.secret:
        return headers | {"authorization": f"Bearer {session.secret}"}
    place = location(deployment)
    if place.key:
        bearer = provider.auth == "authorization"
        headers[provider.auth] = f"Bearer {place.key}" if bearer else place.key
    elif entra.is_stated(deployment.provider, params):
        headers["authorization"] = await entra.authorization(deployment.provider, params)
    if place.authorization:
        headers["authorization"] = place.authorization
    for extra in (params.get("headers"), params.get("extra_headers")):
        headers |= {str(name).lower(): str(value) for name, value in (extra or {}).items()}
    return headers
