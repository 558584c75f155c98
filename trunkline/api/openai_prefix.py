"""OpenAI's API below `/openai/v1`: our models where a request names one, else what OpenAI has.

The prefix is both a spelling of our own paths and, as in LiteLLM, one whose requests are passed on.
Paths that LiteLLM answers itself there stay ours, whatever model is named.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..access.identity import credential
from ..call import Operation, Wire
from ..deadline import Alarms
from ..errors import GatewayError, NoDeployment
from ..gateway import Gateway
from ..providers.environment import ENVIRON
from ..providers.passthrough.accounts import first_account
from ..providers.passthrough.table import BY_PREFIX
from . import errors
from .http import (
    ClientGone,
    Message,
    Receive,
    Scope,
    Send,
    encode,
    header_map,
    read_body,
    send_answer,
)
from .inference import Inference
from .passing import Match, raw_path
from .passthrough import PassThroughs, json_fields

PREFIX = "/openai/v1/"

_OURS = frozenset({"responses"})
"""Families of operations that LiteLLM has below the prefix as well."""


class OpenAIPrefix:
    """Answers requests for operations below the prefix."""

    def __init__(
        self,
        gateway: Gateway,
        inference: Inference,
        passthroughs: PassThroughs,
        alarms: Alarms,
    ) -> None:
        self._gateway = gateway
        self._inference = inference
        self._passthroughs = passthroughs
        self._alarms = alarms

    async def __call__(
        self,
        operation: Operation,
        path: Mapping[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        if not await self._may_pass_on(operation, scope):
            await self._inference(operation, path, scope, receive, send)
            return
        try:
            limit = self._gateway.serving.body_limit
            body = await read_body(receive, limit, self._alarms)
        except ClientGone:
            return
        except GatewayError as error:
            status, headers, text = errors.render(error, Wire.OPENAI)
            await send_answer(send, status, encode(headers), text)
            return
        again = _Again(body, receive)
        if self._is_theirs(json_fields(body).get("model")):
            row = BY_PREFIX["openai"]
            match = Match(row, raw_path(scope).removeprefix(f"/{row.name}"))
            await self._passthroughs(match, scope, again, send)
        else:
            await self._inference(operation, path, scope, again, send)

    async def _may_pass_on(self, operation: Operation, scope: Scope) -> bool:
        if operation.model != "body" or operation.body != "json" or operation.family in _OURS:
            return False
        try:
            await self._gateway.authenticate(credential(header_map(scope)), scope["path"])
        except GatewayError:  # told where the call is answered
            return False
        return True

    def _is_theirs(self, model: object) -> bool:
        """Whether a model is none of ours, and OpenAI can be asked for it."""
        snapshot = self._gateway.serving.snapshot
        if not isinstance(model, str) or not model or snapshot.resolve(model):
            return False
        try:
            first_account(BY_PREFIX["openai"], "", ENVIRON, snapshot.deployments)
        except NoDeployment:
            return False
        return True


class _Again:
    """A body that was read, as ASGI's `receive`, and then what comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
