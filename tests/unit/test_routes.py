"""Every inference path of LiteLLM's proxy leads to an operation, or is left out for a reason."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.api.routes import RouteTable
from trunkline.errors import MethodNotAllowed
from trunkline.operations import OPERATIONS

TABLE = RouteTable(OPERATIONS)
BY_NAME = {operation.name: operation for operation in OPERATIONS}

LEFT_OUT = {
    r"/models|/v1/models": "lists what the caller may use: api/models.py",
    r"/(v1/)?model/info|/model_group/info": "says what is configured: api/models.py",
    r"(/v1|/openai/v1)?/realtime(\?\{model\})?": "WebSocket: api/realtime.py",
    r"(/v1|/openai/v1)?/realtime/(client_secrets|calls|transcription_sessions)":
        "hands out keys that stand for our provider's key: api/realtime.py",
    r"/(bedrock|comprehendmedical|azure_speech|transcribe|vertex-ai|vertex_ai|cohere|cursor|gemini"
    r"|anthropic|langfuse|azure|azure_ai|openai|openai_passthrough|assemblyai|eu\.assemblyai"
    r"|tinyfish|vllm|mistral|typesafe|laya|bespoke|openrouter|milvus|gigachat|watsonx|nvidia_nim"
    r"|deepgram|fal_ai)(/\*)?": "hands any path on to a provider: api/passthrough.py",
    r"/cursor/.*|/claude_code_gateway/.*|/claude-code/.*": "LiteLLM's pages for two editors",
    r"/v1/skills.*": "needs storage of ours for skills",
    r"/guardrails/.*": "needs guardrails of ours",
    r"(/v1)?/rag/.*|(/v1)?/vector_store/list": "needs a registry of ours for vector stores",
    r"/lens.*|/v1/(traces|logs)(/.*)?": "LiteLLM's own trace store",
    r"/mcp.*|/v1/mcp/.*|/introspect|/token": "needs the MCP gateway",
    r"/agents|(/v1)?/a2a/.*|/v1beta/agents.*": "needs the registry of agents",
    r"/utils/(model_info|transform_request)": "shows LiteLLM's inside, no inference",
}  # fmt: skip
"""Inference paths of LiteLLM's proxy that are not in the table, and why."""


def litellm_routes() -> list[str]:
    """`LiteLLMRoutes.llm_api_routes` of the installed LiteLLM, read without importing its proxy."""
    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent / "proxy" / "_types.py"
    tree = ast.parse(source.read_text("utf-8"))
    routes = next(
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == "LiteLLMRoutes"
    )
    known: dict[str, Any] = {"list": list}
    for node in routes.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known[node.targets[0].id] = eval(
                compile(ast.Expression(node.value), str(source), "eval"), known
            )
            if node.targets[0].id == "llm_api_routes":
                return list(known["llm_api_routes"])
    raise AssertionError("LiteLLM names its inference routes otherwise now")


def example(path: str) -> str:
    """A path as a client would ask for it."""
    return re.sub(r"\{[^}]+\}", "x1", path).replace("/*", "/x1")


def leads_somewhere(path: str) -> bool:
    for method in ("GET", "POST", "DELETE"):
        try:
            if TABLE.match(method, example(path)) is not None:
                return True
        except MethodNotAllowed:
            continue
    return False


def reason(path: str) -> str | None:
    return next((why for pattern, why in LEFT_OUT.items() if re.fullmatch(pattern, path)), None)


@pytest.mark.criterion("R1.1")
def test_every_inference_path_of_litellm_is_served_or_left_out_for_a_reason() -> None:
    routes = litellm_routes()
    assert len(routes) > 200
    assert [path for path in routes if not leads_somewhere(path) and reason(path) is None] == []


@pytest.mark.criterion("R1.1")
def test_no_path_is_said_to_be_left_out_that_is_served() -> None:
    routes = litellm_routes()
    assert [path for path in routes if leads_somewhere(path) and reason(path) is not None] == []


def test_nothing_is_left_out_that_litellm_does_not_have() -> None:
    routes = litellm_routes()
    unused = [p for p in LEFT_OUT if not any(re.fullmatch(p, path) for path in routes)]
    assert unused == []


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/chat/completions", "chat"),
        ("POST", "/v1/embeddings", "embeddings"),
        ("POST", "/images/generations", "images.generate"),
        ("POST", "/v1/audio/transcriptions", "transcriptions"),
        ("POST", "/audio/speech", "speech"),
        ("POST", "/moderations", "moderations"),
        ("POST", "/batches", "batches.create"),
        ("GET", "/v1/batches", "batches.list"),
        ("POST", "/rerank", "rerank"),
        ("POST", "/v2/rerank", "rerank"),
        ("POST", "/messages", "messages"),
        ("POST", "/v1/messages/count_tokens", "messages.count_tokens"),
        ("POST", "/openai/v1/responses", "responses"),
        ("GET", "/v1/responses/resp_1/input_items", "responses.input_items"),
        ("POST", "/v1/responses/compact", "responses.compact"),
        ("GET", "/v1/files/file-1/content", "files.content"),
        ("DELETE", "/files/file-1", "files.delete"),
        ("GET", "/v1/videos/characters/c1", "videos.characters.get"),
        ("GET", "/v1/videos/v1/content", "videos.content"),
        ("POST", "/v1/threads/runs", "threads.create_and_run"),
        ("POST", "/v1/threads/t1/runs", "threads.runs.create"),
        ("DELETE", "/v1/containers/c1/files/f1", "containers.files.delete"),
        ("POST", "/search/tavily", "search"),
    ],
)
def test_a_path_leads_to_its_operation(method: str, path: str, name: str) -> None:
    found = TABLE.match(method, path)
    assert found is not None
    assert found[0].name == name


@pytest.mark.parametrize(
    ("path", "name", "values"),
    [
        ("/openai/deployments/gpt-4o/chat/completions", "chat", {"model": "gpt-4o"}),
        ("/openai/deployments/openai/gpt-4o/embeddings", "embeddings", {"model": "openai/gpt-4o"}),
        ("/engines/a%2Fb/completions", "completions", {"model": "a/b"}),
        ("/v1beta/models/gemini/pro:countTokens", "count_tokens", {"model": "gemini/pro"}),
        (
            "/azure/v1/batches/b_1/cancel",
            "batches.cancel",
            {"provider": "azure", "batch_id": "b_1"},
        ),
        ("/v1/threads/%2e%2e/messages", "threads.messages.create", {"thread_id": ".."}),
        ("/v1/threads/a%2Fb/messages", "threads.messages.create", {"thread_id": "a/b"}),
        ("/v1/threads//messages", "threads.messages.create", {"thread_id": ""}),
        ("/v1/batches/%E2%82%AC/cancel", "batches.cancel", {"batch_id": "€"}),
    ],
)
def test_names_in_a_path_are_read_as_the_client_encoded_them(
    path: str, name: str, values: dict[str, str]
) -> None:
    found = TABLE.match("POST", "decoded by the server", path.encode())
    assert found is not None
    assert (found[0].name, dict(found[1])) == (name, values)


def test_a_known_path_with_another_method_names_those_that_it_takes() -> None:
    with pytest.raises(MethodNotAllowed, match="takes DELETE, GET, not PUT"):
        TABLE.match("PUT", "/v1/files/file-1")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/x/v1/files", "/v1/files/a/b/c"])
def test_a_path_of_nobody_is_not_found(path: str) -> None:
    assert TABLE.match("GET", path) is None


@given(model=st.text(min_size=1))
def test_any_model_name_survives_the_path(model: str) -> None:
    encoded = quote(model.encode("utf-8", "surrogatepass"), safe="")
    found = TABLE.match("POST", "", f"/openai/deployments/{encoded}/chat/completions".encode())
    assert found is not None
    assert found[1]["model"].encode("utf-8", "replace") == model.encode("utf-8", "replace")


def test_no_name_and_no_method_of_a_path_is_taken_twice() -> None:
    assert len(BY_NAME) == len(OPERATIONS)
    taken = Counter((row.method, path) for row in OPERATIONS for path in row.paths)
    assert [key for key, times in taken.items() if times > 1] == []


def test_every_row_can_be_served_by_one_of_the_lanes() -> None:
    assert [row.name for row in OPERATIONS if not row.upstream and not row.function] == []


def test_every_name_in_an_upstream_path_stands_in_all_paths_of_its_row() -> None:
    for row in OPERATIONS:
        needed = set(re.findall(r"\{(\w+)", row.upstream))
        for path in row.paths:
            assert needed <= set(re.findall(r"\{(\w+)", path)), (row.name, path)
