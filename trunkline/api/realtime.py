"""Realtime sessions: a client's WebSocket, led through to a deployment's."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from .. import json_text
from ..access.client_secrets import ClientSecret
from ..access.identity import Principal, credential
from ..call import Call, Deployment, Headers, Operation, Timeouts, Usage, Wire
from ..errors import GatewayError, InvalidRequest, ProviderError
from ..gateway import Gateway
from ..live.snapshot import Snapshot
from ..providers import failures
from ..providers.client import aiohttp
from ..providers.realtime import BETA, Session, connect, takes_sessions
from . import errors
from .bridge import FAILED, bridge
from .controls import take_controls
from .http import Receive, Scope, Send, header_map
from .payers import charge_to
from .sockets import accept, close, key_in, refuse

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
        try:
            await self._converse(call, session, fits, protocols, receive, send)
        except GatewayError as error:
            log.warning("realtime session failed", extra={"call_id": call_id, **errors.told(error)})
        except Exception:
            log.exception("realtime session failed", extra={"call_id": call_id})
            raise

    async def _converse(
        self,
        call: Call,
        session: Session,
        fits: Callable[[Deployment], bool],
        protocols: list[str],
        receive: Receive,
        send: Send,
    ) -> None:
        connecting = partial(self._connect, session)
        spoken = _PROTOCOL if _PROTOCOL in protocols else None
        accepted = False
        try:
            async with self._gateway.reach(call, connecting, suits=fits) as reached:
                await accept(send, call.id, spoken)
                accepted = True
                async with reached.connection as provider:
                    end = await bridge(receive, send, provider, partial(_learn, call.usage))
                if end is None:
                    return
                if end.broken:
                    raise failures.cut(end.broken)
                await close(send, end.code, end.reason)
        except GatewayError as error:
            if not accepted:
                await accept(send, call.id, spoken)
            await send({"type": "websocket.send", "text": _error_event(error, call.id)})
            await close(send, FAILED, error.message)
            raise

    async def _connect(
        self, session: Session, deployment: Deployment, timeouts: Timeouts
    ) -> aiohttp.ClientWebSocketResponse:
        return await connect(self._http, deployment, session, timeouts.total)


async def let_in(
    gateway: Gateway, key: str | None, path: str
) -> tuple[ClientSecret | None, Principal]:
    """The secret that a client has in place of our key, and who pays.

    Raises AuthenticationFailed, PermissionDenied.
    """
    redeemed = await gateway.serving.authenticator.redeem(key)
    return redeemed or (None, await gateway.authenticate(key, path))


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


def _learn(usage: Usage, text: str) -> None:
    """Adds up what the session's responses consumed."""
    if '"response.done"' not in text:
        return
    try:
        event = json_text.loads(text.encode())
        figures: Any = event["response"]["usage"]
        read, written = figures["input_tokens"], figures["output_tokens"]
    except (ValueError, KeyError, TypeError):
        return
    if isinstance(read, int) and isinstance(written, int):
        usage.input_tokens = (usage.input_tokens or 0) + read
        usage.output_tokens = (usage.output_tokens or 0) + written


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
