"""InvokeModel, whole and streamed: Anthropic's bodies, and Titan's and Cohere's embeddings."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from ..anthropic import messages
from ..openai.completions import vector
from ..reply import Exchange, Reply, ok, stream
from ..script import count
from . import eventstream

Object = dict[str, Any]


def invoke(x: Exchange) -> Reply:
    body = x.json
    if "inputText" in body:
        return _titan(body)
    if "texts" in body:
        return _cohere(x, body)
    message = _message(x, body)
    usage = message["usage"]
    headers = {
        "X-Amzn-Bedrock-Input-Token-Count": str(usage["input_tokens"]),
        "X-Amzn-Bedrock-Output-Token-Count": str(usage["output_tokens"]),
        "X-Amzn-Bedrock-Invocation-Latency": "7",
    }
    return ok(message).with_headers(headers)


def invoke_stream(x: Exchange) -> Reply:
    """Anthropic's events, each in base64 in a chunk; the last tells Bedrock's own figures."""
    message = _message(x, x.json)
    usage = message["usage"]
    events = messages.event_objects(message)
    events[-1]["amazon-bedrock-invocationMetrics"] = {
        "inputTokenCount": usage["input_tokens"],
        "outputTokenCount": usage["output_tokens"],
        "invocationLatency": 7,
        "firstByteLatency": 3,
    }
    return stream([chunk(one) for one in events], eventstream.CONTENT_TYPE)


def chunk(data: Object) -> bytes:
    encoded = base64.b64encode(orjson.dumps(data)).decode()
    return eventstream.event("chunk", {"bytes": encoded, "p": "abcd"})


def _message(x: Exchange, body: Object) -> Object:
    asked = body | {"model": x.path["model"]}
    message = messages.whole(x, asked, messages.content_of(x, asked))
    # Bedrock says whose model it was, not by which id it was called.
    return message | {"model": x.path["model"].rpartition("anthropic.")[2]}


def _titan(body: Object) -> Reply:
    text = body["inputText"]
    embedding = vector(text, body.get("dimensions") or 8)
    return ok(
        {
            "embedding": embedding,
            "embeddingsByType": {"float": embedding},
            "inputTextTokenCount": count(text),
        }
    ).with_headers({"X-Amzn-Bedrock-Input-Token-Count": str(count(text))})


def _cohere(x: Exchange, body: Object) -> Reply:
    texts = body["texts"]
    return ok(
        {
            "embeddings": [vector(text) for text in texts],
            "id": x.provider.new_id("", 36),
            "response_type": "embeddings_floats",
            "texts": texts,
        }
    )
