"""Anthropic's credentials, headers and errors, and its endpoints apart from Messages.

Source: the API reference (errors, versioning, rate limits, models, message batches).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from ..faults import RateLimitHeaders
from ..reply import Exchange, Refused, Reply, event, ok
from ..server import FakeProvider, Route
from . import messages

# status: type, message
_ERRORS = {
    400: ("invalid_request_error", "Invalid request"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "There is an issue with your billing or payment information."),
    403: ("permission_error", "Your API key does not have permission to use this resource."),
    404: ("not_found_error", "Not Found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "The request timed out."),
    529: ("overloaded_error", "Overloaded"),
}
_MODELS = ("claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-1")


def error_object(status: int, message: str = "", request_id: str = "") -> dict[str, Any]:
    kind, default = _ERRORS.get(status, _ERRORS[500])
    found = {"type": "error", "error": {"type": kind, "message": message or default}}
    return found | {"request_id": request_id} if request_id else found


class FakeAnthropic(FakeProvider):
    """Anthropic; an SDK's base URL is `url`."""

    name = "anthropic"

    def routes(self) -> list[Route]:
        batch = "/v1/messages/batches/{batch}"
        return [
            ("POST", "/v1/messages", messages.create),
            ("POST", "/v1/messages/count_tokens", messages.count_tokens),
            ("POST", "/v1/messages/batches", self._create_batch),
            ("GET", "/v1/messages/batches", self._list_batches),
            ("GET", batch, self._get_batch),
            ("DELETE", batch, self._delete_batch),
            ("POST", batch + "/cancel", self._cancel_batch),
            ("GET", batch + "/results", self._batch_results),
            ("GET", "/v1/models", self._list_models),
            ("GET", "/v1/models/{model}", self._get_model),
        ]

    def authorize(self, x: Exchange) -> None:
        key = x.recorded.key
        if not key:
            raise Refused(self.error(401, "x-api-key header is required"))
        if self.keys is not None and key not in self.keys:
            raise Refused(self.error(401))
        if not x.recorded.headers.get("anthropic-version"):
            raise Refused(self.error(400, "anthropic-version: header is required"))

    def headers(self, x: Exchange) -> dict[str, str]:
        return {
            "request-id": self.new_id("req_", 24),
            "anthropic-organization-id": "00000000-0000-0000-0000-000000000000",
            **self.rate_limits(RateLimitHeaders(4_000, 3_999, 400_000, 399_000, 1)),
        }

    def rate_limits(self, figures: RateLimitHeaders) -> dict[str, str]:
        reset = rfc3339(datetime.now(UTC) + timedelta(seconds=figures.reset))
        headers = {}
        for kind, limit, remaining in (
            ("requests", figures.limit_requests, figures.remaining_requests),
            ("tokens", figures.limit_tokens, figures.remaining_tokens),
            ("input-tokens", figures.limit_tokens, figures.remaining_tokens),
            ("output-tokens", figures.limit_tokens, figures.remaining_tokens),
        ):
            headers[f"anthropic-ratelimit-{kind}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{kind}-remaining"] = str(remaining)
            headers[f"anthropic-ratelimit-{kind}-reset"] = reset
        return headers

    def error(self, status: int, message: str = "") -> Reply:
        # One without a name of its own is an error of the class of its hundred.
        known = status if status in _ERRORS else 400 if status < 500 else 500
        request_id = self.new_id("req_", 24)
        headers = {"request-id": request_id, "x-should-retry": str(status >= 429).lower()}
        return Reply(
            status, orjson.dumps(error_object(known, message, request_id)), headers=headers
        )

    def failure(self, name: str, x: Exchange) -> Reply:
        if name == "invalid_api_key":
            return self.error(401)
        if name == "model_not_found":
            return self.error(404, f"model: {x.json.get('model')}")
        if name == "context_window_exceeded":
            return self.error(400, "prompt is too long: 205351 tokens > 200000 maximum")
        return self.error(400, "Output blocked by content filtering policy")

    def error_event(self, x: Exchange) -> bytes:
        return event(error_object(529), "error")

    def malformed_event(self, x: Exchange) -> bytes:
        return b'event: content_block_delta\ndata: {"type": "content_block_de\n\n'

    # Models

    def _list_models(self, x: Exchange) -> Reply:
        models = [_model(name) for name in self.models or _MODELS]
        return ok(_page(models))

    def _get_model(self, x: Exchange) -> Reply:
        name = x.path["model"]
        if self.models is not None and name not in self.models:
            raise Refused(self.error(404, f"model: {name}"))
        return ok(_model(name))

    # Message batches: they end as soon as they are made

    def _create_batch(self, x: Exchange) -> Reply:
        requests = x.json.get("requests")
        if not requests:
            raise Refused(self.error(400, "requests: Field required"))
        now = datetime.now(UTC)
        batch_id = self.new_id("msgbatch_")
        results = [
            {
                "custom_id": request["custom_id"],
                "result": {
                    "type": "succeeded",
                    "message": messages.whole(
                        x, request["params"], messages.content_of(x, request["params"])
                    ),
                },
            }
            for request in requests
        ]
        batch = {
            "id": batch_id,
            "type": "message_batch",
            "processing_status": "ended",
            "request_counts": {
                "processing": 0,
                "succeeded": len(requests),
                "errored": 0,
                "canceled": 0,
                "expired": 0,
            },
            "created_at": rfc3339(now),
            "expires_at": rfc3339(now + timedelta(days=1)),
            "ended_at": rfc3339(now),
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{self.url}/v1/messages/batches/{batch_id}/results",
        }
        self.objects["batches"][batch_id] = batch
        self.objects["results"][batch_id] = {"lines": results}
        return ok(batch)

    def _batch(self, x: Exchange) -> dict[str, Any]:
        batch = self.objects["batches"].get(x.path["batch"])
        if batch is None:
            raise Refused(self.error(404, f"Message Batch with id {x.path['batch']} not found."))
        return batch

    def _get_batch(self, x: Exchange) -> Reply:
        return ok(self._batch(x))

    def _list_batches(self, x: Exchange) -> Reply:
        return ok(_page(list(self.objects["batches"].values())))

    def _delete_batch(self, x: Exchange) -> Reply:
        batch = self._batch(x)
        del self.objects["batches"][batch["id"]]
        return ok({"id": batch["id"], "type": "message_batch_deleted"})

    def _cancel_batch(self, x: Exchange) -> Reply:
        batch = self._batch(x)
        batch["cancel_initiated_at"] = rfc3339(datetime.now(UTC))
        return ok(batch)

    def _batch_results(self, x: Exchange) -> Reply:
        lines = self.objects["results"][self._batch(x)["id"]]["lines"]
        body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
        return Reply(body=body, content_type="application/x-jsonl")


def rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _page(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "data": items,
        "has_more": False,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
    }


def _model(name: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": "2025-09-29T00:00:00Z",
        "lifecycle": "active",
    }
