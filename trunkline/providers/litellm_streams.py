"""LiteLLM's streams as bytes: usage learned, silent ends told from finished ones, all closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from ..call import Call
from ..errors import ProviderError
from . import failures
from .litellm_arguments import wants_usage
from .litellm_encoding import encode_chunk, plain
from .sse import FrameBuffer, StreamWatcher
from .usage import read_object

DONE = b"data: [DONE]\n\n"

_NAMED = frozenset({"responses", "runs", "media"})
"""Usage readers of the operations whose events have their type in an `event:` line too."""

_CHUNKED = frozenset({"acompletion", "atext_completion"})
"""Functions that stream LiteLLM's own chunks, in OpenAI's shape."""

DEEPEST = 12
"""Iterators of LiteLLM's that stand inside each other, down to the HTTP response."""


def chunks(
    call: Call, result: Any, *, finishes: bool, classify: Callable[[bytes], ProviderError]
) -> AsyncIterator[bytes]:
    """The pieces of a stream as they go to the client.

    classify: the failure that the payload of an error event reports.
    finishes: whether LiteLLM tells why the provider's streams end; one that ends without a reason
        is an error then.
    Raises ProviderError when the provider stops before it has finished; other exceptions are
    LiteLLM's.
    """
    if call.operation.function in _CHUNKED:
        return _openai_chunks(call, result, finishes=finishes)
    return _events(call, result, classify)


async def begin(result: Any) -> None:
    """Sends the request behind a stream for which LiteLLM has not sent it yet.

    LiteLLM begins some answers before it has asked the provider; a failure then would come too
    late for another deployment.
    """
    for holder in _holders(result):
        fetch = getattr(holder, "fetch_stream", None)
        if fetch is not None and getattr(holder, "completion_stream", 0) is None:
            await fetch()


async def close(result: Any) -> None:
    """Ends the provider's request behind a stream of LiteLLM's."""
    for holder in list(_holders(result)):
        end = getattr(holder, "aclose", None) or getattr(holder, "close", None)
        if end is None:
            continue
        with contextlib.suppress(Exception):
            pending = end()
            if asyncio.iscoroutine(pending):
                await pending


def _holders(result: Any) -> Iterator[Any]:
    """A stream and what it reads from, the outermost first."""
    level, seen = [result], set[int]()
    for _ in range(DEEPEST):
        inner = []
        for holder in level:
            if id(holder) in seen:
                continue
            seen.add(id(holder))
            yield holder
            inner += [one for one in _held(holder) if _is_source(one)]
        level = inner


def _held(holder: Any) -> list[Any]:
    """What an iterator holds: an object in its attributes, a generator in its variables."""
    frame = getattr(holder, "ag_frame", None)
    return list((frame.f_locals if frame else getattr(holder, "__dict__", {})).values())


def _is_source(one: Any) -> bool:
    return hasattr(one, "__aiter__") or hasattr(one, "aclose")


async def _openai_chunks(call: Call, result: Any, *, finishes: bool) -> AsyncIterator[bytes]:
    """LiteLLM's chunks of chats and completions, the usage last and only for who asked for it."""
    shown = wants_usage(call)
    source = getattr(result, "completion_stream", result)  # of a text completion: the chat's
    watched = result if hasattr(result, "received_finish_reason") else source
    ended = False
    async for chunk in result:
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            _correct(usage, getattr(watched, "chunks", ()))
            read_object("openai", {"usage": plain(usage)}, call.usage)
        if ended and _says_nothing(chunk):
            if usage is not None and shown:
                chunk.choices = []
                yield encode_chunk(chunk, named=False)
            continue
        if usage is not None and not shown:
            del chunk.usage
        if any(getattr(choice, "finish_reason", None) for choice in chunk.choices):
            ended = True
            if finishes and is_invented_end(watched):
                raise failures.cut("the stream ended before the provider had finished")
        yield encode_chunk(chunk, named=False)
    yield DONE


def _says_nothing(chunk: Any) -> bool:
    """Whether a chunk holds nothing, or nothing but usage."""
    for choice in chunk.choices:
        if getattr(choice, "finish_reason", None) or getattr(choice, "text", None):
            return False
        delta = getattr(choice, "delta", None)
        if delta is not None and any(value for value in delta.model_dump().values()):
            return False
    return True


def is_invented_end(stream: Any) -> bool:
    """Whether a stream of LiteLLM's that just told why it ends never heard it from the provider."""
    if not hasattr(stream, "received_finish_reason"):
        return False
    return not (
        stream.received_finish_reason or getattr(stream, "intermittent_finish_reason", None)
    )


def _correct(usage: Any, seen: Any) -> None:
    """Puts the provider's zeros back in the place of LiteLLM's estimates."""
    given = [held for chunk in seen if (held := getattr(chunk, "usage", None)) is not None]
    for name in ("prompt_tokens", "completion_tokens"):
        if given and not any(getattr(held, name, None) for held in given):
            setattr(usage, name, 0)
            usage.total_tokens = usage.prompt_tokens + usage.completion_tokens


async def _events(
    call: Call, result: Any, classify: Callable[[bytes], ProviderError]
) -> AsyncIterator[bytes]:
    """Events of the other APIs; LiteLLM gives some as objects and some as bytes."""
    kind = call.operation.usage
    watcher = StreamWatcher(kind, call.usage, hide_usage=False, classify=classify)
    frames = FrameBuffer()
    async for chunk in result:
        whole = frames.feed(encode_chunk(chunk, named=kind in _NAMED))
        if whole and (whole := watcher.see(whole)):
            yield whole
        if watcher.failure:
            raise watcher.failure
    if rest := frames.flush():
        yield watcher.see(rest)
    if watcher.failure:
        raise watcher.failure
    if closing := watcher.closing():
        yield closing
