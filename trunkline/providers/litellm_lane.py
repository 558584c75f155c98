"""The litellm lane: calls through LiteLLM's SDK, for every provider and operation that it knows."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ..call import Answer, Call, Deployment, Timeouts
from ..errors import ErrorKind, ProviderError
from . import failures
from . import litellm_google as google
from . import litellm_streams as streams
from .litellm_arguments import arguments, files, has_thought_signatures
from .litellm_azure import authenticated, transcription_arguments
from .litellm_counting import counting_arguments
from .litellm_encoding import EVENTS, encode, kept_headers
from .litellm_errors import provider_error, reported_error
from .litellm_limits import refusal
from .litellm_runs import RunEvents, is_run
from .litellm_sdk import Sdk, SdkLoader
from .secrets import secrets_of

OBSERVED = frozenset(
    """
    acompletion atext_completion aembedding aresponses anthropic_messages arerank
    agenerate_content agenerate_content_stream aimage_generation amoderation
    """.split()
)
"""Functions that report to an observer of ours; the rare others report to LiteLLM's own."""

MOST_LEFT_BEHIND = 64 * 1024 * 1024
"""Bytes of bodies after which what calls have left in memory is collected."""


class LitellmLane:
    """Sends calls through LiteLLM.

    settings: `litellm_settings` of the configuration.
    """

    name = "litellm"

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self._loader = SdkLoader(settings or {})
        self._left_behind = 0

    @property
    def loaded(self) -> bool:
        """Whether LiteLLM has been imported."""
        return self._loader.loaded

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Takes another configuration's `litellm_settings`; they are the whole process's."""
        self._loader.configure(settings)

    def warm(self) -> None:
        """Starts importing LiteLLM in the background."""
        self._loader.warm()

    async def load(self) -> None:
        """Waits until LiteLLM is imported. Raises ProviderError when it can't be."""
        await self._loader.load()

    async def close(self) -> None:
        """Closes the connections to providers."""
        await self._loader.close()

    async def send(self, call: Call, deployment: Deployment, timeouts: Timeouts) -> Answer:
        """The provider's answer. Raises ProviderError.

        The time that importing LiteLLM takes is not part of the timeout.
        """
        sdk = await self._loader.load()
        provider = deployment.provider or _provider_of(sdk, deployment)
        attempt = _Attempt(call, deployment, provider, timeouts)
        answer = None
        try:
            answer = await attempt.send(sdk)
            return answer
        finally:
            self._tidy(len(call.raw) + (len(answer.body) if answer else 0))

    def _tidy(self, size: int) -> None:
        """Collects what large calls leave: the HTTP client's responses and their streams hold each
        other, and both bodies, and so few objects make the collector wait for gigabytes."""
        self._left_behind += size
        if self._left_behind > MOST_LEFT_BEHIND:
            self._left_behind = 0
            gc.collect()


class _Attempt:
    """One call on one deployment through LiteLLM."""

    def __init__(
        self, call: Call, deployment: Deployment, provider: str, timeouts: Timeouts
    ) -> None:
        self._call = call
        self._deployment = deployment
        self._provider = provider
        self._timeouts = timeouts

    async def send(self, sdk: Sdk) -> Answer:
        call, seconds = self._call, self._timeouts.total
        try:
            async with asyncio.timeout(seconds):
                result = await self._ask(sdk)
                if _is_binary(result):
                    return await self._binary(result)
                if is_run(result):
                    result = RunEvents(result)
                if not (call.stream and hasattr(result, "__aiter__")):
                    headers, body = encode(call, result)
                    return Answer(200, headers, body)
                await streams.begin(result)
        except ProviderError:
            raise
        except Exception as error:
            raise self._failure(error, seconds) from error
        pieces = streams.chunks(
            call, result, finishes=sdk.finishes(self._provider), classify=self._reported
        )
        return Answer(200, [EVENTS, *kept_headers(result)], chunks=self._guarded(pieces, result))

    async def _ask(self, sdk: Sdk) -> Any:
        call = self._call
        function = call.operation.function
        if function == "acount_tokens":
            named = counting_arguments(sdk, call, self._deployment)
        else:
            named = arguments(call, self._deployment, self._provider, self._timeouts)
        named = await authenticated(self._deployment, self._provider, function, named)
        if refused := refusal(call, named, self._provider):
            raise refused
        if function == "atranscription":
            named |= transcription_arguments(sdk, self._deployment, self._provider, named)
        if call.uploads:
            named |= await asyncio.to_thread(files, function, call.uploads)
        if google.is_adapted(sdk, function, self._deployment.model, self._provider):
            return await google.ask(sdk, call, named, finishes=sdk.finishes(self._provider))
        if function in OBSERVED and not has_thought_signatures(call):
            named["litellm_call_id"] = call.id
            named["litellm_logging_obj"] = sdk.observe(function, call.id, named)
        return await sdk.function(function)(**named)

    async def _binary(self, result: Any) -> Answer:
        response = result.response
        kind = response.headers.get("content-type", "application/octet-stream")
        chunks = self._guarded(await result.aiter_bytes(), result)
        return Answer(200, [("content-type", kind)], chunks=chunks)

    async def _guarded(self, pieces: AsyncIterator[bytes], result: Any) -> AsyncIterator[bytes]:
        """The pieces of a stream, closed in the end, with failures as `ProviderError`."""
        seconds, begun = self._timeouts.total, False
        try:
            while True:
                async with asyncio.timeout(seconds):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                yield piece
                seconds, begun = self._timeouts.idle, True
        except ProviderError:
            raise
        except Exception as error:
            raise self._failure(error, seconds, begun=begun) from error
        finally:
            await streams.close(pieces)
            await streams.close(result)

    def _failure(self, error: Exception, seconds: float, *, begun: bool = False) -> ProviderError:
        secrets = secrets_of(self._deployment)
        return provider_error(error, self._call, self._provider, secrets, seconds, begun=begun)

    def _reported(self, payload: bytes) -> ProviderError:
        wire, secrets = self._call.operation.wire, secrets_of(self._deployment)
        return reported_error(payload, wire, self._provider, secrets)


def _is_binary(result: Any) -> bool:
    return hasattr(result, "aiter_bytes")


def _provider_of(sdk: Sdk, deployment: Deployment) -> str:
    """The provider of a model whose name doesn't tell it, by LiteLLM's rules."""
    params = deployment.params
    try:
        found = sdk.module.get_llm_provider(
            model=deployment.model,
            custom_llm_provider=params.get("custom_llm_provider"),
            api_base=params.get("api_base"),
        )
    except Exception as error:
        message = f"LiteLLM knows no provider for the model '{deployment.model}'"
        raise failures.failure(ErrorKind.BAD_REQUEST, message) from error
    return str(found[1])
