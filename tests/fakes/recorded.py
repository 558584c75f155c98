"""What a fake saw of a request, for tests to assert on."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart form; `filename` is empty for a plain field."""

    name: str
    filename: str
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(slots=True, eq=False)
class Recorded:
    """One request as it arrived.

    path: percent-decoded, without the query. raw_path: as it stood on the wire, with the query.
    query: pairs in their order. headers: lower-case names; the last of a repeated one wins.
    peer: the client's address and port, equal for requests of one connection.
    status: what was answered; None until headers went out.
    chunks_sent: how many pieces of the answer went out.
    sent, received: messages of a WebSocket.
    disconnected: the client went away before the answer was complete.
    """

    method: str
    path: str
    raw_path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    peer: tuple[str, int]
    status: int | None = None
    chunks_sent: int = 0
    sent: list[dict[str, Any]] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    disconnected: bool = False
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def key(self) -> str:
        """The credential, wherever the provider's API carries it; empty without one."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return token
        for name in ("api-key", "x-api-key", "x-goog-api-key"):
            if name in self.headers:
                return self.headers[name]
        # Browsers can't set headers on a WebSocket, so OpenAI takes a subprotocol instead.
        for protocol in self.headers.get("sec-websocket-protocol", "").split(","):
            if protocol.strip().startswith("openai-insecure-api-key."):
                return protocol.strip().removeprefix("openai-insecure-api-key.")
        return self.parameter("key")

    def parameter(self, name: str, default: str = "") -> str:
        """The first query parameter of that name."""
        return next((value for key, value in self.query if key == name), default)

    @property
    def parts(self) -> list[Part]:
        """The parts of a multipart form, in order."""
        found = re.search(
            r'boundary="?([^";]+)', self.headers.get("content-type", ""), re.IGNORECASE
        )
        if found is None:
            return []
        pieces = (b"\r\n" + self.body).split(b"\r\n--" + found[1].encode())
        return [_part(piece) for piece in pieces[1:] if not piece.startswith(b"--")]

    @property
    def form(self) -> dict[str, Any]:
        """The plain fields of a multipart form; a repeated field is a list."""
        fields: dict[str, Any] = {}
        for part in self.parts:
            if part.filename:
                continue
            if part.name in fields:
                before = fields[part.name]
                fields[part.name] = [*(before if isinstance(before, list) else [before]), part.text]
            else:
                fields[part.name] = part.text
        return fields

    @property
    def files(self) -> list[Part]:
        return [part for part in self.parts if part.filename]

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def end(self) -> None:
        self._ended.set()

    def wait(self, timeout: float = 20) -> Recorded:
        """Block until the exchange is over, however it ended."""
        if not self._ended.wait(timeout):
            raise TimeoutError(f"{self.method} {self.path} is still being answered")
        return self

    async def over(self, timeout: float = 20) -> Recorded:
        """`wait`, for coroutines."""
        return await asyncio.to_thread(self.wait, timeout)


def _part(piece: bytes) -> Part:
    head, _, body = piece.lstrip(b"\r\n").partition(b"\r\n\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head.decode().split("\r\n"))
    }
    disposition = headers.get("content-disposition", "")
    return Part(
        name=_attribute(disposition, "name"),
        filename=_attribute(disposition, "filename"),
        content_type=headers.get("content-type", "text/plain"),
        body=body,
    )


def _attribute(disposition: str, name: str) -> str:
    found = re.search(rf'(?:^|;)\s*{name}="?([^";]*)"?', disposition)
    return found[1] if found else ""
