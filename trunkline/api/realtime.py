"""Realtime sessions: a client's WebSocket, led through to a deployment's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from .. import json_text
from ..access.client_secrets import ClientSecret
from ..access.identity import Principal, credential
from ..call import Call, Deployment, Headers, Operation, Timeouts, Wire
from ..errors import GatewayError, InvalidRequest, ProviderError
from ..gateway import Gateway, Serving
from ..live.snapshot import Snapshot
from ..providers import failures
from ..providers.client import aiohttp
from ..providers.realtime import BETA, Session, connect, takes_sessions
from ..providers.realtime_events import Event, read
from ..providers.usage_sums import total
from . import errors
from .bridge import End, bridge
from .controls import take_controls
from .http import Receive, Scope, Send, header_map
from .payers import charge_to
from .sockets import accept, close, code_of, key_in, refuse, until_refused

if TYPE_CHECKING:
    from ..charging.sessions import SessionCharge

log = logging.getLogger("trunkline.api")

PATHS = ("/v1/realtime", "/realtime", "/openai/v1/realtime", "/openai/realtime")

OPERATION = Operation(
    "realtime",
    Wire.OPENAI,
    "GET",
    PATHS,
    upstream="/realtime",
    model="optional",
    summary="Hold a realtime session over a WebSocket",
)

_PROTOCOL = "realtime"
_BETA_PROTOCOL = "openai-beta.realtime-v1"
_CANCEL = '{"type":"response.cancel"}'

LAST_SECONDS, SILENT_SECONDS = 5.0, 0.1
"""For which a provider is listened to after the client has gone, to tell what a response costs; and
of silence, after which it has nothing to tell where none is under way."""

_NOT_HANDED_ON = frozenset({"model", "deployment", "api-version", "key", "api_key", "api-key"})


class Realtime:
    """Answers the WebSockets of realtime sessions."""

    def __init__(self, gateway: Gateway, http: aiohttp.ClientSession) -> None:
        self._gateway = gateway
        self._http = http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call_id = os.urandom(16).hex()
        await receive()
        try:
            headers = header_map(scope)
            protocols = scope.get("subprotocols") or []
            key = credential(headers) or key_in(protocols)
            secret, caller = await let_in(self._gateway, key, scope["path"])
            call = _call(call_id, scope, headers, secret)
            charge_to(call, caller, scope)
            fits = suiting(secret)
            check(self._gateway.serving.snapshot, call.group, fits)
        except GatewayError as error:
            await refuse(scope, send, error)
            return
        session = Session(
            tuple(call.query),
            beta=_speaks_beta(headers, protocols),
            secret=secret.value if secret else "",
        )
        again = partial(_let_in_again, self._gateway, secret, key, scope["path"])
        talk = _Talk(self._gateway, self._http, call, session, again)
        spoken = _PROTOCOL if _PROTOCOL in protocols else None
        try:
            await talk.run(fits, spoken, receive, send)
        except GatewayError as error:
            log.warning("realtime session failed", extra={"call_id": call_id, **errors.told(error)})
        except Exception:
            log.exception("realtime session failed", extra={"call_id": call_id})
            raise


class _Talk:
    """One session: a client's, a deployment's, and what is charged for it."""

    def __init__(
        self,
        gateway: Gateway,
        http: aiohttp.ClientSession,
        call: Call,
        session: Session,
        let_in_again: Callable[[], Awaitable[Principal]],
    ) -> None:
        """let_in_again: who pays, as they are now. Raises what lets no client in."""
        self._gateway = gateway
        self._http = http
        self._call = call
        self._session = session
        self._let_in_again = let_in_again
        self._charge = _charge_of(gateway.serving, call, let_in_again)

    async def run(
        self,
        fits: Callable[[Deployment], bool],
        protocol: str | None,
        receive: Receive,
        send: Send,
    ) -> None:
        """Talks to the end. Raises GatewayError for an end that isn't a good one."""
        call = self._call
        accepted = False
        try:
            async with self._gateway.reach(call, self._connect, suits=fits) as reached:
                if self._charge is not None:
                    self._charge.begin()
                await accept(send, call.id, protocol)
                accepted = True
                async with reached.connection as provider:
                    end = await self._bridged(receive, send, provider)
                if end is None:
                    return
                if end.broken:
                    raise failures.cut(end.broken)
                await close(send, end.code, end.reason)
        except GatewayError as error:
            if not accepted:
                await accept(send, call.id, protocol)
            await send({"type": "websocket.send", "text": _error_event(error, call.id)})
            await close(send, code_of(error), error.message)
            raise
        finally:
            if self._charge is not None:
                await self._charge.leave()
            call.let_go()

    async def _bridged(
        self, receive: Receive, send: Send, provider: aiohttp.ClientWebSocketResponse
    ) -> End | None:
        return await bridge(
            receive,
            send,
            provider,
            heard=self._hear,
            watch=partial(until_refused, self._let_in_again),
            leaving=partial(self._finish, provider),
        )

    def _hear(self, text: str) -> Awaitable[GatewayError | None] | None:
        event = read(text)
        if event is None:
            return None
        self._learn(event)
        return self._charge.hear(event) if self._charge is not None else None

    def _learn(self, event: Event) -> None:
        """Adds up what the session has consumed."""
        if event.usage is not None:
            self._call.usage = total((self._call.usage, event.usage))

    async def _finish(self, provider: aiohttp.ClientWebSocketResponse) -> None:
        """Ends the response under way, and hears what the provider has still to tell of costs."""
        charge = self._charge
        if charge is None:
            return
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                if charge.under_way:
                    await provider.send_str(_CANCEL)
                while not provider.closed:
                    silence = None if charge.under_way else SILENT_SECONDS
                    message = await provider.receive(timeout=silence)
                    event = read(message.data) if message.type is aiohttp.WSMsgType.TEXT else None
                    if event is not None:
                        self._learn(event)
                        await charge.hear_last(event)

    async def _connect(
        self, deployment: Deployment, timeouts: Timeouts
    ) -> aiohttp.ClientWebSocketResponse:
        if self._charge is not None:
            await self._charge.enter()
        return await connect(self._http, deployment, self._session, timeouts.total)


def _charge_of(
    serving: Serving, call: Call, let_in_again: Callable[[], Awaitable[Principal]]
) -> SessionCharge | None:
    if serving.charges is None:
        return None
    from ..charging.sessions import SessionCharge  # noqa: PLC0415 - only where calls are charged

    return SessionCharge(serving.charges, call, serving.snapshot.resolve, let_in_again)


async def let_in(
    gateway: Gateway, key: str | None, path: str
) -> tuple[ClientSecret | None, Principal]:
    """The secret that a client has in place of our key, and who pays.

    Raises AuthenticationFailed, PermissionDenied.
    """
    redeemed = await gateway.serving.authenticator.redeem(key)
    return redeemed or (None, await gateway.authenticate(key, path))


async def _let_in_again(
    gateway: Gateway, secret: ClientSecret | None, key: str | None, path: str
) -> Principal:
    """Who pays, as they are now; a secret that expires ends no session. Raises as `let_in`."""
    if secret is not None:
        return await gateway.serving.authenticator.owner(secret)
    return await gateway.authenticate(key, path)


def suiting(secret: ClientSecret | None) -> Callable[[Deployment], bool]:
    """Whether a deployment can take a session; with a secret, only the one that gave it."""
    if secret is None:
        return takes_sessions
    gave = secret.deployment
    return lambda deployment: deployment.id == gave and takes_sessions(deployment)


def check(snapshot: Snapshot, group: str, fits: Callable[[Deployment], bool]) -> None:
    """Raises InvalidRequest for a model that none of its deployments can hold a session with."""
    found = snapshot.resolve(group)
    if found and not any(map(fits, found)):
        raise InvalidRequest(
            f"The model '{group}' takes no realtime sessions.",
            param="model",
            code="unsupported_model",
        )


def query_of(scope: Scope) -> Headers:
    """The parameters of a request's query."""
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def handed_on(query: Headers) -> Headers:
    """Those that are the provider's."""
    return [(name, value) for name, value in query if name not in _NOT_HANDED_ON]


def _call(
    call_id: str, scope: Scope, headers: Mapping[str, str], secret: ClientSecret | None
) -> Call:
    query = query_of(scope)
    named = dict(query)
    group = secret.group if secret else named.get("model") or named.get("deployment")
    if not group:
        raise InvalidRequest(
            "Missing required parameter: 'model'.",
            param="model",
            code="missing_required_parameter",
        )
    call = Call(
        call_id,
        OPERATION,
        group,
        {},
        time.monotonic(),
        query=handed_on(query),
        headers=headers,
        fallback_groups={} if secret else None,
    )
    take_controls(call)
    return call


def _speaks_beta(headers: Mapping[str, str], protocols: list[str]) -> bool:
    name, value = BETA
    return value in headers.get(name, "") or _BETA_PROTOCOL in protocols


def _error_event(error: GatewayError, call_id: str) -> str:
    """Source: OpenAI's reference of Realtime's server events, `error`."""
    kind = error.kind.value if isinstance(error, ProviderError) else None
    detail = {
        "type": error.type,
        "code": error.code or kind,
        "message": error.message,
        "param": error.param,
        "event_id": None,
    }
    event = {"type": "error", "event_id": f"event_{call_id}", "error": detail}
    return json_text.dumps(event).decode()
