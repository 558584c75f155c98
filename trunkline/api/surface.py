"""The ASGI application: model calls by the operations table, everything else by FastAPI."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from .. import __version__
from ..call import Wire
from ..deadline import Alarms
from ..errors import GatewayError, InvalidRequest, MethodNotAllowed, NotFound, internal_error
from ..gateway import Gateway
from ..operations import OPERATIONS
from ..providers.client import aiohttp
from . import (
    about,
    cache,
    cost_map,
    errors,
    feedback,
    health,
    hot_reload,
    metrics,
    models,
    no_accounts,
    openai_prefix,
    openapi,
    realtime,
    realtime_http,
    routing,
    search_tools,
)
from .http import Incoming, Receive, Scope, Send, encode, send_answer
from .inference import Inference
from .openai_prefix import OpenAIPrefix
from .passing import Ways
from .passthrough import PassThroughs
from .passthrough_sockets import PassThroughSockets
from .realtime import Realtime
from .realtime_http import RealtimeHttp
from .routes import RouteTable
from .sockets import refuse

if TYPE_CHECKING:
    from ..telemetry.traces import Traces
    from .hot_reload import Watches

log = logging.getLogger("trunkline.api")


class Surface:
    """Hands each request to what answers it."""

    def __init__(
        self,
        gateway: Gateway,
        session: aiohttp.ClientSession,
        alarms: Alarms,
        watches: Watches,
        *,
        reload: Callable[[], Awaitable[None]],
        traces: Traces | None = None,
    ) -> None:
        """watches: what is watched now. reload: brings stored models into force. traces: where
        calls are told of; None where nobody asked for it.
        """
        self._routes = RouteTable(OPERATIONS)
        self._inference = Inference(gateway, alarms, traces)
        self._ways = Ways(gateway)
        self._passthroughs = PassThroughs(gateway, session, alarms)
        self._sockets = PassThroughSockets(gateway, session)
        self._openai = OpenAIPrefix(gateway, self._inference, self._passthroughs, alarms)
        self._realtime = Realtime(gateway, session)
        self._realtime_http = RealtimeHttp(gateway, session, alarms)
        self._others = _others(gateway, alarms, watches, reload)

    async def http(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Incoming(receive, scope)
        await self._answer(scope, body, send)
        if body.more:
            await body.linger()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = refused = None
        try:
            found = self._routes.match(scope["method"], scope["path"], scope.get("raw_path"))
        except MethodNotAllowed as error:
            refused = error
        if found is not None:
            ours = not scope["path"].startswith(openai_prefix.PREFIX)
            answer = self._inference if ours else self._openai
            await answer(*found, scope, receive, send)
        elif operation := realtime_http.BY_PATH.get(scope["path"]):
            await self._realtime_http(operation, scope, receive, send)
        elif passed := self._ways.match(scope):
            await self._passthroughs(passed, scope, receive, send)
        elif refused is not None and not self._other_takes(scope):
            status, headers, body = errors.render(refused, Wire.OPENAI)
            await send_answer(send, status, encode(headers), body)
        else:
            await self._others(scope, receive, send)

    def _other_takes(self, scope: Scope) -> bool:
        """Whether FastAPI serves what the table knows under another method only."""
        return any(route.matches(scope)[0] is Match.FULL for route in self._others.routes)

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in realtime.PATHS:
            await self._realtime(scope, receive, send)
        elif passed := self._ways.match(scope):
            await self._sockets(passed, scope, receive, send)
        else:
            await receive()
            error = NotFound(f"There is no WebSocket at {scope['path']}.", code="unknown_url")
            await refuse(scope, send, error)


def _others(
    gateway: Gateway,
    alarms: Alarms,
    watches: Watches,
    reload: Callable[[], Awaitable[None]],
) -> FastAPI:
    app = FastAPI(
        title="Trunkline", version=__version__, docs_url=None, redoc_url=None, openapi_url=None
    )
    for each in (
        about.router(gateway, app),
        openapi.router(app),
        health.router(gateway),
        metrics.router(gateway),
        models.router(gateway),
        routing.router(gateway, alarms),
        feedback.router(gateway, alarms),
        hot_reload.router(gateway, watches),
        cache.router(gateway, alarms),
        cost_map.router(gateway),
        *_of_accounts(gateway, alarms, reload),
        search_tools.router(gateway),
    ):
        app.include_router(each)
    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        GatewayError: _gateway_error,
        HTTPException: _http_error,
        RequestValidationError: _validation_error,
        Exception: _fault,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    return app


def _of_accounts(
    gateway: Gateway, alarms: Alarms, reload: Callable[[], Awaitable[None]]
) -> list[APIRouter]:
    if gateway.serving.registry is None:
        return [no_accounts.router(gateway)]
    from . import accounts  # noqa: PLC0415 - only where there is a database

    return accounts.routers(gateway, alarms, reload)


async def _gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    status, headers, body = errors.render(error, Wire.OPENAI)
    return Response(body, status, dict(headers))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return await _gateway_error(
            request, MethodNotAllowed(f"{request.url.path} does not take {request.method}.")
        )
    return await _gateway_error(
        request, NotFound(f"There is nothing at {request.url.path}.", code="unknown_url")
    )


async def _fault(request: Request, error: Exception) -> Response:
    call_id = os.urandom(16).hex()
    log.error("request failed", exc_info=error, extra={"call_id": call_id})
    return await _gateway_error(request, internal_error(call_id))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return await _gateway_error(request, InvalidRequest(f"{where}: {first['msg']}", param=where))
