"""What a handler of a fake gets (`Exchange`) and gives back (`Reply`), and stream framing."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from .recorded import Recorded
from .script import Script

if TYPE_CHECKING:
    from .faults import Fault
    from .server import FakeProvider

JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer in `body`, or a stream with one element of `pieces` a write."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] | None = None

    @property
    def streams(self) -> bool:
        return self.pieces is not None

    def with_headers(self, headers: Mapping[str, str]) -> Reply:
        return replace(self, headers={**self.headers, **headers})


class Refused(Exception):
    """A handler's way to answer with an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Cut(Exception):
    """The fake has closed the connection on purpose."""


class EndWith(Exception):
    """The stream ends here, after these last bytes."""

    def __init__(self, last: bytes) -> None:
        super().__init__()
        self.last = last


@dataclass(slots=True)
class Exchange:
    """One request on its way through a fake."""

    provider: FakeProvider
    request: web.Request
    recorded: Recorded
    faults: tuple[Fault, ...] = ()
    script: Script = field(default_factory=Script)
    cut: bool = False

    @property
    def path(self) -> Mapping[str, str]:
        """Values of the names in the route's path."""
        return self.request.match_info

    @property
    def json(self) -> dict[str, Any]:
        """The request's JSON object; anything else is refused as the provider would."""
        try:
            body = self.recorded.json
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            raise Refused(
                self.provider.error(400, "We could not parse the JSON body of your request.")
            )
        return body

    def close(self, *, reset: bool = False) -> Cut:
        """Close the connection: orderly, or with a TCP reset."""
        self.cut = True
        transport = self.request.transport
        if transport is not None and reset:
            linger_nothing = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger_nothing
            )
            transport.abort()
        elif transport is not None:
            transport.close()
        return Cut()


def ok(value: Any, **headers: str) -> Reply:
    return Reply(body=orjson.dumps(value), headers=headers)


def event(data: Any, name: str = "") -> bytes:
    """One server-sent event; `data` is JSON, or a string that goes out as it is."""
    text = data.encode() if isinstance(data, str) else orjson.dumps(data)
    head = b"event: " + name.encode() + b"\n" if name else b""
    return head + b"data: " + text + b"\n\n"


def stream(pieces: list[bytes], content_type: str = SSE) -> Reply:
    return Reply(content_type=content_type, pieces=tuple(pieces))


async def deliver(x: Exchange, reply: Reply, pause: float) -> web.StreamResponse:
    """Send the reply piece by piece, letting the exchange's faults interfere between pieces."""
    pieces = [reply.body] if reply.pieces is None else list(reply.pieces)
    for fault in x.faults:
        pieces = fault.split(reply, pieces)
    response = web.StreamResponse(status=reply.status, headers=dict(reply.headers))
    if reply.content_type:
        response.headers["Content-Type"] = reply.content_type
    if reply.streams:
        response.enable_chunked_encoding()
    else:
        response.content_length = sum(map(len, pieces))
    await response.prepare(x.request)
    x.recorded.status = reply.status
    try:
        for number, piece in enumerate([*pieces, b""]):
            for fault in x.faults:
                await fault.between(x, number)
            if pause and 0 < number < len(pieces):
                await asyncio.sleep(pause)
            if piece:
                await response.write(piece)
                x.recorded.chunks_sent += 1
    except EndWith as end:
        await response.write(end.last)
    await response.write_eof()
    return response
