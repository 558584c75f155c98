"""Streamed runs of assistants, as OpenAI's API streams them.

LiteLLM hands out the context manager of OpenAI's SDK for them, which asks the provider when it is
entered and gives each event decoded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

_LAST = frozenset(
    f"thread.run.{status}"
    for status in ("completed", "incomplete", "failed", "cancelled", "expired", "requires_action")
)
"""Events after which a run's stream is done. The SDK swallows the event that says so."""

_DONE = b"event: done\ndata: [DONE]\n\n"


def is_run(result: Any) -> bool:
    """Whether LiteLLM's answer is such a context manager."""
    return hasattr(result, "__aenter__") and not hasattr(result, "__aiter__")


class RunEvents:
    """A run's events as frames; `litellm_streams` begins and closes it.

    completion_stream: what gives the events; None until the provider is asked.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self.completion_stream: Any = None

    async def fetch_stream(self) -> None:
        """Asks the provider."""
        self.completion_stream = await self._manager.__aenter__()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        last = ""
        async for event in self.completion_stream:
            last = event.event
            data = event.data.model_dump_json(by_alias=True, exclude_unset=True, warnings=False)
            yield b"event: " + last.encode() + b"\ndata: " + data.encode() + b"\n\n"
        if last in _LAST:
            yield _DONE

    async def aclose(self) -> None:
        """Ends the provider's request."""
        await self._manager.__aexit__(None, None, None)
