"""Every operation of the table over HTTP: one handler for all of them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from .. import json_text
from ..access.identity import credential
from ..call import Call, Operation
from ..errors import GatewayError, InvalidRequest
from ..gateway import Gateway
from ..providers.client_parameters import forbidden_parameter
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
    send_chunks,
)

log = logging.getLogger("trunkline.api")

_CREDENTIAL_QUERY = frozenset({"key", "api_key", "api-version"})
_TYPE_NAMES = {
    str: "a string",
    list: "an array",
    dict: "an object",
    int: "an integer",
    bool: "a boolean",
}


class Inference:
    """Reads a call, asks the gateway, writes the answer."""

    def __init__(self, gateway: Gateway, body_limit: int) -> None:
        self._gateway = gateway
        self._body_limit = body_limit
        self._headers = AnswerHeaders()

    async def __call__(
        self,
        operation: Operation,
        path: Mapping[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        started = time.monotonic()
        call_id = os.urandom(16).hex()
        call: Call | None = None
        try:
            headers = header_map(scope)
            self._gateway.authenticate(credential(headers))
            body = await read_body(receive, self._body_limit)
            call = read_call(call_id, started, operation, path, scope, headers, body)
            await self._answer(call, receive, send)
        except ClientGone:
            log.info("client closed the connection", extra={"call_id": call_id})
        except GatewayError as error:
            await self._refuse(error, operation, call_id, call, send)
        except Exception:
            log.exception("call failed", extra={"call_id": call_id, "operation": operation.name})
            await self._refuse(errors.internal_error(call_id), operation, call_id, call, send)

    async def _answer(self, call: Call, receive: Receive, send: Send) -> None:
        async with CancelledWhenGone(receive):
            answer = await self._gateway.answer(call)
            serving = self._gateway.serving
            headers = encode(answer.headers) + self._headers.of(call, serving.snapshot)
            if answer.chunks is None:
                await send_answer(send, answer.status, headers, answer.body)
                return
            events = call.stream
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
    ) -> None:
        status, headers, body = errors.render(error, operation.wire)
        encoded = encode(headers) + self._headers.of_error(call_id, call)
        await send_answer(send, status, encoded, body)


def read_call(
    call_id: str,
    started: float,
    operation: Operation,
    path: Mapping[str, str],
    scope: Scope,
    headers: Mapping[str, str],
    body: bytes,
) -> Call:
    """The call that a request makes. Raises InvalidRequest."""
    fields = _decode(body) if operation.body == "json" else {}
    _check(operation, fields)
    call = Call(
        id=call_id,
        operation=operation,
        group=_group(operation, path, fields),
        body=fields,
        started=started,
        raw=body,
        path=path,
        headers=headers,
        stream=_streams(operation, fields),
    )
    if scope["query_string"]:
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        call.query = [(name, value) for name, value in query if name not in _CREDENTIAL_QUERY]
    take_controls(call)
    return call


def _decode(body: bytes) -> dict[str, Any]:
    try:
        fields = json_text.loads(body)
    except ValueError as error:
        raise InvalidRequest(f"The request's body is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("The request's body must be a JSON object.")
    forbidden = forbidden_parameter(fields)
    if forbidden:
        raise InvalidRequest(
            f"A request may not set '{forbidden}': it is decided by the gateway's configuration.",
            param=forbidden,
            code="parameter_not_allowed",
        )
    return fields


def _check(operation: Operation, fields: Mapping[str, Any]) -> None:
    for name, types in operation.required:
        value = fields.get(name)
        if value is None:
            raise InvalidRequest(
                f"Missing required parameter: '{name}'.",
                param=name,
                code="missing_required_parameter",
            )
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            expected = " or ".join(_TYPE_NAMES[kind] for kind in types)
            raise InvalidRequest(
                f"Invalid type for '{name}': expected {expected}.", param=name, code="invalid_type"
            )
        if name == "messages":
            _check_messages(value)


def _check_messages(messages: list[Any]) -> None:
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InvalidRequest(
                f"Invalid type for 'messages[{index}]': expected an object.",
                param=f"messages[{index}]",
                code="invalid_type",
            )
        if not isinstance(message.get("role"), str):
            raise InvalidRequest(
                f"'messages[{index}].role' must be a string.",
                param=f"messages[{index}].role",
                code="invalid_type",
            )


def _group(operation: Operation, path: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    group = path.get("model")
    if group is None and operation.model == "body":
        group = fields.get("model")
        if group is None:
            raise InvalidRequest(
                "Missing required parameter: 'model'.",
                param="model",
                code="missing_required_parameter",
            )
        if not isinstance(group, str) or not group:
            raise InvalidRequest(
                "Invalid type for 'model': expected a string that isn't empty.",
                param="model",
                code="invalid_type",
            )
    return group or ""


def _streams(operation: Operation, fields: Mapping[str, Any]) -> bool:
    if operation.model == "path" and operation.streams:
        return True
    stream = fields.get("stream")
    if stream is None or not operation.streams:
        return False
    if not isinstance(stream, bool):
        raise InvalidRequest(
            "Invalid type for 'stream': expected a boolean.", param="stream", code="invalid_type"
        )
    return stream


def _last_words(call: Call, error: GatewayError) -> bytes:
    log.warning("stream failed: %s", error.message, extra={"call_id": call.id})
    return errors.stream_event(error, call.operation.wire, call.operation.name)
