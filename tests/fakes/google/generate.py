"""generateContent, streamGenerateContent, countTokens and embedContent.

Source: the REST reference of the Gemini API. Google prints its JSON in lines, and its server-sent
events end in CRLF. Requests may spell a field in either of protobuf's ways (`topK`, `top_k`).
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from ..model import Ask, Content, offered, speak
from ..openai.completions import vector
from ..reply import JSON, Exchange, Refused, Reply, stream
from ..script import pieces, text_of, tokens_of

_FINISH_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}
_SIGNATURE = "RmFrZVNpZ25hdHVyZQ=="


def get(message: dict[str, Any], name: str) -> Any:
    """A field of a message by its camel-case name, however the client spelled it."""
    if name in message:
        return message[name]
    return message.get(re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name))


def pretty(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def answered(value: Any, status: int = 200) -> Reply:
    return Reply(status, pretty(value) + b"\n", "application/json; charset=UTF-8")


def generate(x: Exchange) -> Reply:
    body, content = _asked(x)
    parts = _parts(x, body, content)
    return answered(_answer(x, content, parts, content.output_tokens, _identity(x)))


def stream_generate(x: Exchange) -> Reply:
    """The stream, as server-sent events with `alt=sse`, else as one JSON array."""
    body, content = _asked(x)
    identity = _identity(x)
    pieces_of_parts = [part for whole in _parts(x, body, content) for part in _split(whole)]
    said = 0
    answers = []
    for number, part in enumerate(pieces_of_parts, start=1):
        last = number == len(pieces_of_parts)
        said += tokens_of(part.get("text", ""))
        written = content.output_tokens if last else said
        answers.append(_answer(x, content, [part], written, identity, last=last))
    if as_events(x):
        return stream([b"data: " + orjson.dumps(one) + b"\r\n\r\n" for one in answers])
    listed = [(b"[" if n == 0 else b",\r\n") + pretty(one) for n, one in enumerate(answers)]
    return stream([*listed, b"]\n"], JSON + "; charset=UTF-8")


def count_tokens(x: Exchange) -> Reply:
    body = x.json
    inner = get(body, "generateContentRequest") or body
    given = x.script.usage.input
    total = _input_tokens(inner) if given is None else given
    return answered({"totalTokens": total, "promptTokensDetails": _details(total)})


def embed(x: Exchange) -> Reply:
    check_model(x)
    return answered({"embedding": {"values": _embedding(x.json)}})


def batch_embed(x: Exchange) -> Reply:
    check_model(x)
    requests = x.json.get("requests") or []
    return answered({"embeddings": [{"values": _embedding(request)} for request in requests]})


def as_events(x: Exchange) -> bool:
    return x.recorded.parameter("alt") == "sse"


def check_model(x: Exchange) -> None:
    if x.provider.models is not None and x.path["model"] not in x.provider.models:
        raise Refused(x.provider.failure("model_not_found", x))


def _embedding(request: dict[str, Any]) -> list[float]:
    return vector(text_of(request.get("content")), get(request, "outputDimensionality") or 8)


def _asked(x: Exchange) -> tuple[dict[str, Any], Content]:
    check_model(x)
    body = x.json
    contents = body.get("contents")
    if not contents:
        raise Refused(
            x.provider.error(400, "* GenerateContentRequest.contents: contents is not specified\n")
        )
    config = get(body, "generationConfig") or {}
    heard = next((c for c in reversed(contents) if c.get("role", "user") != "model"), {})
    tool_answered = any(get(part, "functionResponse") for part in contents[-1].get("parts", ()))
    thinking = get(config, "thinkingConfig")
    ask = Ask(
        heard=text_of(heard.get("parts")),
        input_tokens=_input_tokens(body),
        tools=() if tool_answered else _tools(body),
        schema=_schema(config),
        stops=tuple(get(config, "stopSequences") or ()),
        limit=get(config, "maxOutputTokens"),
        thinks=thinking is not None and get(thinking, "thinkingBudget") != 0,
    )
    return body, speak(x.script, ask)


def _identity(x: Exchange) -> dict[str, str]:
    return {
        "modelVersion": x.script.model or x.path["model"],
        "responseId": x.provider.new_id("", 22),
    }


def _answer(
    x: Exchange,
    content: Content,
    parts: list[dict[str, Any]],
    written: int,
    identity: dict[str, str],
    *,
    last: bool = True,
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if last:
        reason = content.finish_reason
        candidate["finishReason"] = _FINISH_REASONS.get(reason, reason)
    candidate["index"] = 0
    return {"candidates": [candidate], "usageMetadata": _usage(content, written), **identity}


def _usage(content: Content, written: int) -> dict[str, Any]:
    """`candidatesTokenCount` leaves out thoughts, which `written` may hold already."""
    thoughts = content.reasoning_tokens
    candidates = max(0, written - thoughts)
    usage: dict[str, Any] = {
        "promptTokenCount": content.input_tokens,
        "candidatesTokenCount": candidates,
        "totalTokenCount": content.input_tokens + candidates + thoughts,
        "promptTokensDetails": _details(content.input_tokens),
    }
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    if content.cached_tokens:
        usage["cachedContentTokenCount"] = content.cached_tokens
        usage["cacheTokensDetails"] = _details(content.cached_tokens)
    return usage


def _details(tokens: int) -> list[dict[str, Any]]:
    return [{"modality": "TEXT", "tokenCount": tokens}]


def _parts(x: Exchange, body: dict[str, Any], content: Content) -> list[dict[str, Any]]:
    thinking = get(get(body, "generationConfig") or {}, "thinkingConfig") or {}
    parts: list[dict[str, Any]] = []
    if content.reasoning and get(thinking, "includeThoughts"):
        parts.append({"text": content.reasoning, "thought": True})
    if content.text or not content.tool_calls:
        parts.append({"text": content.text})
    for number, call in enumerate(content.tool_calls):
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.arguments}}
        if number == 0 and content.reasoning:
            part["thoughtSignature"] = _SIGNATURE
        parts.append(part)
    return parts


def _split(part: dict[str, Any]) -> list[dict[str, Any]]:
    """A part as it is streamed; function calls come whole."""
    if "functionCall" in part:
        return [part]
    return [part | {"text": piece} for piece in pieces(part["text"]) or [""]]


def _input_tokens(body: dict[str, Any]) -> int:
    system = get(body, "systemInstruction") or {}
    said = [system.get("parts") or "", *(c.get("parts") for c in body.get("contents") or ())]
    return sum(map(tokens_of, said))


def _tools(body: dict[str, Any]) -> tuple[tuple[str, dict[str, Any]], ...]:
    config = get(get(body, "toolConfig") or {}, "functionCallingConfig") or {}
    if config.get("mode") == "NONE":
        return ()
    allowed = get(config, "allowedFunctionNames")
    return offered(
        (function["name"], _parameters(function))
        for tool in body.get("tools") or ()
        for function in get(tool, "functionDeclarations") or ()
        if not allowed or function["name"] in allowed
    )


def _parameters(function: dict[str, Any]) -> dict[str, Any]:
    return function.get("parameters") or get(function, "parametersJsonSchema") or {}


def _schema(config: dict[str, Any]) -> dict[str, Any] | None:
    schema = get(config, "responseSchema") or get(config, "responseJsonSchema")
    return {} if schema is None and get(config, "responseMimeType") == JSON else schema
