"""The Gemini API (generativelanguage.googleapis.com): keys, errors, models.

Source: the API's reference and troubleshooting page; errors are `google.rpc.Status`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from ..reply import SSE, Exchange, Refused, Reply
from ..server import FakeProvider, Route
from . import generate

_VERSION = "/{version:v1|v1beta|v1alpha|v1beta1}"

# status: the code's name, message
_ERRORS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "Requested entity was not found."),
    408: ("DEADLINE_EXCEEDED", "The request timed out."),
    429: ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "An internal error has occurred."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}
_NO_KEY = (
    "Method doesn't allow unregistered callers (callers without established identity). Please use "
    "API Key or other form of API consumer identity to call this API."
)
_MODELS = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-embedding-001")


def error_object(
    status: int, message: str = "", details: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    name, default = _ERRORS.get(status, _ERRORS[500])
    error: dict[str, Any] = {"code": status, "message": message or default, "status": name}
    if status == 429 and details is None:
        details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}]
    return {"error": error | {"details": details} if details else error}


class FakeGemini(FakeProvider):
    """The Gemini API; an SDK's base URL is `url`."""

    name = "gemini"
    service: ClassVar[str] = "generativelanguage.googleapis.com"

    def routes(self) -> list[Route]:
        model = _VERSION + "/models/{model}"
        return [
            ("POST", model + ":generateContent", generate.generate),
            ("POST", model + ":streamGenerateContent", generate.stream_generate),
            ("POST", model + ":countTokens", generate.count_tokens),
            ("POST", model + ":embedContent", generate.embed),
            ("POST", model + ":batchEmbedContents", generate.batch_embed),
            ("GET", _VERSION + "/models", self._list_models),
            ("GET", model, self._get_model),
        ]

    @property
    def base_url(self) -> str:
        return self.url + "/v1beta"

    def authorize(self, x: Exchange) -> None:
        if not x.recorded.key:
            raise Refused(self.error(403, _NO_KEY))
        if self.keys is not None and x.recorded.key not in self.keys:
            raise Refused(self.failure("invalid_api_key", x))

    def headers(self, x: Exchange) -> dict[str, str]:
        return {
            "vary": "Origin, X-Origin, Referer",
            "server": "scaffolding on HTTPServer2",
            "server-timing": "gfet4t7; dur=7",
        }

    def error(self, status: int, message: str = "") -> Reply:
        return generate.answered(error_object(status, message), status)

    def failure(self, name: str, x: Exchange) -> Reply:
        if name == "invalid_api_key":
            return self._invalid_key()
        if name == "model_not_found":
            return self.error(
                404,
                f"models/{x.path.get('model')} is not found for API version v1beta, or is not "
                "supported for generateContent. Call ListModels to see the list of available "
                "models and their supported methods.",
            )
        if name == "context_window_exceeded":
            return self.error(
                400,
                "The input token count (1200000) exceeds the maximum number of tokens allowed "
                "(1048576).",
            )
        return self._blocked(x)

    def error_event(self, x: Exchange) -> bytes:
        """Google breaks off its events and prints the error as it is; its array gets one more
        element."""
        error = generate.pretty(error_object(503))
        return error + b"\r\n" if generate.as_events(x) else b",\r\n" + error + b"]\n"

    def malformed_event(self, x: Exchange) -> bytes:
        return b'data: {"candidates": [{"cont\r\n\r\n'

    def adapt(self, x: Exchange, reply: Reply) -> Reply:
        """Where the answer would be an array, the error is its only element."""
        listed = x.recorded.path.endswith(":streamGenerateContent") and not generate.as_events(x)
        if reply.status < 400 or not listed or not reply.body.startswith(b"{"):
            return reply
        return generate.answered([orjson.loads(reply.body)], reply.status)

    def _invalid_key(self) -> Reply:
        message = "API key not valid. Please pass a valid API key."
        details = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": self.service},
            },
            {
                "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
                "locale": "en-US",
                "message": message,
            },
        ]
        return generate.answered(error_object(400, message, details), 400)

    def _blocked(self, x: Exchange) -> Reply:
        """Google answers 200 to a prompt that it blocks, without candidates."""
        body = {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1},
            "modelVersion": x.path.get("model", ""),
        }
        if not x.recorded.path.endswith(":streamGenerateContent"):
            return generate.answered(body)
        if generate.as_events(x):
            event = b"data: " + orjson.dumps(body) + b"\r\n\r\n"
            return Reply(content_type=SSE, pieces=(event,))
        return generate.answered([body])

    def _list_models(self, x: Exchange) -> Reply:
        return generate.answered({"models": [_model(name) for name in self.models or _MODELS]})

    def _get_model(self, x: Exchange) -> Reply:
        generate.check_model(x)
        return generate.answered(_model(x.path["model"]))


def _model(name: str) -> dict[str, Any]:
    methods = ["embedContent"] if "embed" in name else ["generateContent", "countTokens"]
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "description": f"{name} on loopback",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": methods,
    }
