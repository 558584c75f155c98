"""Bedrock's credentials, headers and errors. Source: the runtime's API reference, common errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from ..reply import Exchange, Refused, Reply
from ..server import FakeProvider, Route
from . import converse, eventstream, invoke, signature

_WRONG_SIGNATURE = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)
_BLOCKED = (
    "This request has been blocked by our content filters. Our filters automatically flagged this "
    "prompt because it may conflict our AUP or AWS Responsible AI Policy. Please adjust your text "
    "prompt to submit a new request."
)

# status: error type, message
_ERRORS = {
    400: ("ValidationException", "Malformed input request, please reformat your input."),
    403: ("AccessDeniedException", "You don't have access to the model with the specified ID."),
    404: ("ResourceNotFoundException", "Could not resolve the foundation model."),
    408: ("ModelTimeoutException", "Model has timed out in processing the request."),
    424: ("ModelErrorException", "The model encountered an error while processing."),
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    500: ("InternalServerException", "The system encountered an unexpected error."),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request."),
}


class FakeBedrock(FakeProvider):
    """The runtime; `url` is what a configuration calls the endpoint.

    credentials: secret keys by access key; requests are signed with one of them.
    keys: Bedrock API keys that are accepted as bearer tokens; none by default.
    """

    name = "bedrock"
    stream_type: ClassVar[str] = eventstream.CONTENT_TYPE

    def __init__(
        self,
        *,
        access_key: str = "AKIAFAKEFAKEFAKEFAKE",
        secret_key: str = "fake-secret-key",
        credentials: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.access_key = access_key
        self.secret_key = secret_key
        self.credentials = {access_key: secret_key, **(credentials or {})}

    def routes(self) -> list[Route]:
        return [
            ("POST", "/model/{model}/converse", self._checked(converse.converse)),
            ("POST", "/model/{model}/converse-stream", self._checked(converse.converse_stream)),
            ("POST", "/model/{model}/invoke", self._checked(invoke.invoke)),
            (
                "POST",
                "/model/{model}/invoke-with-response-stream",
                self._checked(invoke.invoke_stream),
            ),
            ("POST", "/model/{model}/count-tokens", self._checked(converse.count_tokens)),
        ]

    def _checked(self, handler: Any) -> Any:
        def checked(x: Exchange) -> Reply:
            if self.models is not None and x.path["model"] not in self.models:
                raise Refused(self.failure("model_not_found", x))
            reply: Reply = handler(x)
            return reply

        return checked

    def authorize(self, x: Exchange) -> None:
        if x.recorded.key and x.recorded.key in (self.keys or ()):
            return
        signed = signature.read(x.recorded)
        if signed is None:
            raise Refused(
                self.named(
                    403, "MissingAuthenticationTokenException", "Missing Authentication Token"
                )
            )
        secret = self.credentials.get(signed.access_key)
        if secret is None:
            raise Refused(self.failure("invalid_api_key", x))
        if not signature.genuine(x.recorded, signed, secret):
            raise Refused(self.named(403, "InvalidSignatureException", _WRONG_SIGNATURE))

    def headers(self, x: Exchange) -> dict[str, str]:
        return {"x-amzn-RequestId": self.new_id("", 36)}

    def named(self, status: int, kind: str, message: str) -> Reply:
        return Reply(status, orjson.dumps({"message": message}), headers={"x-amzn-ErrorType": kind})

    def error(self, status: int, message: str = "") -> Reply:
        kind, default = _ERRORS.get(status) or _ERRORS[400 if status < 500 else 500]
        return self.named(status, kind, message or default)

    def failure(self, name: str, x: Exchange) -> Reply:
        if name == "invalid_api_key":
            message = "The security token included in the request is invalid."
            return self.named(403, "UnrecognizedClientException", message)
        messages = {
            "model_not_found": "The provided model identifier is invalid.",
            "context_window_exceeded": "Input is too long for requested model.",
            "content_policy_violation": _BLOCKED,
        }
        return self.error(400, messages[name])

    def error_event(self, x: Exchange) -> bytes:
        return eventstream.exception("internalServerException", _ERRORS[500][1])

    def malformed_event(self, x: Exchange) -> bytes:
        return eventstream.raw_event("contentBlockDelta", b'{"contentBlockIndex": 0, "del')
