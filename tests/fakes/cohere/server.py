"""Cohere's credentials, headers and errors, and embed and rerank.

Source: the API reference (errors, embed, rerank).
"""

from __future__ import annotations

from typing import Any

import orjson

from ..openai.completions import vector
from ..reply import Exchange, Refused, Reply, event, ok
from ..script import count, text_of
from ..server import FakeProvider, Route
from . import chat

_MESSAGES = {
    400: "invalid request",
    401: "invalid api token",
    403: "you do not have access to this resource",
    404: "not found",
    422: "unprocessable entity",
    429: "trial token rate limit exceeded, please retry later",
    498: "your request was blocked because it contains a deny-listed token",
    503: "the service is temporarily unavailable",
    504: "request timed out",
}


class FakeCohere(FakeProvider):
    """Cohere. LiteLLM takes an endpoint's whole address as `api_base`: `url + "/v2/chat"`."""

    name = "cohere"

    def routes(self) -> list[Route]:
        return [
            ("POST", "/v2/chat", chat.chat),
            ("POST", "/v1/chat", chat.chat_v1),
            ("POST", "/v2/embed", _embed),
            ("POST", "/v1/embed", _embed),
            ("POST", "/v2/rerank", _rerank),
            ("POST", "/v1/rerank", _rerank),
        ]

    @property
    def base_url(self) -> str:
        return self.url + "/v2/chat"

    def authorize(self, x: Exchange) -> None:
        if not x.recorded.key:
            raise Refused(self.error(401, "no api key supplied"))
        if self.keys is not None and x.recorded.key not in self.keys:
            raise Refused(self.error(401))

    def headers(self, x: Exchange) -> dict[str, str]:
        return {"x-debug-trace-id": self.new_id("", 32), "num_chars": str(len(x.recorded.body))}

    def error(self, status: int, message: str = "") -> Reply:
        told = message or _MESSAGES.get(status, "internal server error")
        return Reply(status, orjson.dumps({"id": self.new_id("", 36), "message": told}))

    def failure(self, name: str, x: Exchange) -> Reply:
        if name == "invalid_api_key":
            return self.error(401)
        if name == "model_not_found":
            return self.error(
                404,
                f"model '{x.json.get('model')}' not found, make sure the correct model ID was "
                "used and that you have access to the model.",
            )
        if name == "context_window_exceeded":
            return self.error(
                400,
                "too many tokens: size limit exceeded by 1003 tokens. Try using shorter or fewer "
                "inputs. The limit for this model is 128000 tokens.",
            )
        return self.error(498)

    def error_event(self, x: Exchange) -> bytes:
        """Cohere ends a message that failed; its first version ends the stream's lines."""
        if x.recorded.path.startswith("/v1/"):
            line = {"is_finished": True, "event_type": "stream-end", "finish_reason": "ERROR"}
            return orjson.dumps(line) + b"\n"
        delta = {"error": "internal server error", "finish_reason": "ERROR"}
        end = {"type": "message-end", "delta": delta}
        in_lines = "json" in x.recorded.headers.get("accept", "")
        return orjson.dumps(end) + b"\n" if in_lines else event(end, "message-end")


def _embed(x: Exchange) -> Reply:
    """Vectors by type when types are asked for or in the second version, else a plain list."""
    body = chat.asked(x, "model")
    texts = body.get("texts") or [text_of(one.get("content")) for one in body.get("inputs") or ()]
    images = body.get("images") or []
    vectors = [vector(one, body.get("output_dimension") or 8) for one in (*texts, *images)]
    version = x.recorded.path[2]
    types = body.get("embedding_types") or (["float"] if version == "2" else [])
    embeddings: Any = {kind: _converted(vectors, kind) for kind in types} if types else vectors
    billed = {"images": len(images)} if images else {"input_tokens": sum(map(count, texts))}
    return ok(
        {
            "id": x.provider.new_id("", 36),
            "embeddings": embeddings,
            "texts": texts,
            "response_type": "embeddings_by_type" if types else "embeddings_floats",
            "meta": {"api_version": {"version": version}, "billed_units": billed},
        }
    )


def _converted(vectors: list[list[float]], kind: str) -> list[list[float]]:
    return vectors if kind == "float" else [[int(value * 127) for value in one] for one in vectors]


def _rerank(x: Exchange) -> Reply:
    """Documents by the share of the query's words that they hold."""
    body = chat.asked(x, "query", "documents")
    words = body["query"].lower().split()
    texts = [text_of(one) for one in body["documents"]]
    scored = [
        (sum(word in text.lower() for word in words) / max(1, len(words)), index)
        for index, text in enumerate(texts)
    ]
    scored.sort(key=lambda one: (-one[0], one[1]))
    results: list[dict[str, Any]] = [
        {"index": index, "relevance_score": round(score, 4)}
        for score, index in scored[: body.get("top_n") or len(scored)]
    ]
    if body.get("return_documents"):
        for one in results:
            one["document"] = {"text": texts[one["index"]]}
    return ok(
        {
            "id": x.provider.new_id("", 36),
            "results": results,
            "meta": {
                "api_version": {"version": x.recorded.path[2]},
                "billed_units": {"search_units": 1},
            },
        }
    )
