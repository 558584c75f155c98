"""LiteLLM reads what the fakes answer, and takes their errors for what they are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fakes import (
    ContextWindowExceeded,
    FakeAnthropic,
    FakeAzure,
    FakeBedrock,
    FakeCohere,
    FakeCompatible,
    FakeGemini,
    FakeOpenAI,
    FakeProvider,
    FakeVertex,
    InvalidApiKey,
    ModelNotFound,
    Status,
)

HELLO = [{"role": "user", "content": "hello there"}]
CLAUDE = "anthropic.claude-3-5-sonnet-20240620-v1:0"


@dataclass(frozen=True)
class Case:
    """How LiteLLM is told to reach a fake."""

    model: str
    make: Callable[[], FakeProvider]
    params: Callable[[Any], dict[str, Any]] = field(
        default=lambda fake: {"api_base": fake.base_url, "api_key": "key-a"}
    )
    streams_usage: bool = True


def _azure(fake: Any) -> dict[str, Any]:
    return {"api_base": fake.url, "api_key": "key-a", "api_version": "2024-10-21"}


def _aws(fake: Any) -> dict[str, Any]:
    return {
        "aws_bedrock_runtime_endpoint": fake.url,
        "aws_access_key_id": fake.access_key,
        "aws_secret_access_key": fake.secret_key,
        "aws_region_name": "us-east-1",
    }


def _vertex(fake: Any) -> dict[str, Any]:
    return {
        "api_base": fake.url,
        "vertex_project": "p",
        "vertex_location": "us-central1",
        "vertex_credentials": json.dumps(fake.service_account()),
    }


CASES = {
    "openai": Case("openai/gpt-4o", FakeOpenAI),
    "azure": Case("azure/my-gpt", FakeAzure, _azure),
    "groq": Case("groq/llama", lambda: FakeCompatible(prefix="/openai/v1")),
    "deepseek": Case("deepseek/deepseek-chat", FakeCompatible),
    "mistral": Case("mistral/mistral-large", lambda: FakeCompatible(usage_in_last_chunk=True)),
    "together": Case("together_ai/llama", FakeCompatible),
    "anthropic": Case("anthropic/claude-x", FakeAnthropic),
    "gemini": Case("gemini/gemini-2.5-flash", FakeGemini),
    "vertex": Case("vertex_ai/gemini-2.5-flash", lambda: FakeVertex(keys=[]), _vertex),
    "vertex-claude": Case("vertex_ai/claude-x", lambda: FakeVertex(keys=[]), _vertex),
    "bedrock-converse": Case(f"bedrock/{CLAUDE}", FakeBedrock, _aws),
    "bedrock-invoke": Case(f"bedrock/invoke/{CLAUDE}", FakeBedrock, _aws),
    # LiteLLM looks for the end of Cohere's stream where it does not stand.
    "cohere": Case("cohere_chat/command-a", FakeCohere, streams_usage=False),
    "cohere-v1": Case(
        "cohere_chat/v1/command-r",
        FakeCohere,
        lambda fake: {"api_base": f"{fake.url}/v1/chat", "api_key": "key-a"},
        streams_usage=False,
    ),
}


@pytest.fixture(scope="module")
def litellm() -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    return litellm


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def fake(case: Case) -> Iterator[FakeProvider]:
    with case.make() as fake:
        yield fake


def test_litellm_reads_an_answer(litellm: Any, case: Case, fake: FakeProvider) -> None:
    answer = litellm.completion(model=case.model, messages=HELLO, **case.params(fake))
    assert answer.choices[0].message.content == "echo: hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 3)


def test_litellm_reads_a_stream(litellm: Any, case: Case, fake: FakeProvider) -> None:
    chunks = list(
        litellm.completion(
            model=case.model,
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
            **case.params(fake),
        )
    )
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == "echo: hello there"
    if case.streams_usage:
        usage = [chunk.usage for chunk in chunks if getattr(chunk, "usage", None)]
        assert (usage[-1].prompt_tokens, usage[-1].completion_tokens) == (2, 3)


def test_litellm_reads_tool_calls(litellm: Any, case: Case, fake: FakeProvider) -> None:
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "where"}},
        "required": ["city"],
    }
    function = {"name": "weather", "description": "the weather", "parameters": parameters}
    answer = litellm.completion(
        model=case.model,
        messages=HELLO,
        tools=[{"type": "function", "function": function}],
        # Looking for tools of LiteLLM's own MCP gateway takes a package that we don't have.
        _skip_mcp_handler=True,
        **case.params(fake),
    )
    call = answer.choices[0].message.tool_calls[0].function
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "echo: hello there"})


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Status(429), "RateLimitError"),
        (ContextWindowExceeded(), "ContextWindowExceededError"),
        (InvalidApiKey(), "AuthenticationError"),
    ],
    ids=repr,
)
def test_litellm_knows_the_errors(
    litellm: Any, case: Case, fake: FakeProvider, fault: Any, expected: str
) -> None:
    fake.fault(fault, when=lambda request: request.path != "/token", always=True)
    with pytest.raises(getattr(litellm, expected)):
        litellm.completion(model=case.model, messages=HELLO, num_retries=0, **case.params(fake))


def test_litellm_reads_what_is_not_chat(litellm: Any) -> None:
    with FakeCompatible() as fake, FakeCohere() as cohere:
        known = {"api_base": fake.base_url, "api_key": "key-a"}
        document = {"type": "document_url", "document_url": "https://example.com/a.pdf"}
        pages = litellm.ocr(model="mistral/mistral-ocr-latest", document=document, **known).pages
        assert pages[0].markdown == "echo: https://example.com/a.pdf"
        found = litellm.search(query="hello", search_provider="tavily", **known)
        assert found.results[0].snippet == "echo: hello"
        ranked = litellm.rerank(
            model="cohere/rerank-v3.5",
            query="dogs",
            documents=["cats purr", "dogs bark"],
            api_base=cohere.url,
            api_key="key-a",
        )
        assert [one["index"] for one in ranked.results] == [1, 0]
        embedded = litellm.embedding(
            model="cohere/embed-v4.0",
            input=["a", "b c"],
            api_base=f"{cohere.url}/v2/embed",
            api_key="key-a",
        )
        assert (len(embedded.data), embedded.usage.prompt_tokens) == (2, 3)


def test_a_missing_model_is_told_apart(litellm: Any) -> None:
    with FakeOpenAI() as fake:
        fake.fault(ModelNotFound())
        with pytest.raises(litellm.NotFoundError):
            litellm.completion(
                model="openai/none", messages=HELLO, api_base=fake.base_url, api_key="key-a"
            )
