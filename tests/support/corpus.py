"""Requests of every kind, for comparing the lanes: what a test changes in a plain one, by name."""

from __future__ import annotations

from typing import Any

from tests.fakes.script import PIXEL

Corpus = dict[str, dict[str, Any]]

IMAGE = f"data:image/png;base64,{PIXEL}"
ODD = "héllo 😀 \u2028 \x00 日本"

_OBJECT = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
_OPEN = {"type": "object", "properties": {"a": {"type": "integer"}}}
_FUNCTION = {"name": "add", "description": "Adds", "parameters": _OPEN}
_TOOL = {"type": "function", "function": _FUNCTION}
_STRICT = {"type": "function", "function": {"name": "add", "parameters": _OBJECT, "strict": True}}
_SCHEMA = {"name": "s", "strict": True, "schema": _OBJECT}
_HI = {"role": "user", "content": "Hi"}
_YO = {"role": "assistant", "content": "yo"}
_ASKED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    ],
}


def _said(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def _text(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **more}


def _result(content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "c1", "content": content}


CHAT: Corpus = {
    "plain": {},
    "stream": {"stream": True},
    "stream with usage": {"stream": True, "stream_options": {"include_usage": True}},
    "temperature": {"temperature": 0.5},
    "temperature 0": {"temperature": 0},
    "top_p": {"top_p": 0.9},
    "top_k": {"top_k": 5},
    "max_tokens": {"max_tokens": 5},
    "max_completion_tokens": {"max_completion_tokens": 5},
    "n": {"n": 2},
    "n of one": {"n": 1},
    "stop": {"stop": "x"},
    "several stops": {"stop": ["x", "y"]},
    "seed": {"seed": 7},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"logprobs": True, "top_logprobs": 2},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "presence_penalty": {"presence_penalty": 0.1},
    "frequency_penalty": {"frequency_penalty": 0.1},
    "user": {"user": "u1"},
    "JSON mode": {"response_format": {"type": "json_object"}},
    "text mode": {"response_format": {"type": "text"}},
    "JSON schema": {"response_format": {"type": "json_schema", "json_schema": _SCHEMA}},
    "tools": {"tools": [_TOOL]},
    "strict tools": {"tools": [_STRICT]},
    "empty tools": {"tools": []},
    "custom tool": {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
    "tool_choice auto": {"tools": [_TOOL], "tool_choice": "auto"},
    "tool_choice required": {"tools": [_TOOL], "tool_choice": "required"},
    "tool_choice none": {"tools": [_TOOL], "tool_choice": "none"},
    "tool_choice of one": {
        "tools": [_TOOL],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
    },
    "parallel_tool_calls": {"tools": [_TOOL], "parallel_tool_calls": False},
    "parallel_tool_calls alone": {"parallel_tool_calls": False},
    "functions": {"functions": [_FUNCTION], "function_call": "auto"},
    "reasoning_effort": {"reasoning_effort": "low"},
    "reasoning": {"reasoning": {"effort": "low"}},
    "include_reasoning": {"include_reasoning": True},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "verbosity": {"verbosity": "low"},
    "service_tier": {"service_tier": "flex"},
    "store": {"store": False},
    "stored with metadata": {"store": True, "metadata": {"a": "b"}},
    "metadata": {"metadata": {"a": "b"}},
    "modalities": {"modalities": ["text"]},
    "audio": {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    "prediction": {"prediction": {"type": "content", "content": "x"}},
    "web_search_options": {"web_search_options": {}},
    "safety_identifier": {"safety_identifier": "s"},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "unknown field": {"frobnicate": {"x": 1}},
    "vLLM's fields": {"repetition_penalty": 1.1, "min_p": 0.1, "guided_json": {"type": "object"}},
    "chat_template_kwargs": {"chat_template_kwargs": {"enable_thinking": False}},
    "OpenRouter's fields": {"provider": {"order": ["a"]}, "transforms": ["x"]},
    "extra_body": {"extra_body": {"a": 1}},
    "nulls": {"temperature": None, "stop": None, "foo": None},
    "system": {"messages": [{"role": "system", "content": "be"}, _HI]},
    "system in parts": {"messages": [{"role": "system", "content": [_text("be")]}, _HI]},
    "developer": {"messages": [{"role": "developer", "content": "be"}, _HI]},
    "unicode": {"messages": [{"role": "user", "content": ODD}]},
    "parts": _said(_text("a"), _text("b")),
    "image": _said(_text("a"), {"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}}),
    "image by address": _said({"type": "image_url", "image_url": IMAGE}),
    "audio in": _said({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
    "file": _said(
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,A"},
        }
    ),
    "file by id": _said({"type": "file", "file": {"file_id": "file-1"}}),
    "cache_control": _said(_text("a", cache_control={"type": "ephemeral"})),
    "name": {"messages": [{"role": "user", "content": "x", "name": "bob"}]},
    "empty content": {"messages": [{"role": "user", "content": ""}]},
    "conversation": {"messages": [_HI, _YO, _HI]},
    "assistant in parts": {"messages": [_HI, {**_YO, "content": [_text("yo")]}, _HI]},
    "prefix": {"messages": [_HI, {**_YO, "prefix": True}]},
    "assistant first": {"messages": [_YO, _HI]},
    "two users": {"messages": [_HI, _HI]},
    "refusal": {"messages": [_HI, {**_YO, "content": None, "refusal": "no"}, _HI]},
    "reasoning_content": {"messages": [_HI, {**_YO, "reasoning_content": "hm"}, _HI]},
    "unknown field of a message": {"messages": [{**_HI, "foo": 1}]},
    "tool result": {"messages": [_HI, _ASKED, _result("2")], "tools": [_TOOL]},
    "tool result without tools": {"messages": [_HI, _ASKED, _result("2")]},
    "tool result in parts": {"messages": [_HI, _ASKED, _result([_text("2")])], "tools": [_TOOL]},
}

COMPLETIONS: Corpus = {
    "plain": {},
    "stream": {"stream": True},
    "several prompts": {"prompt": ["a", "b"]},
    "tokens": {"prompt": [1, 2, 3]},
    "several tokens": {"prompt": [[1, 2], [3]]},
    "empty prompt": {"prompt": ""},
    "unicode": {"prompt": ODD},
    "sampling": {"max_tokens": 4, "temperature": 0.2, "top_p": 0.5, "n": 2, "best_of": 2},
    "old fields": {"echo": True, "logprobs": 2, "suffix": "z", "stop": ["x"], "seed": 1},
    "penalties": {"presence_penalty": 0.1, "frequency_penalty": 0.2, "logit_bias": {"1": 1}},
    "user": {"user": "u"},
    "unknown field": {"foo": {"a": 1}},
    "extra_body": {"extra_body": {"a": 1}},
}

EMBEDDINGS: Corpus = {
    "plain": {},
    "several inputs": {"input": ["a", "b"]},
    "tokens": {"input": [1, 2]},
    "several tokens": {"input": [[1, 2]]},
    "unicode": {"input": ODD},
    "dimensions": {"dimensions": 3},
    "base64": {"encoding_format": "base64"},
    "floats": {"encoding_format": "float"},
    "user": {"user": "u"},
    "unknown field": {"foo": 1},
    "input_type": {"input_type": "query"},
    "extra_body": {"extra_body": {"a": 1}},
}

_ADD = {"type": "function", "name": "add", "parameters": _OBJECT, "strict": True}


def _given(*items: Any) -> dict[str, Any]:
    return {"input": list(items)}


RESPONSES: Corpus = {
    "plain": {},
    "stream": {"stream": True},
    "stream without obfuscation": {
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    },
    "messages": _given(_HI),
    "roles": _given(
        {"role": "system", "content": "be"}, {"role": "developer", "content": "be"}, _HI
    ),
    "image": _given(
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "a"},
                {"type": "input_image", "image_url": IMAGE, "detail": "low"},
            ],
        }
    ),
    "file by id": _given(
        {"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}
    ),
    "unicode": {"input": ODD},
    "instructions": {"instructions": "be"},
    "max_output_tokens": {"max_output_tokens": 20},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "tools": {"tools": [_ADD], "parallel_tool_calls": False},
    "tool_choice": {"tools": [_ADD], "tool_choice": {"type": "function", "name": "add"}},
    "web search": {"tools": [{"type": "web_search"}]},
    "file search": {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    "code": {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
    "store": {"store": False},
    "metadata": {"metadata": {"a": "b"}},
    "previous response": {"previous_response_id": "resp_1"},
    "conversation": {"conversation": "conv_1"},
    "reasoning": {"reasoning": {"effort": "low", "summary": "auto"}},
    "format": {
        "text": {"format": {"type": "json_schema", "name": "s", "strict": True, "schema": _OBJECT}}
    },
    "include": {"include": ["reasoning.encrypted_content"]},
    "truncation": {"truncation": "auto"},
    "service_tier": {"service_tier": "flex"},
    "background": {"background": True},
    "who": {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k"},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "logprobs": {"top_logprobs": 2},
    "max_tool_calls": {"max_tool_calls": 2},
    "prompt": {"prompt": {"id": "pmpt_1", "variables": {"a": "b"}}},
    "context_management": {
        "context_management": [{"type": "compaction", "compact_threshold": 1000}]
    },
    "function's output": {
        "input": [
            _HI,
            {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "2"},
        ],
        "tools": [_ADD],
    },
    "reasoning item": _given({"type": "reasoning", "id": "rs_1", "summary": []}, _HI),
    "message item": _given(
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "x", "annotations": []}],
        },
        _HI,
    ),
    "nulls": {"temperature": None, "instructions": None},
    "unknown field": {"foo": {"a": 1}},
    "extra_body": {"extra_body": {"a": 1}},
}

IMAGES: Corpus = {
    "plain": {},
    "n": {"n": 2, "size": "1024x1024", "quality": "low"},
    "base64": {"response_format": "b64_json"},
    "style": {"style": "vivid"},
    "user": {"user": "u"},
    "output": {"background": "transparent", "output_format": "webp", "output_compression": 50},
    "moderation": {"moderation": "low"},
    "stream": {"stream": True, "partial_images": 1},
    "unicode": {"prompt": ODD},
    "unknown field": {"foo": 1},
    "extra_body": {"extra_body": {"a": 1}},
}

SPEECH: Corpus = {
    "plain": {},
    "format": {"response_format": "wav", "speed": 1.2, "instructions": "x"},
    "events": {"stream_format": "sse"},
    "unicode": {"input": ODD},
    "unknown field": {"foo": 1},
    "extra_body": {"extra_body": {"a": 1}},
}

MODERATIONS: Corpus = {
    "plain": {},
    "several inputs": {"input": ["a", "b"]},
    "parts": {"input": [_text("a"), {"type": "image_url", "image_url": {"url": IMAGE}}]},
    "unknown field": {"foo": 1},
}

_CLAUDE = {"name": "add", "description": "Adds", "input_schema": _OPEN}
_USE = {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}
_THOUGHT = {"type": "thinking", "thinking": "x", "signature": "s"}
_PIXEL = {"type": "base64", "media_type": "image/png", "data": PIXEL}
_DEADLINE = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}


def _answered(*parts: Any) -> dict[str, Any]:
    return {"messages": [_HI, {"role": "assistant", "content": list(parts)}, _HI]}


def _resulted(**result: Any) -> dict[str, Any]:
    answer = {"type": "tool_result", "tool_use_id": "t1", **result}
    return {
        "messages": [
            _HI,
            {"role": "assistant", "content": [_text("ok"), _USE]},
            {"role": "user", "content": [answer]},
        ],
        "tools": [_CLAUDE],
    }


MESSAGES: Corpus = {
    "plain": {},
    "stream": {"stream": True},
    "system": {"system": "be"},
    "system in blocks": {"system": [_text("be", cache_control={"type": "ephemeral"})]},
    "sampling": {"temperature": 0.5, "top_p": 0.5, "top_k": 3, "stop_sequences": ["x"]},
    "metadata": {"metadata": {"user_id": "u1"}},
    "tools": {"tools": [_CLAUDE]},
    "strict tools": {"tools": [{**_CLAUDE, "strict": True}]},
    "cached tools": {"tools": [{**_CLAUDE, "cache_control": {"type": "ephemeral"}}]},
    "tool_choice": {"tools": [_CLAUDE], "tool_choice": {"type": "tool", "name": "add"}},
    "any tool": {
        "tools": [_CLAUDE],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    },
    "web search": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "bash": {"tools": [{"type": "bash_20250124", "name": "bash"}]},
    "code": {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
    "tool search": {"tools": [{"type": "tool_search_tool_regex_20251119", "name": "t"}, _CLAUDE]},
    "mcp": {"mcp_servers": [{"type": "url", "url": "https://x.test", "name": "x"}]},
    "thinking": _DEADLINE,
    "adaptive thinking": {"thinking": {"type": "adaptive"}},
    "effort": {"output_config": {"effort": "low"}},
    "format": {"output_format": {"type": "json_schema", "schema": _OBJECT}},
    "context": {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
    "container": {"container": {"id": "c"}},
    "service_tier": {"service_tier": "auto"},
    "speed": {"speed": "fast"},
    "image": _said({"type": "image", "source": _PIXEL}, _text("x")),
    "image by address": _said(
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}
    ),
    "document": _said(
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
            "citations": {"enabled": True},
        }
    ),
    "file by id": _said({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
    "cache_control": _said(_text("x", cache_control={"type": "ephemeral", "ttl": "1h"})),
    "tool result": _resulted(content="2"),
    "tool result in blocks": _resulted(content=[_text("2")], is_error=True),
    "thinking of before": {**_answered(_THOUGHT, _text("ok")), **_DEADLINE},
    "hidden thinking of before": _answered({"type": "redacted_thinking", "data": "x"}, _text("ok")),
    "empty text": _answered(_text("")),
    "server's tools": _answered(
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
        _text("ok"),
    ),
    "prefill": {"messages": [_HI, _YO]},
    "two users": {"messages": [_HI, _HI]},
    "unicode": {"messages": [{"role": "user", "content": ODD}]},
    "nulls": {"temperature": None, "system": None},
    "unknown field": {"foo": {"a": 1}},
    "unknown field of a message": {"messages": [{**_HI, "foo": 1}]},
    "reasoning_effort": {"reasoning_effort": "low"},
    "extra_body": {"extra_body": {"a": 1}},
}

COUNTS: Corpus = {"plain": {}, "tools": {"tools": [_CLAUDE]}, "system": {"system": "be"}}

_ASK = {"role": "user", "parts": [{"text": "Hi"}]}
_DECLARED = {
    "functionDeclarations": [
        {"name": "add", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}}
    ]
}


def _config(**config: Any) -> dict[str, Any]:
    return {"generationConfig": config}


def _contents(*parts: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(parts)}]}


CONTENT: Corpus = {
    "plain": {},
    "system": {"systemInstruction": {"parts": [{"text": "be"}]}},
    "sampling": _config(temperature=0.5, topP=0.4, topK=3, maxOutputTokens=5, seed=3),
    "stops": _config(stopSequences=["x"], candidateCount=2),
    "config in snake case": {"generation_config": {"max_output_tokens": 5}},
    "Google's schema": _config(
        responseMimeType="application/json", responseSchema={"type": "OBJECT", "properties": {}}
    ),
    "JSON schema": _config(responseMimeType="application/json", responseJsonSchema=_OBJECT),
    "logprobs": _config(responseLogprobs=True, logprobs=2),
    "thinking": _config(thinkingConfig={"thinkingBudget": 100, "includeThoughts": True}),
    "image out": _config(responseModalities=["TEXT", "IMAGE"], imageConfig={"aspectRatio": "1:1"}),
    "tools": {"tools": [_DECLARED]},
    "tool choice": {
        "tools": [_DECLARED],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["add"]}},
    },
    "search": {"tools": [{"googleSearch": {}}, {"urlContext": {}}, {"codeExecution": {}}]},
    "safety": {
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    },
    "cached": {"cachedContent": "cachedContents/x"},
    "image": _contents({"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": PIXEL}}),
    "file": _contents({"fileData": {"mimeType": "application/pdf", "fileUri": "https://x.test/a"}}),
    "no role": {"contents": [{"parts": [{"text": "x"}]}]},
    "function's answer": {
        "contents": [
            _ASK,
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"name": "add", "args": {"a": 1}}, "thoughtSignature": "c2ln"}
                ],
            },
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "add", "response": {"r": 2}}}],
            },
        ],
        "tools": [_DECLARED],
    },
    "conversation": {"contents": [_ASK, {"role": "model", "parts": [{"text": "yo"}]}, _ASK]},
    "unicode": _contents({"text": ODD}),
    "unknown field": {"foo": {"a": 1}},
}
