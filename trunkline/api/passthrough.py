"""Providers' own APIs under a prefix, and the endpoints that the configuration passes on.

Method, path, query, headers and body go on as they came, and the answer comes back as it is; only
our key is taken off, and the provider's is put on.
"""

from __future__ import annotations

import contextlib
import logging
import re
from functools import partial
from typing import Any

from .. import json_text
from ..call import Call, Deployment, Headers, Timeouts
from ..charging.passed_on import PassedOn
from ..deadline import Alarms
from ..errors import ErrorKind, GatewayError, ProviderError, internal_error, let_go
from ..gateway import Gateway
from ..providers import failures
from ..providers.client import aiohttp
from ..providers.environment import ENVIRON
from ..providers.passthrough.accounts import lends
from ..providers.passthrough.endpoints import Endpoint
from ..providers.passthrough.request import Outgoing
from ..providers.passthrough.send import prepare, send
from ..providers.passthrough.table import PassThrough
from ..settings.schema import GeneralSettings
from . import errors
from .http import (
    CancelledWhenGone,
    ClientGone,
    Receive,
    Scope,
    Send,
    encode,
    read_body,
    send_answer,
    too_large,
)
from .passing import Match, Passing, priced, to_deployment
from .relay import Upload, relay

log = logging.getLogger("trunkline.api")

_JSON = re.compile(r"application/(?:[\w.-]+\+)?json\b")


class PassThroughs:
    """Passes requests on."""

    def __init__(
        self,
        gateway: Gateway,
        session: aiohttp.ClientSession,
        alarms: Alarms,
    ) -> None:
        self._gateway = gateway
        self._session = session
        self._alarms = alarms

    async def __call__(self, match: Match, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(
            self._gateway,
            self._session,
            self._alarms,
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
                log.warning("answer cut", extra={"call_id": exchange.id, **errors.told(error)})
                return
            await exchange.refuse(error)
            let_go(error)
        except Exception:
            if exchange.answering:
                raise
            log.exception("passing on failed", extra={"call_id": exchange.id})
            await exchange.refuse(internal_error(exchange.id))


class _Exchange(Passing):
    """One request that is passed on, and its answer."""

    def __init__(
        self,
        gateway: Gateway,
        session: aiohttp.ClientSession,
        alarms: Alarms,
        match: Match,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        super().__init__(gateway, match, scope)
        self.answering = False
        self._session = session
        self._alarms = alarms
        self._body_limit = gateway.serving.body_limit
        self._receive = receive
        self._send_on = send
        self._upload: Upload | None = None
        self._patience = _patience(self.settings.general_settings, match.target)

    async def run(self) -> None:
        target = self.match.target
        key = await self.let_in()
        if isinstance(target, Endpoint):
            await self._to_endpoint(target, key)
        else:
            await self._to_provider(target, key)

    async def _to_endpoint(self, endpoint: Endpoint, key: str | None) -> None:
        request = self.outgoing(key, self._body())
        endpoint.prepare(request)
        seconds = endpoint.timeout or self._patience
        call = self.call(endpoint.path, {})
        if not endpoint.auth:
            call.payer = None
        async with self._watched(), self.charged(call, priced(endpoint)):
            response = await self._sent(request, seconds)
            async with _closing(response):
                await self._relay(response, seconds, call)

    async def _to_provider(self, row: PassThrough, key: str | None) -> None:
        json = bool(_JSON.match(self.headers.get("content-type", "")))
        whole = json or row.signer == "aws" or row.rules is not None
        body: bytes | Upload
        if whole:
            body = await read_body(self._receive, self._body_limit, self._alarms)
        else:
            body = self._body()
        request = self.outgoing(key, body)
        if row.rules is not None:
            row.rules.check(request, ENVIRON)
        fields = json_fields(body, named=row.model is not None)
        group = self.group(row, request.path, [fields.get("model")])
        async with self._watched():
            if group is None:
                await self._to_account(row, request, fields)
            else:
                await self._to_group(row, group, request, fields)

    async def _to_account(
        self, row: PassThrough, request: Outgoing, fields: dict[str, Any]
    ) -> None:
        account = self.account(row, request.path)
        model = self.model(row, request.path, [fields.get("model")])
        call = self.call(model, fields)
        await prepare(row, request, account, self._session)
        async with self.charged(call, await self.stand_in(row, model)):
            response = await self._sent(request, self._patience)
            async with _closing(response):
                await self._relay(response, self._patience, call)

    async def _to_group(
        self, row: PassThrough, group: str, request: Outgoing, fields: dict[str, Any]
    ) -> None:
        call = self.call(group, fields)
        call.num_retries = None if self._upload is None else 0
        connect = partial(self._connect, row, group, request, fields)
        reaching = self.gateway.reach(call, connect, suits=partial(lends, row))
        try:
            async with reaching as reached, _closing(reached.connection):
                response = reached.connection
                failure = self._failure(response, call)
                if failure is not None:
                    reached.failed(failure)
                await self._relay(response, self._patience, call)
        finally:
            call.let_go()

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
        request, account = to_deployment(row, request, deployment)
        request.body = _naming(request.body, fields, group, deployment)
        await prepare(row, request, account, self._session)
        return await self._sent(request, timeouts.total)

    def _body(self) -> bytes | Upload:
        """The body as it will arrive; the limit is checked before, where its length is stated."""
        length = self.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._body_limit:
            raise too_large(self._body_limit)
        if length == "0" or (not length and "transfer-encoding" not in self.headers):
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

    def _failure(self, response: aiohttp.ClientResponse, call: Call) -> ProviderError | None:
        if response.status < 400:
            return None
        provider = call.attempts[-1].deployment.provider if call.attempts else ""
        return failures.classify(response.status, b"", response.headers, self.match.wire, provider)

    async def _relay(self, response: aiohttp.ClientResponse, seconds: float, call: Call) -> None:
        extra: Headers = [("x-trunkline-call-id", self.id), ("x-litellm-call-id", self.id)]
        if call.attempts and (identity := call.attempts[-1].deployment.id):
            extra.append(("x-litellm-model-id", identity))
        passed = None
        if call.charge is not None:
            passed = PassedOn(call, response.headers, self._failure(response, call))
        self.answering = True
        sending = relay(
            response,
            self._send_on,
            wire=self.match.wire,
            extra=extra,
            heartbeat=self.gateway.serving.heartbeat,
            seconds=seconds,
            passed=passed,
        )
        try:
            if self._upload is not None and self._upload.ended:
                async with CancelledWhenGone(self._receive, self._alarms):
                    await sending
            else:
                await sending
        except BaseException as error:
            if passed is not None:
                await passed.end(error)
            raise

    async def refuse(self, error: GatewayError) -> None:
        status, headers, body = errors.render(error, self.match.wire)
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


def json_fields(body: bytes | Upload, *, named: bool = False) -> dict[str, Any]:
    """The JSON object of a body; empty where it is none, which is the provider's to say.

    named: whether it is read though it names no model, which stands in the path.
    """
    if not isinstance(body, bytes) or not (named or b'"model"' in body):
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
