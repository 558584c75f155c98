"""The bare relay: what the libraries cost that Trunkline is built on, with no feature at all.

It decodes a request, names the model, encodes it again, posts it and hands the answer back. There
are two: `plain` is the least that an ASGI application can do, `framework` the same as a FastAPI
route. Both run under granian and call the upstream with aiohttp.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

UPSTREAM = os.environ["BENCH_UPSTREAM"] + "/chat/completions"
HEADERS = {
    "authorization": f"Bearer {os.environ['BENCH_PROVIDER_KEY']}",
    "content-type": "application/json",
}
MODEL = "gpt-4o-mini"

Message = dict[str, Any]


def new_session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(connector=connector, auto_decompress=False)


class Plain:
    """The relay as a bare ASGI application."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        parts = []
        more = True
        while more:
            message = await receive()
            parts.append(message["body"])
            more = message["more_body"]
        body = orjson.loads(b"".join(parts))
        body["model"] = MODEL
        if self._session is None:
            self._session = new_session()
        posting = self._session.post(UPSTREAM, data=orjson.dumps(body), headers=HEADERS)
        async with posting as answer:
            content_type = answer.headers["content-type"].encode()
            head: Message = {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(b"content-type", content_type)],
            }
            await send(head)
            if body.get("stream"):
                async for part in answer.content.iter_any():
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                whole = await answer.read()
                await send({"type": "http.response.body", "body": whole, "more_body": False})

    async def _live(
        self,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and self._session is not None:
                await self._session.close()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return


plain = Plain()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with new_session() as app.state.session:
        yield


framework = FastAPI(lifespan=_lifespan)


@framework.post("/v1/chat/completions")
async def relay(request: Request) -> Response:
    body = orjson.loads(await request.body())
    body["model"] = MODEL
    session: aiohttp.ClientSession = request.app.state.session
    answer = await session.post(UPSTREAM, data=orjson.dumps(body), headers=HEADERS)
    content_type = answer.headers["content-type"]
    if body.get("stream"):
        return StreamingResponse(
            answer.content.iter_any(), status_code=answer.status, media_type=content_type
        )
    whole = await answer.read()
    return Response(whole, status_code=answer.status, media_type=content_type)
