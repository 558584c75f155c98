"""Realtime over HTTP: secrets for clients, and sessions over WebRTC.

A client gets a secret of ours that stands for the provider's. With it, it opens its session here,
by WebRTC or by WebSocket, at the deployment that gave the secret.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .. import json_text
from ..access.client_secrets import ClientSecret
from ..access.identity import credential
from ..call import Answer, Call, Deployment, Operation, Timeouts, Wire
from ..deadline import Alarms
from ..errors import GatewayError, MethodNotAllowed, internal_error
from ..gateway import Gateway
from ..providers import failures
from ..providers.client import aiohttp
from ..providers.realtime_sessions import object_of, post
from . import errors
from .controls import take_controls
from .headers import AnswerHeaders
from .http import (
    CancelledWhenGone,
    ClientGone,
    Receive,
    Scope,
    Send,
    encode,
    header_map,
    read_body,
    send_answer,
)
from .multipart import is_form, read_form
from .payers import charge_to
from .realtime import check, handed_on, let_in, query_of, suiting
from .realtime_requests import Asked, client_secret, transcription, webrtc

log = logging.getLogger("trunkline.api")

LONGEST_LIFE = 7200
"""Seconds that a secret is good for where the provider doesn't say: OpenAI's most."""


def _operation(name: str, summary: str) -> Operation:
    path = f"/realtime/{name}"
    paths = (f"/v1{path}", path, f"/openai/v1{path}")
    return Operation(
        f"realtime.{name}",
        Wire.OPENAI,
        "POST",
        paths,
        upstream=path,
        model="optional",
        summary=summary,
    )


SECRETS = _operation("client_secrets", "Create a secret for a realtime client")
TRANSCRIPTIONS = _operation(
    "transcription_sessions", "Create a secret for a client that has speech transcribed"
)
CALLS = _operation("calls", "Open a realtime session over WebRTC")

OPERATIONS = (SECRETS, TRANSCRIPTIONS, CALLS)
BY_PATH: Mapping[str, Operation] = {path: each for each in OPERATIONS for path in each.paths}


class RealtimeHttp:
    """Answers the HTTP requests of realtime clients."""

    def __init__(self, gateway: Gateway, http: aiohttp.ClientSession, alarms: Alarms) -> None:
        self._gateway = gateway
        self._http = http
        self._alarms = alarms
        self._headers = AnswerHeaders()

    async def __call__(
        self, operation: Operation, scope: Scope, receive: Receive, send: Send
    ) -> None:
        exchange = _Exchange(self._gateway, self._http, operation, scope)
        try:
            await exchange.let_in()
            asked = await self._read(exchange, receive)
            async with CancelledWhenGone(receive, self._alarms):
                answer = await exchange.answer(asked)
            told = self._headers.of(exchange.call, self._gateway.serving.snapshot)
            await send_answer(send, answer.status, encode(answer.headers) + told, answer.body)
        except ClientGone:
            log.info("client closed the connection", extra={"call_id": exchange.call.id})
        except GatewayError as error:
            await self._refuse(error, exchange.call, send)
        except Exception:
            log.exception("call failed", extra={"call_id": exchange.call.id})
            await self._refuse(internal_error(exchange.call.id), exchange.call, send)

    async def _read(self, exchange: _Exchange, receive: Receive) -> Asked:
        headers, limit = exchange.call.headers, self._gateway.serving.body_limit
        if not is_form(headers):
            return exchange.take(await read_body(receive, limit, self._alarms), {})
        form = await read_form(receive, headers, limit)
        for upload in form.uploads:
            upload.file.close()
        return exchange.take(b"", form.fields)

    async def _refuse(self, error: GatewayError, call: Call, send: Send) -> None:
        status, headers, body = errors.render(error, Wire.OPENAI)
        told = self._headers.of_error(call.id, call)
        await send_answer(send, status, encode(headers) + told, body)


class _Exchange:
    """One request and its answer. secret: what the client was let in with, if not our key."""

    def __init__(
        self, gateway: Gateway, http: aiohttp.ClientSession, operation: Operation, scope: Scope
    ) -> None:
        query = query_of(scope)
        self.call = Call(
            id=os.urandom(16).hex(),
            operation=operation,
            group="",
            body={},
            started=time.monotonic(),
            headers=header_map(scope),
            query=handed_on(query),
        )
        self._gateway = gateway
        self._http = http
        self._scope = scope
        self._owner = ""
        self._method = scope["method"]
        self._model = dict(query).get("model")
        self._secret: ClientSecret | None = None

    async def let_in(self) -> None:
        """Raises GatewayError where the client may not ask at all."""
        call = self.call
        if self._method != call.operation.method:
            path = call.operation.paths[0]
            raise MethodNotAllowed(f"{path} takes {call.operation.method}, not {self._method}.")
        key, path = credential(call.headers), call.operation.paths[0]
        if call.operation is CALLS:
            self._secret, caller = await let_in(self._gateway, key, path)
        else:
            caller = await self._gateway.authenticate(key, path)
        self._owner = caller.key
        charge_to(call, caller, self._scope)

    def take(self, body: bytes, form: dict[str, Any]) -> Asked:
        """Takes the request's body, or the form that it is. Raises InvalidRequest."""
        call = self.call
        if call.operation is CALLS:
            kind = call.headers.get("content-type", "")
            asked = webrtc(body, kind, form, self._model, self._secret)
        else:
            asked = (client_secret if call.operation is SECRETS else transcription)(body)
        call.group, call.body = asked.group, asked.fields
        take_controls(call)
        return asked

    async def answer(self, asked: Asked) -> Answer:
        call, serving = self.call, self._gateway.serving
        fits = suiting(self._secret)
        check(serving.snapshot, call.group, fits)
        if self._secret is not None:
            call.fallback_groups = {}
        connect = partial(self._ask, asked)
        async with self._gateway.reach(call, connect, suits=fits) as reached:
            answer = reached.connection
            if call.operation is not CALLS:
                answer.body = _sealed(answer, self._issue)
            return answer

    async def _ask(self, asked: Asked, deployment: Deployment, timeouts: Timeouts) -> Answer:
        call = self.call
        return await post(
            self._http,
            deployment,
            call.operation.upstream,
            asked.make(deployment.upstream_model),
            timeouts,
            query=call.query,
            secret=self._secret.value if self._secret else "",
        )

    def _issue(self, value: str, expires: Any) -> str:
        """Our secret for that of the deployment that was asked."""
        until = expires if isinstance(expires, int) else int(time.time()) + LONGEST_LIFE
        deployment = self.call.attempts[-1].deployment
        secret = ClientSecret(value, self.call.group, deployment.id, until, self._owner)
        return self._gateway.serving.authenticator.issue(secret)


def _sealed(answer: Answer, issue: Callable[[str, Any], str]) -> bytes:
    """The answer with secrets of ours where it holds the provider's."""
    fields = object_of(answer)
    session = fields.get("session")
    places = [
        fields,
        fields.get("client_secret"),
        session.get("client_secret") if isinstance(session, dict) else None,
    ]
    sealed = False
    for place in places:
        if isinstance(place, dict) and isinstance(place.get("value"), str):
            place["value"] = issue(place["value"], place.get("expires_at"))
            sealed = True
    if not sealed:
        raise failures.malformed("it holds no client secret")
    return json_text.dumps(fields)
