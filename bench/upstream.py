"""The provider that all contenders call: one prepared answer, or a stream dripped chunk by chunk.

It parses only what it needs, so that it is many times faster than anything measured against it.
`python -m bench.upstream --port N --interval SECONDS`
"""

from __future__ import annotations

import argparse
import asyncio
import re

import uvloop

from .exchange import USAGE, WORD, chunk, completion

STREAM = re.compile(rb'"stream"\s*:\s*true')
INCLUDE_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
MOST_TOKENS = re.compile(rb'"max_(?:completion_)?tokens"\s*:\s*(\d+)')
DEFAULT_TOKENS = 100


def _answer(status: bytes, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        b"x-request-id: req_bench\r\n\r\n%b" % (status, len(body), body)
    )


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


COMPLETION = _answer(b"200 OK", completion())
NO_LENGTH = _answer(b"411 Length Required", b'{"error":{"message":"send a content-length"}}')

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"x-request-id: req_bench\r\n\r\n"
)
FIRST = _framed(chunk({"role": "assistant", "content": ""}))
NEXT = _framed(chunk({"content": WORD}))
FINISH = _framed(chunk({}, finish="stop"))
TOTALS = _framed(chunk(None, usage=USAGE))
DONE = _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Provider(asyncio.Protocol):
    """One connection of a gateway. Requests on it come one after the other."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        while (body_at := received.find(b"\r\n\r\n") + 4) > 3:
            length = LENGTH.search(received, 0, body_at)
            if length is None:
                self._transport.write(NO_LENGTH)
                self._transport.close()
                return
            end = body_at + int(length[1])
            if len(received) < end:
                break
            self._reply(received[body_at:end])
            received = received[end:]
        self._received = received

    def _reply(self, body: bytes) -> None:
        if not STREAM.search(body):
            self._transport.write(COMPLETION)
            return
        asked = MOST_TOKENS.search(body)
        words = int(asked[1]) if asked else DEFAULT_TOKENS
        end = FINISH + (TOTALS if INCLUDE_USAGE.search(body) else b"") + DONE
        self._transport.write(STREAM_HEAD + FIRST)
        self._drip(words, end, self._loop.time() + self._interval)

    def _drip(self, words: int, end: bytes, at: float) -> None:
        self._timer = self._loop.call_at(at, self._next, words, end, at)

    def _next(self, words: int, end: bytes, at: float) -> None:
        if words == 0:
            self._transport.write(end)
            return
        self._transport.write(NEXT)
        self._drip(words - 1, end, at + self._interval)


async def serve(port: int, interval: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Provider(interval), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--interval", type=float, default=0.1, help="seconds between two chunks")
    options = parser.parse_args()
    uvloop.run(serve(options.port, options.interval))
