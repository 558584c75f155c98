"""Providers' own APIs under a prefix, and the endpoints that the configuration passes on.

Method, path, query, headers and body go on as they came, and the answer comes back as it is; only
our key is taken off, and the provider's is put on.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote

import aiohttp

from .. import json_text
from ..access.identity import credential
from ..call import Call, Deployment, Headers, Operation, Timeouts, Wire
from ..deadline import Alarms
from ..errors import ErrorKind, GatewayError, MethodNotAllowed, NotFound, internal_error
from ..gateway import Gateway
from ..live.snapshot import Snapshot
from ..providers import failures
from ..providers.environment import ENVIRON
from ..providers.passthrough.accounts import Account, account_of, first_account, lends
from ..providers.passthrough.destination import checked, filtered
from ..providers.passthrough.endpoints import Endpoint, endpoints_of
from ..providers.passthrough.request import Outgoing
from ..providers.passthrough.send import asked_model, forwarded, name_model, prepare, send
from ..providers.passthrough.table import BY_PREFIX, PassThrough
from ..settings.schema import GeneralSettings
from . import errors
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
    too_large,
)
from .relay import Upload, relay

log = logging.getLogger("trunkline.api")

_OPERATIONS = {wire: Operation("pass_through", wire, "*", ()) for wire in Wire}
_AWS_KEY = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/")
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json\b")


@dataclass(frozen=True, slots=True)
class Match:
    """Where a request goes on to. path: what goes on of its path."""

    target: PassThrough | Endpoint
    path: str

    @property
    def wire(self) -> Wire:
        return self.target.wire if isinstance(self.target, PassThrough) else Wire.OPENAI


class PassThroughs:
    """Passes requests on."""

    def __init__(
        self,
        gateway: Gateway,
        session: aiohttp.ClientSession,
        alarms: Alarms,
        body_limit: int,
    ) -> None:
        self._gateway = gateway
        self._session = session
        self._alarms = alarms
        self._body_limit = body_limit
        self._endpoints: tuple[Endpoint, ...] = ()
        self._of: Snapshot | None = None

    def match(self, scope: Scope) -> Match | None:
        """Where a request goes on to; None where it isn't passed on."""
        path = raw_path(scope)
        for endpoint in self._configured():
            rest = endpoint.rest(path)
            if rest is not None:
                return Match(endpoint, rest)
        prefix, slash, rest = path[1:].partition("/")
        row = BY_PREFIX.get(prefix)
        return Match(row, slash + rest) if row else None

    def _configured(self) -> tuple[Endpoint, ...]:
        snapshot = self._gateway.serving.snapshot
        if snapshot is not self._of:
            configured = snapshot.settings.general_settings.pass_through_endpoints
            self._endpoints = endpoints_of(configured, ENVIRON)
            self._of = snapshot
        return self._endpoints

    async def __call__(self, match: Match, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(
            self._gateway,
            self._session,
            self._alarms,
            self._body_limit,
            match,
            scope,
            receive,
            send,
        )
        try:
            await exchange.run()
        except ClientGone:
            log.info("client closed the connection", extra={"call_id": exchange.id})
        except GatewayError as error:
            if exchange.answering:
                # An answer that isn't ended here makes the server break the connection.
                log.warning("answer cut: %s", error.message, extra={"call_id": exchange.id})
                return
            await exchange.refuse(error)
        except Exception:
            if exchange.answering:
                raise
            log.exception("passing on failed", extra={"call_id": exchange.id})
            await exchange.refuse(internal_error(exchange.id))


class _Exchange:
    """One request that is passed on."""

    def __init__(
        self,
        gateway: Gateway,
        session: aiohttp.ClientSession,
        alarms: Alarms,
        body_limit: int,
        match: Match,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self.id = os.urandom(16).hex()
        self.answering = False
        self._gateway = gateway
        self._session = session
        self._alarms = alarms
        self._body_limit = body_limit
        self._match = match
        self._scope = scope
        self._receive = receive
        self._send_on = send
        self._headers = header_map(scope)
        self._query = scope["query_string"].decode("latin-1")
        self._upload: Upload | None = None
        self._settings = gateway.serving.snapshot.settings
        self._patience = _patience(self._settings.general_settings, match.target)

    async def run(self) -> None:
        target = self._match.target
        if isinstance(target, Endpoint):
            await self._to_endpoint(target)
        else:
            await self._to_provider(target)

    async def _to_endpoint(self, endpoint: Endpoint) -> None:
        key = self._headers.get(endpoint.key_header) or self._key()
        if endpoint.auth:
            self._gateway.authenticate(key)
        if self._scope["method"] not in endpoint.methods:
            raise MethodNotAllowed(
                f"{endpoint.path} takes {', '.join(sorted(endpoint.methods))},"
                f" not {self._scope['method']}."
            )
        request = self._outgoing(key, self._body())
        endpoint.prepare(request)
        seconds = endpoint.timeout or self._patience
        async with self._watched():
            response = await self._sent(request, seconds)
            async with _closing(response):
                await self._relay(response, seconds)

    async def _to_provider(self, row: PassThrough) -> None:
        key = self._key()
        self._gateway.authenticate(key)
        json = bool(_JSON.match(self._headers.get("content-type", "")))
        whole = json or row.signer == "aws" or row.rules is not None
        body: bytes | Upload
        if whole:
            body = await read_body(self._receive, self._body_limit, self._alarms)
        else:
            body = self._body()
        request = self._outgoing(key, body)
        if row.rules is not None:
            row.rules.check(request, ENVIRON)
        fields = json_fields(body)
        group = self._group(row, request.path, fields)
        async with self._watched():
            if group is None:
                account = self._account(row, request.path)
                await prepare(row, request, account, self._session)
                response = await self._sent(request, self._patience)
                async with _closing(response):
                    await self._relay(response, self._patience)
            else:
                await self._to_group(row, group, request, fields)

    def _account(self, row: PassThrough, path: str) -> Account:
        """The account for a request that names no model group."""
        vertex = self._settings.default_vertex_config.model_dump(exclude_none=True)
        if row.signer == "google" and vertex:
            return account_of(row, path, ENVIRON, vertex)
        deployments = self._gateway.serving.snapshot.deployments
        return first_account(row, path, ENVIRON, deployments)

    async def _to_group(
        self, row: PassThrough, group: str, request: Outgoing, fields: dict[str, Any]
    ) -> None:
        call = Call(
            id=self.id,
            operation=_OPERATIONS[row.wire],
            group=group,
            body=fields,
            started=time.monotonic(),
            headers=self._headers,
            num_retries=None if self._upload is None else 0,
            fallback_groups={},
        )
        connect = partial(self._connect, row, group, request, fields)
        reaching = self._gateway.reach(call, connect, suits=partial(lends, row))
        async with reaching as reached, _closing(reached.connection):
            response = reached.connection
            if response.status >= 400:
                provider = call.attempts[-1].deployment.provider
                reached.failed(
                    failures.classify(response.status, b"", response.headers, row.wire, provider)
                )
            await self._relay(response, self._patience, call.attempts[-1].deployment)

    async def _connect(
        self,
        row: PassThrough,
        group: str,
        request: Outgoing,
        fields: dict[str, Any],
        deployment: Deployment,
        timeouts: Timeouts,
    ) -> aiohttp.ClientResponse:
        if self._upload is not None and self._upload.started:
            raise failures.failure(
                ErrorKind.BAD_REQUEST, "a body that was sent in part can't be sent again"
            )
        path = request.path
        if row.group_first:
            path = path[path.index("/", 1) :]
        request = replace(
            request,
            path=name_model(row, path, deployment),
            headers=request.headers.copy(),
            body=_naming(request.body, fields, group, deployment),
        )
        account = account_of(row, request.path, ENVIRON, deployment.params)
        await prepare(row, request, account, self._session)
        return await self._sent(request, timeouts.total)

    def _group(self, row: PassThrough, path: str, fields: Mapping[str, Any]) -> str | None:
        """The model group that a request names, where its provider is the prefix's."""
        snapshot = self._gateway.serving.snapshot
        named = asked_model(row, path) or fields.get("model")
        if row.group_first:
            named, slash, _ = path[1:].partition("/")
            if not slash:
                raise NotFound(f"/{row.name} must be followed by a model group and a path.")
        if not isinstance(named, str):
            return None
        group = unquote(named)
        if any(lends(row, deployment) for deployment in snapshot.resolve(group)):
            return group
        if row.group_first:
            raise NotFound(
                f"The model '{group}' does not exist, or is none of {row.name}'s.",
                param="model",
                code="model_not_found",
            )
        return None

    def _key(self) -> str | None:
        """Our key, from the headers, or from the query, where Google's clients put theirs."""
        key = credential(self._headers)
        if key is None:
            query = dict(parse_qsl(self._query))
            return query.get("key") if self._match.wire is Wire.GOOGLE else None
        signed = _AWS_KEY.match(key)
        if signed:
            return signed[1]
        if key[:6].lower() == "basic ":
            return _password(key[6:])
        return key

    def _outgoing(self, key: str | None, body: bytes | Upload) -> Outgoing:
        google = self._match.wire is Wire.GOOGLE

        def ours(name: str, value: str) -> bool:
            return (google and name == "key") or (key is not None and value == key)

        pairs = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in self._scope["headers"]]
        headers = forwarded(pairs, key)
        if isinstance(body, bytes):
            headers.popall("content-length", None)
        return Outgoing(
            method=self._scope["method"],
            path=checked(self._match.path),
            query=filtered(self._query, ours),
            headers=headers,
            body=body,
        )

    def _body(self) -> bytes | Upload:
        """The body as it will arrive; the limit is checked before, where its length is stated."""
        length = self._headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._body_limit:
            raise too_large(self._body_limit)
        if length == "0" or (not length and "transfer-encoding" not in self._headers):
            return b""
        self._upload = Upload(self._receive, self._body_limit)
        return self._upload

    def _watched(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Ends the exchange when the client has gone; while it uploads, the upload notices."""
        if self._upload is None:
            return CancelledWhenGone(self._receive, self._alarms)
        return contextlib.nullcontext()

    async def _sent(self, request: Outgoing, seconds: float) -> aiohttp.ClientResponse:
        try:
            return await send(self._session, request, seconds)
        except GatewayError:
            if self._upload is not None and self._upload.error is not None:
                raise self._upload.error from None
            raise

    async def _relay(
        self,
        response: aiohttp.ClientResponse,
        seconds: float,
        deployment: Deployment | None = None,
    ) -> None:
        extra: Headers = [("x-trunkline-call-id", self.id), ("x-litellm-call-id", self.id)]
        if deployment is not None:
            extra.append(("x-litellm-model-id", deployment.id))
        self.answering = True
        sending = relay(
            response,
            self._send_on,
            wire=self._match.wire,
            extra=extra,
            heartbeat=self._gateway.serving.heartbeat,
            seconds=seconds,
        )
        if self._upload is not None and self._upload.ended:
            async with CancelledWhenGone(self._receive, self._alarms):
                await sending
        else:
            await sending

    async def refuse(self, error: GatewayError) -> None:
        status, headers, body = errors.render(error, self._match.wire)
        headers += [("x-trunkline-call-id", self.id), ("x-litellm-call-id", self.id)]
        await send_answer(self._send_on, status, encode(headers), body)


def _patience(general: GeneralSettings, target: PassThrough | Endpoint) -> float:
    """Seconds of the longest silence: the target's own where the configuration names none."""
    stated = "pass_through_request_timeout" in general.model_fields_set
    own = target.patience if isinstance(target, PassThrough) and not stated else None
    return own or general.pass_through_request_timeout


@contextlib.asynccontextmanager
async def _closing(response: aiohttp.ClientResponse) -> Any:
    """Ends the provider's request with the block, unless it was answered to its end."""
    try:
        yield
    finally:
        response.release() if response.content.at_eof() else response.close()


def raw_path(scope: Scope) -> str:
    """A request's path as the client encoded it."""
    raw = scope.get("raw_path")
    return str(raw.decode("latin-1") if raw else scope["path"])


def json_fields(body: bytes | Upload) -> dict[str, Any]:
    """The JSON object of a body; empty where it is none, which is the provider's to say."""
    if not isinstance(body, bytes) or b'"model"' not in body:
        return {}
    try:
        fields = json_text.loads(body)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _naming(body: Any, fields: dict[str, Any], group: str, deployment: Deployment) -> Any:
    """The body with the deployment's model where the client named its group."""
    if fields.get("model") != group or group == deployment.upstream_model:
        return body
    return json_text.dumps({**fields, "model": deployment.upstream_model})


def _password(encoded: str) -> str | None:
    try:
        pair = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, _, password = pair.partition(":")
    return password or user
