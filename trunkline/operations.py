"""The operations table: every kind of call that the gateway takes, one row each.

Endpoints, their documentation and both lanes are made from it; adding an operation is adding a row.
"""

from __future__ import annotations

from .call import Operation, Wire


def _openai(
    *paths: str, deployments: bool = False, engines: bool = False, v1: bool = True
) -> tuple[str, ...]:
    """The spellings under which OpenAI's clients and Azure's ask for the same path."""
    spelled: list[str] = []
    for path in paths:
        spelled += [f"/v1{path}", path] if v1 else [path]
        if deployments:
            spelled.append(f"/openai/deployments/{{model}}{path}")
        if engines:
            spelled.append(f"/engines/{{model}}{path}")
    return tuple(spelled)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "chat",
        Wire.OPENAI,
        "POST",
        _openai("/chat/completions", deployments=True, engines=True),
        upstream="/chat/completions",
        function="acompletion",
        usage="openai",
        streams=True,
        required=(("messages", (list,)),),
        summary="Answer a conversation",
    ),
    Operation(
        "completions",
        Wire.OPENAI,
        "POST",
        _openai("/completions", deployments=True, engines=True),
        upstream="/completions",
        function="atext_completion",
        usage="openai",
        streams=True,
        required=(("prompt", (str, list)),),
        summary="Complete a text",
    ),
    Operation(
        "embeddings",
        Wire.OPENAI,
        "POST",
        _openai("/embeddings", deployments=True, engines=True),
        upstream="/embeddings",
        function="aembedding",
        usage="openai",
        required=(("input", (str, list)),),
        summary="Embed texts",
    ),
    Operation(
        "responses",
        Wire.OPENAI,
        "POST",
        (*_openai("/responses"), "/openai/v1/responses"),
        upstream="/responses",
        function="aresponses",
        usage="responses",
        stateful=True,
        streams=True,
        summary="Create a response",
    ),
    Operation(
        "messages",
        Wire.ANTHROPIC,
        "POST",
        ("/v1/messages",),
        upstream="/v1/messages",
        function="anthropic_messages",
        usage="anthropic",
        streams=True,
        required=(("messages", (list,)), ("max_tokens", (int,))),
        summary="Answer a conversation in Anthropic's format",
    ),
    Operation(
        "generate_content",
        Wire.GOOGLE,
        "POST",
        ("/v1beta/models/{model:path}:generateContent", "/models/{model:path}:generateContent"),
        upstream="/models/{model}:generateContent",
        function="agenerate_content",
        model="path",
        usage="google",
        required=(("contents", (list, dict, str)),),
        summary="Generate content in Google's format",
    ),
    Operation(
        "stream_generate_content",
        Wire.GOOGLE,
        "POST",
        (
            "/v1beta/models/{model:path}:streamGenerateContent",
            "/models/{model:path}:streamGenerateContent",
        ),
        upstream="/models/{model}:streamGenerateContent",
        function="agenerate_content_stream",
        model="path",
        usage="google",
        streams=True,
        required=(("contents", (list, dict, str)),),
        summary="Stream content in Google's format",
    ),
)
