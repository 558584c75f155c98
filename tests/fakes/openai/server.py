"""OpenAI's credentials, headers and errors, and the list of everything it serves."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson

from ..faults import RateLimitHeaders
from ..reply import Exchange, Refused, Reply, event
from ..script import Tokens
from ..server import FakeProvider, Route
from . import (
    assistants,
    chat,
    completions,
    extras,
    files,
    jobs,
    media,
    realtime,
    responses,
    vector_stores,
    videos,
)

_MODULES = (
    chat,
    completions,
    responses,
    media,
    files,
    jobs,
    vector_stores,
    assistants,
    videos,
    realtime,
)
_SERVER_ERROR = (
    "The server had an error while processing your request. Sorry about that! You can retry "
    "your request, or contact us through our help center at help.openai.com if the error persists."
)
_OVERLOADED = "The engine is currently overloaded, please try again later"
_RATE_LIMIT = (
    "Rate limit reached for gpt-4o in organization org-fake on requests per min (RPM): "
    "Limit 500, Used 500, Requested 1. Please try again in 120ms. "
    "Visit https://platform.openai.com/account/rate-limits to learn more."
)

# status: message, type, code
ERRORS: dict[int, tuple[str, str, str | None]] = {
    400: ("Invalid request.", "invalid_request_error", None),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("You are not allowed to sample from this model", "invalid_request_error", None),
    404: ("Not found.", "invalid_request_error", None),
    408: ("Request timed out.", "invalid_request_error", None),
    409: ("Conflict.", "invalid_request_error", None),
    422: ("Unprocessable entity.", "invalid_request_error", None),
    429: (_RATE_LIMIT, "requests", "rate_limit_exceeded"),
    503: (_OVERLOADED, "server_error", None),
}


def error_object(
    status: int, message: str = "", *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    default, kind, default_code = ERRORS.get(status, (_SERVER_ERROR, "server_error", None))
    return {
        "error": {
            "message": message or default,
            "type": kind,
            "param": param,
            "code": code or default_code,
        }
    }


class FakeOpenAI(FakeProvider):
    """OpenAI under `/v1`; `url + "/v1"` is what an SDK calls its base URL.

    batch_status: what batches come to when they are next read ("in_progress" for not yet).
    batch_usage: whether the object tells what was used. batch_tokens: of each answer in them.
    batch_version: what is added to the model's name there ("-2024-08-06").
    """

    name = "openai"
    prefix = "/v1"
    system_fingerprint: str | None = "fp_fake0000"
    obfuscates: bool = True
    usage_in_last_chunk: bool = False
    reasoning_field: str = ""
    batch_status: str = "completed"
    batch_usage: bool = True
    batch_tokens: Tokens = Tokens()
    batch_version: str = ""

    def reset(self) -> None:
        super().reset()
        self.batch_status, self.batch_usage = "completed", True
        self.batch_tokens, self.batch_version = Tokens(), ""

    @property
    def base_url(self) -> str:
        return self.url + self.prefix

    def routes(self) -> list[Route]:
        return [
            (method, self.prefix + path, handler)
            for module in _MODULES
            for method, path, handler in module.ROUTES
        ]

    def authorize(self, x: Exchange) -> None:
        key = x.recorded.key
        if not key:
            message = (
                "You didn't provide an API key. You need to provide your API key in an "
                "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
            reply = self.error(401, message)
            body = orjson.loads(reply.body)
            body["error"]["code"] = None
            raise Refused(Reply(401, orjson.dumps(body)))
        if self.keys is not None and key not in self.keys:
            raise Refused(self.failure("invalid_api_key", x))

    def headers(self, x: Exchange) -> dict[str, str]:
        return {
            "x-request-id": self.new_id("req_", 32),
            "openai-organization": "org-fake",
            "openai-processing-ms": "7",
            "openai-version": "2020-10-01",
            **self.rate_limits(RateLimitHeaders(10_000, 9_999, 30_000_000, 29_999_000, 0.006)),
        }

    def rate_limits(self, figures: RateLimitHeaders) -> dict[str, str]:
        reset = f"{figures.reset:g}s" if figures.reset >= 1 else f"{figures.reset * 1000:g}ms"
        return {
            "x-ratelimit-limit-requests": str(figures.limit_requests),
            "x-ratelimit-limit-tokens": str(figures.limit_tokens),
            "x-ratelimit-remaining-requests": str(figures.remaining_requests),
            "x-ratelimit-remaining-tokens": str(figures.remaining_tokens),
            "x-ratelimit-reset-requests": reset,
            "x-ratelimit-reset-tokens": reset,
        }

    def error(
        self, status: int, message: str = "", *, param: str | None = None, code: str | None = None
    ) -> Reply:
        return Reply(status, orjson.dumps(error_object(status, message, param=param, code=code)))

    def failure(self, name: str, x: Exchange) -> Reply:
        if name == "invalid_api_key":
            shown = f"{x.recorded.key[:3]}****{x.recorded.key[-2:]}"
            return self.error(
                401,
                f"Incorrect API key provided: {shown}. You can find your API key at "
                "https://platform.openai.com/account/api-keys.",
            )
        if name == "model_not_found":
            model = _asked_model(x)
            message = f"The model `{model}` does not exist or you do not have access to it."
            return self.error(404, message, code="model_not_found")
        if name == "context_window_exceeded":
            return self.error(
                400,
                "This model's maximum context length is 8192 tokens. However, your messages "
                "resulted in 9001 tokens. Please reduce the length of the messages.",
                param="messages",
                code="context_length_exceeded",
            )
        return self.error(
            400,
            "Your request was rejected as a result of our safety system. Your prompt may contain "
            "text that is not allowed by our safety system.",
            code="content_policy_violation",
        )

    def error_event(self, x: Exchange) -> bytes:
        return event(error_object(500))

    def extend_chat(self, body: dict[str, Any]) -> dict[str, Any]:
        """What the provider adds to a chat completion or to a chunk of one."""
        return body

    def opening_chunks(self, base: dict[str, Any]) -> list[dict[str, Any]]:
        """Chunks that the provider sends before the first with a choice."""
        return []


class FakeCompatible(FakeOpenAI):
    """A provider that speaks OpenAI's format under a path of its own (Groq, Mistral, DeepSeek …).

    reasoning_field: the message's field that carries the model's reasoning.
    extra: fields of its own in every chat answer. Groq always sends a service tier, and LiteLLM
        fails without it.
    usage_in_last_chunk: whether every stream's last chunk has the usage, asked or not (Mistral).
    """

    name = "compatible"
    system_fingerprint = None
    obfuscates = False

    def __init__(
        self,
        *,
        prefix: str = "/v1",
        reasoning_field: str = "reasoning_content",
        extra: Mapping[str, Any] = MappingProxyType({"service_tier": "on_demand"}),
        usage_in_last_chunk: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.prefix = prefix
        self.reasoning_field = reasoning_field
        self.extra = extra
        self.usage_in_last_chunk = usage_in_last_chunk

    def extend_chat(self, body: dict[str, Any]) -> dict[str, Any]:
        return body | self.extra

    def routes(self) -> list[Route]:
        beside = [(method, self.prefix + path, call) for method, path, call in extras.ROUTES]
        return [*super().routes(), *beside]


def _asked_model(x: Exchange) -> str:
    try:
        return str(x.json.get("model", ""))
    except Refused:
        return str(x.recorded.form.get("model", ""))
