"""Stand-ins for what LiteLLM brings along and a gateway has no use for.

LiteLLM's streams of Anthropic Messages and generateContent log what they carried through its proxy,
and import it for that in the middle of a call: 40 MB, seconds in which no other call proceeds, and
packages that only the proxy needs. Nothing is logged here, so these take the place of the two
modules through which the streams reach it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

_PACKAGE = "litellm.proxy.pass_through_endpoints"


class _StreamingHandler:
    """As much of LiteLLM's `PassThroughStreamingHandler` as its streams use."""

    @staticmethod
    async def chunk_processor(response: Any, **named: Any) -> AsyncIterator[bytes]:
        """The bytes of an `httpx.Response`, as they arrive."""
        try:
            async for data in response.aiter_bytes():
                yield data
        finally:
            await response.aclose()

    @staticmethod
    async def route_streaming_logging_to_handler(**named: Any) -> None:
        """Would log a whole stream."""

    @staticmethod
    async def schedule_stream_failure_logging(**named: Any) -> None:
        """Would log a broken stream."""


class _SuccessHandler:
    """LiteLLM's `PassThroughEndpointLogging`, of which its streams hold one."""


def install() -> None:
    """Puts the stand-ins in place, unless LiteLLM's own modules are already imported."""
    _install("streaming_handler", PassThroughStreamingHandler=_StreamingHandler)
    _install("success_handler", PassThroughEndpointLogging=_SuccessHandler)


def _install(name: str, **members: Any) -> None:
    module = ModuleType(f"{_PACKAGE}.{name}", "Stands in for LiteLLM's module of this name.")
    vars(module).update(members)
    sys.modules.setdefault(module.__name__, module)
