"""What can go wrong at a provider, as data; see `FakeProvider.fault`.

Before the answer   Delay, Hang, CutBeforeHeaders
The answer itself   Status, HtmlErrorPage, InvalidApiKey, ModelNotFound, ContextWindowExceeded,
                    ContentPolicyViolation, MalformedJson, EmptyBody, HugeAnswer,
                    RateLimitHeaders, WrongContentType, Compressed
On its way          CutAfterHeaders, CutMidStream, ErrorEventMidStream, Hold, SlowDrip, Fragmented
After it            CloseUnannounced

`between` is called before each piece of the answer with the number of pieces sent, and once more
before the answer ends. A whole answer is one piece unless a fault splits it.
"""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from .reply import EndWith, Exchange, Refused, Reply
from .script import Script


@dataclass(frozen=True)
class Fault:
    """Nothing goes wrong; what each kind overrides."""

    async def before(self, x: Exchange) -> None:
        """Before anything is answered; may raise `Refused` to answer in its own way."""

    def script(self, script: Script) -> Script:
        return script

    def alter(self, x: Exchange, reply: Reply) -> Reply:
        return reply

    def split(self, reply: Reply, pieces: list[bytes]) -> list[bytes]:
        return pieces

    async def between(self, x: Exchange, sent: int) -> None:
        """Before piece number `sent`, counted from 0."""

    def after(self, x: Exchange) -> None:
        """When the whole answer has gone out."""


@dataclass(frozen=True)
class Delay(Fault):
    """Answers after so many seconds."""

    seconds: float

    async def before(self, x: Exchange) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class Hang(Fault):
    """Takes the request and never answers."""

    async def before(self, x: Exchange) -> None:
        await asyncio.Event().wait()


@dataclass(frozen=True)
class CutBeforeHeaders(Fault):
    """Resets the connection instead of answering."""

    async def before(self, x: Exchange) -> None:
        raise x.close(reset=True)


@dataclass(frozen=True)
class Status(Fault):
    """Answers with this status. `body`: None for the provider's own error, else JSON or text."""

    code: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    async def before(self, x: Exchange) -> None:
        raise Refused(self._reply(x).with_headers(self.headers))

    def _reply(self, x: Exchange) -> Reply:
        if self.body is None:
            return x.provider.error(self.code)
        if isinstance(self.body, str | bytes):
            raw = self.body.encode() if isinstance(self.body, str) else self.body
            return Reply(self.code, raw, "text/plain; charset=utf-8")
        return Reply(self.code, orjson.dumps(self.body))


@dataclass(frozen=True)
class HtmlErrorPage(Fault):
    """What a load balancer in front of the provider answers."""

    code: int = 502

    async def before(self, x: Exchange) -> None:
        page = f"<html><head><title>{self.code}</title></head><body>Bad gateway</body></html>"
        raise Refused(Reply(self.code, page.encode(), "text/html; charset=utf-8"))


@dataclass(frozen=True)
class _Known(Fault):
    """An error whose exact body clients look into."""

    name = ""

    async def before(self, x: Exchange) -> None:
        raise Refused(x.provider.failure(self.name, x))


class InvalidApiKey(_Known):
    name = "invalid_api_key"


class ModelNotFound(_Known):
    name = "model_not_found"


class ContextWindowExceeded(_Known):
    name = "context_window_exceeded"


class ContentPolicyViolation(_Known):
    name = "content_policy_violation"


@dataclass(frozen=True)
class MalformedJson(Fault):
    """Breaks the body off inside its JSON; in a stream, one event's data is not JSON."""

    def alter(self, x: Exchange, reply: Reply) -> Reply:
        if reply.pieces is None:
            return replace(reply, body=reply.body[: max(1, len(reply.body) - 7)])
        broken = x.provider.malformed_event(x)
        return replace(reply, pieces=(reply.pieces[0], broken, *reply.pieces[1:]))


@dataclass(frozen=True)
class EmptyBody(Fault):
    """Status and headers as ever, no byte of body."""

    def alter(self, x: Exchange, reply: Reply) -> Reply:
        return replace(reply, body=b"", pieces=None if reply.pieces is None else ())


@dataclass(frozen=True)
class HugeAnswer(Fault):
    """The answer's text has at least so many bytes; other JSON is padded to it with spaces."""

    bytes: int

    def script(self, script: Script) -> Script:
        word = "huge" * 250 + " "
        return replace(script, text=word * (self.bytes // len(word) + 1))

    def alter(self, x: Exchange, reply: Reply) -> Reply:
        if reply.pieces is not None:
            return reply
        return replace(reply, body=reply.body.ljust(self.bytes, b" "))


@dataclass(frozen=True)
class RateLimitHeaders(Fault):
    """The provider's rate-limit headers with these figures. `reset`: seconds."""

    limit_requests: int = 1000
    remaining_requests: int = 0
    limit_tokens: int = 100_000
    remaining_tokens: int = 0
    reset: float = 1.0

    def alter(self, x: Exchange, reply: Reply) -> Reply:
        return reply.with_headers(x.provider.rate_limits(self))


@dataclass(frozen=True)
class WrongContentType(Fault):
    """The right body under a type that does not say so."""

    content_type: str = "text/plain"

    def alter(self, x: Exchange, reply: Reply) -> Reply:
        return replace(reply, content_type=self.content_type)


@dataclass(frozen=True)
class Compressed(Fault):
    """A whole answer comes in gzip to a client that takes it, as most providers send it."""

    def alter(self, x: Exchange, reply: Reply) -> Reply:
        if reply.streams or "gzip" not in x.recorded.headers.get("accept-encoding", ""):
            return reply
        packed = replace(reply, body=gzip.compress(reply.body))
        return packed.with_headers({"content-encoding": "gzip"})


@dataclass(frozen=True)
class CloseUnannounced(Fault):
    """Closes the connection after the answer though it let the client expect to reuse it."""

    def after(self, x: Exchange) -> None:
        x.close()


@dataclass(frozen=True)
class CutAfterHeaders(Fault):
    """Sends status and headers, then resets the connection."""

    async def between(self, x: Exchange, sent: int) -> None:
        raise x.close(reset=True)


@dataclass(frozen=True)
class CutMidStream(Fault):
    """Closes the connection after so many pieces; a whole answer has two."""

    after_chunks: int = 1

    def split(self, reply: Reply, pieces: list[bytes]) -> list[bytes]:
        return pieces if reply.streams else _halved(pieces)

    async def between(self, x: Exchange, sent: int) -> None:
        if sent == self.after_chunks:
            raise x.close()


@dataclass(frozen=True)
class ErrorEventMidStream(Fault):
    """The provider's own error event after so many pieces; outside a stream, its error 500."""

    after_chunks: int = 1

    def alter(self, x: Exchange, reply: Reply) -> Reply:
        return reply if reply.streams else x.provider.error(500)

    async def between(self, x: Exchange, sent: int) -> None:
        if (x.recorded.status or 200) < 400 and sent == self.after_chunks:
            raise EndWith(x.provider.error_event(x))


@dataclass(frozen=True)
class Hold(Fault):
    """Goes silent after so many pieces until the test calls `release()`."""

    after_chunks: int = 1
    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        self.released.set()

    def split(self, reply: Reply, pieces: list[bytes]) -> list[bytes]:
        return pieces if reply.streams else _halved(pieces)

    async def between(self, x: Exchange, sent: int) -> None:
        # Polled: an event of another thread can't be awaited, nor its waiter cancelled.
        while sent == self.after_chunks and not self.released.is_set():
            await asyncio.sleep(0.005)


@dataclass(frozen=True)
class SlowDrip(Fault):
    """Waits so many seconds before each piece; a whole answer comes `size` bytes a piece."""

    seconds: float
    size: int = 1

    def split(self, reply: Reply, pieces: list[bytes]) -> list[bytes]:
        return pieces if reply.streams else _sized(pieces, self.size)

    async def between(self, x: Exchange, sent: int) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class Fragmented(Fault):
    """Cuts the answer into writes of `size` bytes, wherever its events begin and end."""

    size: int

    def split(self, reply: Reply, pieces: list[bytes]) -> list[bytes]:
        return _sized(pieces, self.size)


def _halved(pieces: list[bytes]) -> list[bytes]:
    whole = b"".join(pieces)
    return [whole[: len(whole) // 2], whole[len(whole) // 2 :]]


def _sized(pieces: list[bytes], size: int) -> list[bytes]:
    whole = b"".join(pieces)
    return [whole[start : start + size] for start in range(0, len(whole), size)]
