"""Charges what is passed on to a provider as it comes: by what its answer tells while it goes by.

The client gets every byte as the provider sends it. Of JSON and of server-sent events, a copy is
looked through for a usage in one of the formats that are known (see `providers/usage.py`); nothing
else is kept. A stream that tells none is charged by what was said (see `spoken.py`).
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..call import Attempt, Call, Deployment, Wire
from ..errors import ProviderError
from ..ledger.book import nameless
from ..providers.sse import FrameBuffer, data_of, split
from ..providers.usage import UsageReader, read_answer, read_tail
from .allowed import Resolve
from .spoken import Spoken

if TYPE_CHECKING:
    from .charges import Charges

WHOLE = 256 * 1024
"""Bytes of an answer that is read whole; of a larger one, only its end is."""
TAIL = 64 * 1024
ENCODINGS = frozenset({"gzip", "deflate", "identity"})
"""Encodings of answers that can be read."""

_MARKS = (b'"usage"', b'"usageMetadata"')
_RESPONSE = re.compile(rb'"type" ?: ?"response\.|"object" ?: ?"response"')
_MESSAGE = re.compile(rb'"type" ?: ?"message(?:_start|_delta)?"')


@asynccontextmanager
async def charged(
    charges: Charges | None, call: Call, deployment: Deployment, resolve: Resolve
) -> AsyncIterator[None]:
    """Charges a call that none of our deployments answers, for the block.

    deployment: what stands for the provider's model. Neither the models of the key nor routing
    concern it. Raises LimitExceeded, PermissionDenied; LimitsUnavailable, StoreUnavailable.
    """
    if charges is None or call.payer is None:
        yield
        return
    group, call.group = call.group, ""
    await charges.authorise(call, resolve)
    call.group = group
    call.charge, _ = await charges.admit(call, (deployment,))
    attempt = Attempt(deployment, time.monotonic(), "direct")
    call.attempts.append(attempt)
    try:
        yield
    except BaseException as error:
        await call.charge.settle(error)
        raise
    else:
        await call.charge.settle()
    finally:
        call.let_go()


class PassedOn:
    """A call whose answer goes by.

    failure: what the answer says that went wrong; it is then charged for nothing.
    """

    def __init__(
        self, call: Call, headers: Mapping[str, str], failure: ProviderError | None = None
    ) -> None:
        """headers: the answer's."""
        attempt = call.attempts[-1]
        attempt.answered = attempt.answered or time.monotonic()
        self._call = call
        self._failure = failure
        self._left = _length(headers)
        self._hear: _Hearing | None = None
        if failure is None:
            self._hear = _hearing(call, headers)
        elif not attempt.deployment.id:
            # Names that clients make up are no labels of metrics.
            attempt.deployment = nameless(attempt.deployment.provider)

    async def through(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks as they come; the call is settled before the last of them leaves."""
        async for chunk in chunks:
            ended = self._hear is not None and self._hear(chunk)
            if self._left is not None:
                self._left -= len(chunk)
            if ended or self._left == 0:
                await self.end()
            yield chunk
        await self.end()

    async def end(self, error: BaseException | None = None) -> None:
        """Settles the call, unless it is. error: what broke the answer off."""
        if not self._call.charge.settled:
            if self._hear is not None:
                self._hear.end()
            await self._call.charge.settle(self._failure or error)


class _Hearing:
    """Reads a copy of an answer."""

    def __init__(self, call: Call, *, events: bool, packed: bool) -> None:
        self._call = call
        self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed else None
        self._lost = self._cut = False
        self._frames = FrameBuffer() if events else None
        talks = call.attempts[-1].deployment.upstream_model
        self._spoken = Spoken(call) if talks else None
        self._reader: UsageReader | None = None
        self._held = bytearray()

    def __call__(self, data: bytes) -> bool:
        """Takes the next piece; whether it ends the answer."""
        if self._lost:
            return False
        try:
            if self._unpack is not None:
                data = self._unpack.decompress(data)
            if self._frames is not None:
                whole = self._frames.feed(data)
                return bool(whole) and self._hear(whole)
        except (zlib.error, ProviderError):
            self._lost = True
            return False
        self._held += data
        if len(self._held) > WHOLE:
            self._cut = True
            del self._held[:-TAIL]
        return False

    def end(self) -> None:
        """Takes what is left, and sets what was used where nobody told."""
        if self._frames is not None:
            if not self._lost and (rest := self._frames.flush()):
                self._hear(rest)
            if self._spoken is not None:
                self._spoken.fill()
        elif self._cut:
            wire = self._call.operation.wire
            kind = "anthropic" if wire is Wire.ANTHROPIC else "openai"
            if b'"usageMetadata"' in self._held:
                kind = "google"
            read_tail(kind, bytes(self._held), self._call.usage)
        elif self._held and not self._lost:
            answer = bytes(self._held)
            read_answer(_kind_of(answer), answer, self._call.usage)
        self._held.clear()

    def _hear(self, frames: bytes) -> bool:
        if any(mark in frames for mark in _MARKS):
            for frame in split(frames):
                payload = data_of(frame)
                if any(mark in payload for mark in _MARKS):
                    if self._reader is None:
                        self._reader = UsageReader(_kind_of(payload), self._call.usage)
                    self._reader.feed(payload)
        return self._spoken is not None and self._spoken.hear(frames)


def _hearing(call: Call, headers: Mapping[str, str]) -> _Hearing | None:
    """None where the answer is in no format that is read."""
    kind = headers.get("content-type", "").lower()
    encoding = headers.get("content-encoding", "identity").strip().lower()
    events = kind.startswith("text/event-stream")
    if encoding not in ENCODINGS or not (events or "json" in kind):
        return None
    return _Hearing(call, events=events, packed=encoding != "identity")


def _kind_of(content: bytes) -> str:
    """Which of `usage.py`'s readers reads an answer or a frame. What a model wrote can't be met:
    quotation marks are escaped there."""
    if b'"usageMetadata"' in content:
        return "google"
    if _RESPONSE.search(content):
        return "responses"
    return "anthropic" if _MESSAGE.search(content) else "openai"


def _length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else None
