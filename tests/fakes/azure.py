"""Azure OpenAI: OpenAI's API by deployment, with content filters and errors of its own.

Source: the REST reference of Azure OpenAI (data plane, inference) and its page on content filters.
"""

from __future__ import annotations

from typing import Any

import orjson

from .faults import RateLimitHeaders
from .openai.server import FakeOpenAI
from .reply import Exchange, Refused, Reply, event
from .server import Route

_DENIED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
    "valid key for an active subscription and use a correct regional API endpoint for your "
    "resource."
)
_NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within "
    "the last 5 minutes, please wait a moment and try again."
)
_FILTERED = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management "
    "policy. Please modify your prompt and retry. To learn more about our content filtering "
    "policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766"
)
_RATE_LIMIT = (
    "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 "
    "have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 6 "
    "seconds."
)

# status: code, message
_ERRORS = {
    400: ("BadRequest", "Invalid request."),
    401: ("401", _DENIED),
    403: ("403", "Access denied due to Virtual Network/Firewall rules."),
    404: ("404", "Resource not found"),
    408: ("Timeout", "The operation was timeout."),
    429: ("429", _RATE_LIMIT),
    500: ("InternalServerError", "The server had an error while processing your request."),
    503: ("ServiceUnavailable", "The service is temporarily unable to process your request."),
}

_HARMS = ("hate", "self_harm", "sexual", "violence")
_DEPLOYED = (
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/images/",
    "/audio/",
)


class FakeAzure(FakeOpenAI):
    """Deployments under `/openai/deployments/{name}`, everything else under `/openai`, and the
    next generation of the API under `/openai/v1`."""

    name = "azure"
    prefix = "/openai/v1"
    obfuscates = False

    def routes(self) -> list[Route]:
        plain = [(m, path.removeprefix(self.prefix), call) for m, path, call in super().routes()]
        return [
            *((m, f"/openai/v1{path}", call) for m, path, call in plain),
            *(
                (m, "/openai/deployments/{deployment}" + path, call)
                for m, path, call in plain
                if path.startswith(_DEPLOYED)
            ),
            *((m, f"/openai{path}", call) for m, path, call in plain),
        ]

    def authorize(self, x: Exchange) -> None:
        if not x.recorded.key or (self.keys is not None and x.recorded.key not in self.keys):
            raise Refused(self.error(401))
        versioned = not x.recorded.path.startswith("/openai/v1/")
        if versioned and not x.recorded.parameter("api-version"):
            raise Refused(self.error(404))

    def headers(self, x: Exchange) -> dict[str, str]:
        return {
            "apim-request-id": self.new_id("", 32),
            "x-request-id": self.new_id("", 32),
            "x-ms-region": "East US",
            "x-ms-rai-invoked": "true",
            "x-ms-deployment-name": x.path.get("deployment", ""),
            **self.rate_limits(RateLimitHeaders(1_000, 999, 120_000, 119_900, 0)),
        }

    def rate_limits(self, figures: RateLimitHeaders) -> dict[str, str]:
        return {
            "x-ratelimit-limit-requests": str(figures.limit_requests),
            "x-ratelimit-limit-tokens": str(figures.limit_tokens),
            "x-ratelimit-remaining-requests": str(figures.remaining_requests),
            "x-ratelimit-remaining-tokens": str(figures.remaining_tokens),
        }

    def error(
        self, status: int, message: str = "", *, param: str | None = None, code: str | None = None
    ) -> Reply:
        if param or code:
            return super().error(status, message, param=param, code=code)
        default_code, default = _ERRORS.get(status, _ERRORS[500])
        body = {"error": {"code": default_code, "message": message or default}}
        headers = {"retry-after": "6", "retry-after-ms": "6000"} if status == 429 else {}
        return Reply(status, orjson.dumps(body), headers=headers)

    def failure(self, name: str, x: Exchange) -> Reply:
        if name == "invalid_api_key":
            return self.error(401)
        if name == "model_not_found":
            body = {"error": {"code": "DeploymentNotFound", "message": _NO_DEPLOYMENT}}
            return Reply(404, orjson.dumps(body))
        if name == "content_policy_violation":
            return Reply(400, orjson.dumps({"error": _filtered()}))
        return super().failure(name, x)

    def error_event(self, x: Exchange) -> bytes:
        code, message = _ERRORS[500]
        return event({"error": {"code": code, "message": message}})

    def extend_chat(self, body: dict[str, Any]) -> dict[str, Any]:
        for choice in body["choices"]:
            said = choice.get("message") or choice.get("delta") or {}
            choice["content_filter_results"] = _verdicts() if said.get("content") else {}
        if body["object"] == "chat.completion":
            body["prompt_filter_results"] = _prompt_verdicts()
        return body

    def opening_chunks(self, base: dict[str, Any]) -> list[dict[str, Any]]:
        nobody = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        return [nobody | {"prompt_filter_results": _prompt_verdicts()}]


def _verdicts() -> dict[str, Any]:
    return {harm: {"filtered": False, "severity": "safe"} for harm in _HARMS}


def _prompt_verdicts() -> list[dict[str, Any]]:
    found = _verdicts() | {"jailbreak": {"filtered": False, "detected": False}}
    return [{"prompt_index": 0, "content_filter_results": found}]


def _filtered() -> dict[str, Any]:
    verdicts = _verdicts() | {"violence": {"filtered": True, "severity": "high"}}
    return {
        "message": _FILTERED,
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": verdicts,
        },
    }
