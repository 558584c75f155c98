"""WebSockets to providers, opened and limited alike."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from yarl import URL

from ..call import Wire
from . import failures
from .client import aiohttp

LARGEST_MESSAGE = 16 * 1024 * 1024
"""Bytes; OpenAI takes up to 15 MiB of audio in one event."""
PING_SECONDS = 30.0
CLOSE_SECONDS = 5.0


async def open_socket(
    http: aiohttp.ClientSession,
    url: URL,
    headers: Mapping[str, str],
    seconds: float,
    *,
    wire: Wire = Wire.OPENAI,
    provider: str = "",
    protocols: Iterable[str] = (),
) -> aiohttp.ClientWebSocketResponse:
    """An open WebSocket. Raises ProviderError.

    url: http in the scheme is what is upgraded from. seconds: until it is open.
    wire, provider: whose refusal is read. protocols: subprotocols that are offered.
    """
    try:
        async with asyncio.timeout(seconds):
            return await http.ws_connect(
                url,
                headers=headers,
                protocols=tuple(protocols),
                heartbeat=PING_SECONDS,
                max_msg_size=LARGEST_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )
    except aiohttp.WSServerHandshakeError as error:
        told: Mapping[str, str] = error.headers or {}
        raise failures.classify(error.status, b"", told, wire, provider) from None
    except TimeoutError:
        raise failures.timed_out(seconds) from None
    except (aiohttp.ClientError, OSError) as error:
        raise failures.unreachable(error) from error
