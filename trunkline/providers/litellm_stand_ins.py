"""Stand-ins for what LiteLLM brings along and a gateway has no use for.

LiteLLM's streams of Anthropic Messages and generateContent log what they carried through its proxy,
and import it for that in the middle of a call: 40 MB, seconds in which no other call proceeds, and
packages that only the proxy needs. Nothing is logged here, so these take the place of the two
modules through which the streams reach it. For its log alone it also counts the tokens of a whole
prompt when a stream breaks off: a third of a second for a megabyte, and no other call proceeds.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from importlib import import_module
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


def count_nothing_of_broken_streams() -> None:
    """Leaves that count out; to be called once LiteLLM is imported."""
    module = import_module("litellm.litellm_core_utils.streaming_handler")
    module.CustomStreamWrapper._record_partial_usage_for_failure = _nothing


def _nothing(stream: Any) -> None:
    """Would count what a broken stream has cost."""


def _install(name: str, **members: Any) -> None:
    module = ModuleType(f"{_PACKAGE}.{name}", "Stands in for LiteLLM's module of this name.")
    vars(module).update(members)
    sys.modules.setdefault(module.__name__, module)
