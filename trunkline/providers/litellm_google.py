"""generateContent for providers that don't speak it: asked as a chat, answered in Google's format.

LiteLLM has this adapter, and its two ends are used as they are. What stands between them there
loses the usage of streams, and takes a stream that breaks for one that is done.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

from ..call import Call
from . import failures
from .litellm_sdk import Sdk
from .litellm_streams import is_invented_end

FUNCTIONS = frozenset({"agenerate_content", "agenerate_content_stream"})

_FIELDS = frozenset(
    """
    contents generationConfig config systemInstruction system_instruction tools toolConfig
    tool_config safetySettings cachedContent labels
    """.split()
)
"""Fields of Google's request; the rest of the arguments are the deployment's."""


def is_adapted(sdk: Sdk, function: str, model: str, provider: str) -> bool:
    """Whether a call for generated content must be asked as a chat."""
    if function not in FUNCTIONS:
        return False
    utils = import_module("litellm.utils").ProviderConfigManager
    try:
        kind = sdk.module.LlmProviders(provider)
    except ValueError:
        return True
    found = utils.get_provider_google_genai_generate_content_config(model=model, provider=kind)
    return found is None


async def ask(sdk: Sdk, call: Call, named: dict[str, Any], *, finishes: bool) -> Any:
    """The answer to a call: an object, or a stream of frames in Google's format.

    named: the call's arguments as they are for LiteLLM's function.
    finishes: whether LiteLLM tells why the provider's streams end.
    """
    adapter = import_module("litellm.google_genai.adapters.transformation").GoogleGenAIAdapter()
    body = call.body
    request = adapter.translate_generate_content_to_completion(
        model=named["model"],
        contents=body.get("contents") or [],
        config=body.get("generationConfig") or body.get("config"),
        systemInstruction=body.get("systemInstruction") or body.get("system_instruction"),
        tools=body.get("tools"),
        toolConfig=body.get("toolConfig") or body.get("tool_config"),
    )
    chat = {name: value for name, value in named.items() if name not in _FIELDS} | request
    if call.stream:
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    chat["litellm_call_id"] = call.id
    chat["litellm_logging_obj"] = sdk.observe("acompletion", call.id, chat)
    result = await sdk.function("acompletion")(**chat)
    if hasattr(result, "__aiter__"):
        return _Translated(adapter, result, finishes=finishes)
    return adapter.translate_completion_to_generate_content(result)


class _Translated:
    """A chat's stream in Google's format."""

    def __init__(self, adapter: Any, chat: Any, *, finishes: bool) -> None:
        self._adapter = adapter
        self._finishes = finishes
        self.completion_stream = chat

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chat = _Chat(self.completion_stream, finishes=self._finishes)
        async for frame in self._adapter.translate_completion_output_params_streaming(chat):
            yield frame
        if chat.error is not None:
            raise chat.error


class _Chat:
    """A chat's stream whose last chunk holds the usage, as Google's last frame does.

    error: what broke it off. The adapter takes any exception for the end.
    """

    def __init__(self, chunks: Any, *, finishes: bool) -> None:
        self._chunks = chunks
        self._finishes = finishes
        self.error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[Any]:
        last = None
        try:
            async for chunk in self._chunks:
                if last is not None:
                    usage = getattr(chunk, "usage", None)
                    if usage is not None:
                        last.usage = usage
                elif any(choice.finish_reason for choice in chunk.choices):
                    if self._finishes and is_invented_end(self._chunks):
                        raise failures.cut("the stream ended before the provider had finished")
                    last = chunk
                else:
                    yield chunk
        except Exception as error:
            self.error = error
            raise
        if last is not None:
            yield last
