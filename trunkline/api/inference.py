"""Every operation of the table over HTTP: one handler for all of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import partial

from ..access.identity import credential
from ..call import Answer, Call, Headers, Operation, Upload, call_ids
from ..deadline import Alarms
from ..errors import GatewayError, internal_error, let_go
from ..gateway import Gateway
from ..telemetry.traces import CLIENT_GONE, Ended, Traces, kind
from . import errors
from .headers import AnswerHeaders
from .http import (
    AnswerCut,
    CancelledWhenGone,
    ClientGone,
    EncodedHeaders,
    Receive,
    Scope,
    Send,
    encode,
    header_map,
    read_body,
    send_answer,
    send_chunks,
)
from .multipart import NO_FORM, is_form, read_form
from .payers import charge_to, tenant
from .requests import read_call

log = logging.getLogger("trunkline.api")


class Inference:
    """Reads a call, asks the gateway, writes the answer."""

    def __init__(self, gateway: Gateway, alarms: Alarms, traces: Traces | None = None) -> None:
        """traces: where calls are told of; None where nobody asked for it."""
        self._gateway = gateway
        self._traces = traces
        self._alarms = alarms
        self._headers = AnswerHeaders()
        self._call_ids = call_ids()

    async def __call__(
        self,
        operation: Operation,
        path: Mapping[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        started = time.monotonic()
        call_id = next(self._call_ids)
        call: Call | None = None
        uploads: tuple[Upload, ...] = ()
        headers: Mapping[str, str] = {}
        status, failure = CLIENT_GONE, ""
        try:
            headers = header_map(scope)
            caller = await self._gateway.authenticate(credential(headers), scope["path"])
            limit = self._gateway.serving.body_limit
            if operation.body == "multipart" and is_form(headers):
                body, form = b"", await read_form(receive, headers, limit)
            else:
                body = await read_body(receive, limit, self._alarms)
                form = NO_FORM
            uploads = form.uploads
            call = read_call(
                call_id, started, operation, path, scope["query_string"], headers, body, form
            )
            charge_to(call, caller, scope)
            if self._traces is not None:
                call.trace = self._traces.trace_of(call_id, headers)
            answers = self._gateway.serving.answers
            if answers is not None:
                call.caller = tenant(caller, answers.scope)
            status = await self._answer(call, receive, send)
        except ClientGone:
            log.info("client closed the connection", extra={"call_id": call_id})
        except AnswerCut as cut:
            status, failure = 200, kind(cut.error)
            log.warning("answer cut", extra={"call_id": call_id, **errors.told(cut.error)})
        except GatewayError as error:
            failure = kind(error)
            status = await self._refuse(error, operation, call_id, call, send)
            let_go(error)
        except Exception as error:
            failure = kind(error)
            log.exception("call failed", extra={"call_id": call_id, "operation": operation.name})
            status = await self._refuse(internal_error(call_id), operation, call_id, call, send)
        finally:
            if self._traces is not None:
                self._traces.ended(
                    Ended(operation, call_id, started, headers, status, call, failure)
                )
            for upload in uploads:
                upload.file.close()
            if call is not None:
                call.let_go()

    async def _answer(self, call: Call, receive: Receive, send: Send) -> int:
        async with CancelledWhenGone(receive, self._alarms):
            answer = await self._gateway.answer(call)
            try:
                await self._send(call, answer, send)
            finally:
                close = getattr(answer.chunks, "aclose", None)
                if close is not None:
                    await close()
            return answer.status

    async def _send(self, call: Call, answer: Answer, send: Send) -> None:
        serving = self._gateway.serving
        headers = _limited(answer.headers, call.limits)
        headers += self._headers.of(call, serving.snapshot)
        if answer.chunks is None:
            await send_answer(send, answer.status, headers, answer.body)
            return
        events = _is_events(answer)
        await send_chunks(
            send,
            answer.status,
            headers,
            answer.chunks,
            heartbeat=serving.heartbeat if events else None,
            last_words=partial(_last_words, call) if events else None,
        )

    async def _refuse(
        self, error: GatewayError, operation: Operation, call_id: str, call: Call | None, send: Send
    ) -> int:
        status, headers, body = errors.render(error, operation.wire)
        encoded = encode(headers) + self._headers.of_error(call_id, call)
        await send_answer(send, status, encoded, body)
        return status


def _limited(headers: Headers, limits: EncodedHeaders) -> EncodedHeaders:
    """With the caller's own limits in the place of the provider's, which are the gateway's."""
    if not limits:
        return encode(headers)
    return encode([each for each in headers if not each[0].startswith("x-ratelimit-")]) + limits


def _is_events(answer: Answer) -> bool:
    return any(
        name == "content-type" and value.lower().startswith("text/event-stream")
        for name, value in answer.headers
    )


def _last_words(call: Call, error: GatewayError) -> bytes:
    log.warning("stream failed", extra={"call_id": call.id, **errors.told(error)})
    return errors.stream_event(error, call.operation.wire, call.operation.name)
