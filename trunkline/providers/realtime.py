"""Where a deployment takes realtime sessions, and the WebSocket to it.

The protocol is OpenAI's, spoken over `…/realtime?model=`; Azure has it at two addresses, of which
clients of the beta get the older one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from ..call import Deployment, Wire
from . import failures
from .catalog import PROVIDERS
from .mock_lane import is_mock

LARGEST_MESSAGE = 16 * 1024 * 1024
"""Bytes; OpenAI takes up to 15 MiB of audio in one event."""
PING_SECONDS = 30.0
CLOSE_SECONDS = 5.0

BETA = ("openai-beta", "realtime=v1")

_SPEAKING = frozenset({"openai", "azure", "xai", "hosted_vllm", "litellm_proxy"})
_PATHLESS_INTENT = ("intent", "transcription")


@dataclass(frozen=True, slots=True)
class Session:
    """What a client asks for.

    query: parameters to hand on, without the model. beta: whether it speaks the beta's events.
    """

    query: Sequence[tuple[str, str]]
    beta: bool = False


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
    url = url_of(deployment, session)
    try:
        async with asyncio.timeout(seconds):
            return await http.ws_connect(
                url,
                headers=_headers(deployment, session),
                heartbeat=PING_SECONDS,
                max_msg_size=LARGEST_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )
    except aiohttp.WSServerHandshakeError as error:
        headers: Mapping[str, str] = error.headers or {}
        raise failures.classify(
            error.status, b"", headers, Wire.OPENAI, deployment.provider
        ) from None
    except TimeoutError:
        raise failures.timed_out(seconds) from None
    except (aiohttp.ClientError, OSError) as error:
        raise failures.unreachable(error) from error


def url_of(
    deployment: Deployment, session: Session, environ: Mapping[str, str] = os.environ
) -> URL:
    """The address of a session; http in the scheme is what aiohttp upgrades from."""
    provider = PROVIDERS[deployment.provider]
    params = deployment.params
    base = _first(
        params.get("api_base"),
        params.get("base_url"),
        *(environ.get(name) for name in provider.base_env),
        provider.base,
    )
    base = base.replace("wss://", "https://", 1).replace("ws://", "http://", 1).rstrip("/")
    model = [] if _PATHLESS_INTENT in session.query else [("model", deployment.upstream_model)]
    if deployment.provider != "azure":
        return URL(f"{base}/realtime").with_query([*model, *session.query])
    root = base.partition("/openai")[0]
    protocol = str(params.get("realtime_protocol") or ("beta" if session.beta else "GA"))
    if protocol.upper() in {"GA", "V1"}:
        return URL(f"{root}/openai/v1/realtime").with_query([*model, *session.query])
    version = str(
        params.get("api_version") or environ.get("AZURE_API_VERSION") or "2024-10-01-preview"
    )
    asked = [("api-version", version), ("deployment", deployment.upstream_model)]
    return URL(f"{root}/openai/realtime").with_query([*asked, *session.query])


def _headers(
    deployment: Deployment, session: Session, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    provider = PROVIDERS[deployment.provider]
    params = deployment.params
    headers = dict([BETA]) if session.beta else {}
    key = _first(params.get("api_key"), *(environ.get(name) for name in provider.key_env))
    if key:
        headers[provider.auth] = f"Bearer {key}" if provider.auth == "authorization" else key
    elif params.get("azure_ad_token"):
        headers["authorization"] = f"Bearer {params['azure_ad_token']}"
    for extra in (params.get("headers"), params.get("extra_headers")):
        headers |= {str(name).lower(): str(value) for name, value in (extra or {}).items()}
    return headers


def _first(*values: Any) -> str:
    return next((str(value) for value in values if value), "")
