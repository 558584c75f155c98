"""Many concurrent streams, as a process of its own so that its work is no gateway's.

`python -m bench.streams --port N --headers JSON …` keeps every connection streaming, one answer
after the other. It prints `steady` once all of them stream, and after the measured window one line
of JSON: the chunks that came within the window and the times to first byte of the answers that
began in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass, field

import uvloop

from .exchange import question

END_OF_BODY = b"0\r\n\r\n"
LONGEST_RAMP = 90.0
LEAST_ANSWERS = 50
LONGEST_WAIT = 40.0
"""Seconds by which the window grows where a slow server has not begun enough answers in it."""


@dataclass(slots=True)
class Tally:
    """What the connections count together. Times in milliseconds."""

    measuring: bool = False
    chunks: int = 0
    first_byte_ms: list[float] = field(default_factory=list)
    finished: int = 0
    streaming: int = 0
    faults: list[str] = field(default_factory=list)


class Listener(asyncio.Protocol):
    """One connection: asks, reads the stream to its end, asks again."""

    def __init__(self, tally: Tally, head: bytes, words: int, first_words: int) -> None:
        self._tally = tally
        self._head = head
        self._words = words
        self._first_words = first_words
        self._started = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._ask(self._first_words)

    def _ask(self, words: int) -> None:
        body = question(stream=True, max_tokens=words)
        self._expected = words
        self._events = 0
        self._tail = b""
        self._head_read = False
        self._counted = self._tally.measuring
        self._asked = time.perf_counter()
        self._transport.write(self._head + b"content-length: %d\r\n\r\n%b" % (len(body), body))

    def data_received(self, data: bytes) -> None:
        tally = self._tally
        if not self._head_read:
            self._head_read = True
            if not data.startswith(b"HTTP/1.1 200"):
                tally.faults.append(data[:300].decode(errors="replace"))
                self._transport.abort()
                return
        events = data.count(b"data: ")
        if events:
            if self._events == 0:
                self._first_event()
            self._events += events
            if tally.measuring:
                tally.chunks += events
        tail = (self._tail + data)[-64:]
        self._tail = tail
        if tail.endswith(END_OF_BODY):
            self._finish(tail)

    def _first_event(self) -> None:
        if self._counted:
            self._tally.first_byte_ms.append((time.perf_counter() - self._asked) * 1e3)
        if not self._started:
            self._started = True
            self._tally.streaming += 1

    def _finish(self, tail: bytes) -> None:
        if b"[DONE]" not in tail or self._events < self._expected:
            self._tally.faults.append(
                f"a stream of {self._expected} words ended after {self._events} events"
            )
            self._transport.abort()
            return
        self._tally.finished += self._counted
        self._ask(self._words)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.faults.append(f"connection lost: {exc}")


async def measure(options: argparse.Namespace) -> Tally:
    """Streams over all connections and counts for the window. Faults are in the tally."""
    loop = asyncio.get_running_loop()
    tally = Tally()
    lines = [f"{name}: {value}" for name, value in json.loads(options.headers).items()]
    head = "\r\n".join([f"POST {options.path} HTTP/1.1", "host: 127.0.0.1", *lines, ""]).encode()
    transports = []
    for number in range(options.streams):
        # First answers of all lengths, so that later ones begin spread over time.
        first_words = 1 + (number * options.words) // options.streams
        transport, _ = await loop.create_connection(
            lambda words=first_words: Listener(tally, head, options.words, words),
            "127.0.0.1",
            options.port,
        )
        transports.append(transport)
        await asyncio.sleep(options.ramp / options.streams)
    deadline = loop.time() + LONGEST_RAMP
    while tally.streaming < options.streams and loop.time() < deadline and not tally.faults:
        await asyncio.sleep(0.05)
    if tally.streaming < options.streams:
        tally.faults.append(f"{tally.streaming} of {options.streams} streams began")
        return tally

    print("steady", flush=True)
    tally.measuring = True
    await asyncio.sleep(options.seconds)
    deadline = loop.time() + LONGEST_WAIT
    while len(tally.first_byte_ms) < LEAST_ANSWERS and loop.time() < deadline and not tally.faults:
        await asyncio.sleep(0.05)
    tally.measuring = False
    found = Tally(False, tally.chunks, tally.first_byte_ms, tally.finished, 0, tally.faults[:])
    for transport in transports:
        transport.abort()
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--headers", required=True, help="a JSON object")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--words", type=int, default=100, help="content chunks of one answer")
    parser.add_argument("--ramp", type=float, default=5.0, help="seconds to begin all streams")
    parser.add_argument("--seconds", type=float, default=10.0, help="the measured window")
    tally = uvloop.run(measure(parser.parse_args()))
    json.dump(
        {
            "chunks": tally.chunks,
            "first_byte_ms": tally.first_byte_ms,
            "finished": tally.finished,
            "faults": tally.faults[:5],
        },
        sys.stdout,
    )
    print()
