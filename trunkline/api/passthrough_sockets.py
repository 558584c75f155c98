"""WebSockets below a provider's prefix or at a configured endpoint, led through as they are."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import parse_qsl, urlencode

from ..call import Deployment, Timeouts
from ..errors import GatewayError, NotFound, PermissionDenied, internal_error
from ..gateway import Gateway
from ..providers import failures
from ..providers.client import aiohttp
from ..providers.environment import ENVIRON
from ..providers.passthrough import live
from ..providers.passthrough.accounts import Account, lends
from ..providers.passthrough.destination import filtered
from ..providers.passthrough.endpoints import Endpoint
from ..providers.passthrough.request import Outgoing
from ..providers.passthrough.send import prepare
from ..providers.passthrough.table import PassThrough
from ..providers.sockets import open_socket
from . import errors
from .bridge import Said, bridge
from .http import Receive, Scope, Send
from .passing import Match, Passing, priced, to_deployment
from .sockets import KEY_PROTOCOL, accept, close, code_of, key_in, refuse, until_refused

log = logging.getLogger("trunkline.api")

OPEN_SECONDS = 30.0

_GROUP_IN_QUERY = ("model", "deployment")
_OF_LITELLM = frozenset({"model", "vertex_project", "vertex_location"})
"""Parameters of `/vertex_ai/live` that are for the gateway; its own project goes before theirs."""

_BEFORE_KEY = "token"
"""What Deepgram's clients in browsers offer as a subprotocol before their key."""


class PassThroughSockets:
    """Leads WebSockets through."""

    def __init__(self, gateway: Gateway, http: aiohttp.ClientSession) -> None:
        self._gateway = gateway
        self._http = http

    async def __call__(self, match: Match, scope: Scope, receive: Receive, send: Send) -> None:
        talk = _Talk(self._gateway, self._http, match, scope)
        await receive()
        try:
            await talk.run(receive, send)
        except Exception as error:
            if isinstance(error, GatewayError):
                log.warning("WebSocket failed", extra={"call_id": talk.id, **errors.told(error)})
            else:
                log.exception("WebSocket failed", extra={"call_id": talk.id})
                error = internal_error(talk.id)
            if talk.accepted:
                await close(send, code_of(error), error.message)
            else:
                await refuse(scope, send, error, match.wire)


class _Talk(Passing):
    """One WebSocket and the provider's. accepted: whether the client's is open."""

    def __init__(
        self, gateway: Gateway, http: aiohttp.ClientSession, match: Match, scope: Scope
    ) -> None:
        super().__init__(gateway, match, scope)
        self.accepted = False
        self._http = http
        self._offered: list[str] = list(scope.get("subprotocols") or [])
        self._said: Said | None = None

    async def run(self, receive: Receive, send: Send) -> None:
        async with self._opened() as socket, socket:
            await accept(send, self.id, self._spoken(socket))
            self.accepted = True
            watch = partial(until_refused, self._let_in)
            end = await bridge(receive, send, socket, said=self._said, watch=watch)
            if end is None:
                return
            if end.broken:
                raise failures.cut(end.broken)
            await close(send, end.code, end.reason)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        target = self.match.target
        key = await self._let_in()
        request = self.outgoing(key, b"")
        request.headers.popall("origin", None)
        if isinstance(target, Endpoint):
            target.prepare(request)
            call = self.call(target.path, {})
            if not target.auth:
                call.payer = None
            async with self.charged(call, priced(target)):
                seconds = min(target.timeout or OPEN_SECONDS, OPEN_SECONDS)
                yield await self._open(request, seconds)
            return
        self._check(target, request)
        query = dict(parse_qsl(request.query))
        group = self.group(target, request.path, [query.get(name) for name in _GROUP_IN_QUERY])
        if group is None:
            account = self.account(target, request.path)
            model = self.model(target, request.path, [query.get(each) for each in _GROUP_IN_QUERY])
            call = self.call(model, {})
            async with self.charged(call, await self.stand_in(target, model)):
                yield await self._prepared(target, request, account, OPEN_SECONDS)
            return
        call = self.call(group, {})
        connect = partial(self._connect, target, group, request)
        async with self.gateway.reach(call, connect, suits=partial(lends, target)) as reached:
            yield reached.connection

    async def _let_in(self) -> str | None:
        return await self.let_in(key_in(self._offered) or _token_in(self._offered))

    def _check(self, row: PassThrough, request: Outgoing) -> None:
        """Raises GatewayError where a prefix leads no WebSockets on."""
        if row.signer == "aws":
            raise NotFound(f"There is no WebSocket below /{row.name}.", code="unknown_url")
        if row.rules is not None:
            row.rules.check(request, ENVIRON)
        general = self.settings.general_settings
        if row.name == "openai" and not general.enable_openai_websocket_passthrough:
            raise PermissionDenied(
                "WebSockets are not led through to OpenAI, since nobody reads which model they"
                " ask for; general_settings.enable_openai_websocket_passthrough allows it.",
            )

    async def _connect(
        self,
        row: PassThrough,
        group: str,
        request: Outgoing,
        deployment: Deployment,
        timeouts: Timeouts,
    ) -> aiohttp.ClientWebSocketResponse:
        sent, account = to_deployment(row, request, deployment)
        sent.query = _named(sent.query, group, deployment.upstream_model)
        return await self._prepared(row, sent, account, timeouts.total)

    async def _prepared(
        self, row: PassThrough, request: Outgoing, account: Account, seconds: float
    ) -> aiohttp.ClientWebSocketResponse:
        upstream = partial(self._upstream, row)
        if row.signer == "google":
            request.query = filtered(request.query, lambda name, _: name in _OF_LITELLM)
            self._said = live.naming(upstream, account.params, ENVIRON)
        elif row.name == "gemini":
            self._said = live.naming_models(upstream)
        await prepare(row, request, account, self._http)
        return await self._open(request, seconds)

    async def _open(self, request: Outgoing, seconds: float) -> aiohttp.ClientWebSocketResponse:
        return await open_socket(
            self._http,
            request.url,
            request.headers,
            seconds,
            wire=self.match.wire,
            protocols=self._handed_on(),
        )

    def _handed_on(self) -> list[str]:
        """The subprotocols that are no credentials."""
        if _token_in(self._offered):
            return []
        return [each for each in self._offered if not each.startswith(KEY_PROTOCOL)]

    def _spoken(self, socket: aiohttp.ClientWebSocketResponse) -> str | None:
        """The subprotocol that the client is told; browsers want one that they offered."""
        offered = [_BEFORE_KEY] if _token_in(self._offered) else self._handed_on()
        return socket.protocol or next(iter(offered), None)

    def _upstream(self, row: PassThrough, model: str) -> str:
        """The provider's name of a model group; any other name as it is."""
        found = self.gateway.serving.snapshot.resolve(model)
        lending = (each.upstream_model for each in found if lends(row, each))
        return next(lending, model)


def _token_in(protocols: list[str]) -> str | None:
    return protocols[1] if protocols[:1] == [_BEFORE_KEY] and len(protocols) == 2 else None


def _named(query: str, group: str, upstream: str) -> str:
    """A query with the provider's name of the model where it names the group."""
    pairs = parse_qsl(query, keep_blank_values=True)
    if not any(name in _GROUP_IN_QUERY and value == group for name, value in pairs):
        return query
    return urlencode(
        [
            (name, upstream if name in _GROUP_IN_QUERY and value == group else value)
            for name, value in pairs
        ]
    )
