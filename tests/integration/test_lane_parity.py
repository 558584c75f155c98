"""A call goes straight to a provider only if LiteLLM would send it the same request."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes import (
    FakeAnthropic,
    FakeAzure,
    FakeCompatible,
    FakeGemini,
    FakeOpenAI,
    FakeProvider,
)
from tests.support import corpus
from tests.support.parity import BY_NAME, Lanes, deployment, differences, request
from trunkline.providers.catalog import PROVIDERS
from trunkline.providers.litellm_sdk import SdkLoader
from trunkline.providers.target import target_of

pytestmark = [
    pytest.mark.criterion("R1.2", "R1.4"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore"),  # LiteLLM's own
]

HI = [{"role": "user", "content": "Hi"}]
FAKES: dict[str, type[FakeProvider]] = {
    "openai": FakeOpenAI,
    "azure": FakeAzure,
    "anthropic": FakeAnthropic,
    "gemini": FakeGemini,
}


@pytest.fixture(scope="module", autouse=True)
def _quick_switching() -> Iterator[None]:
    """The fakes run on threads: by default each answer would wait for up to 5 ms for its turn."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    yield
    sys.setswitchinterval(before)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lanes() -> AsyncIterator[Lanes]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        both = Lanes(session)
        await both.litellm.load()
        yield both


def params(model: str, fake: FakeProvider) -> dict[str, Any]:
    provider = model.partition("/")[0]
    found = {"model": model, "api_base": fake.base_url, "api_key": "sk-key"}
    return found | ({"api_version": "2025-03-01-preview"} if provider == "azure" else {})


CHATS = """
    openai/gpt-4o openai/gpt-3.5-turbo openai/gpt-4o-audio-preview openai/gpt-5 openai/gpt-5.1
    openai/gpt-5.4 openai/gpt-5-chat-latest openai/o1 openai/o3-mini openai/my-own
    azure/gpt-4o azure/my-own azure/gpt-35-turbo azure/gpt-5 azure/my-o3
    cerebras/llama3.1-8b deepinfra/meta-llama/Meta-Llama-3.1-8B-Instruct deepseek/deepseek-chat
    deepseek/deepseek-reasoner friendliai/my-own groq/llama-3.3-70b-versatile
    groq/openai/gpt-oss-120b hosted_vllm/my-own hyperbolic/my-own lambda_ai/my-own lm_studio/my-own
    meta_llama/Llama-3.3-70B-Instruct mistral/mistral-large-latest mistral/magistral-medium-latest
    nebius/my-own novita/deepseek/deepseek-r1 nvidia_nim/meta/llama3-70b-instruct
    nvidia_nim/google/gemma-2-9b-it openrouter/anthropic/claude-sonnet-4.5 openrouter/openai/gpt-5
    perplexity/sonar sambanova/Meta-Llama-3.1-8B-Instruct
    together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo xai/grok-3-mini xai/grok-4
""".split()

OTHERS: list[tuple[str, str, corpus.Corpus, dict[str, Any]]] = [
    *(("completions", f"openai/{model}", corpus.COMPLETIONS, {"prompt": "Hi"})
      for model in ("gpt-3.5-turbo-instruct", "my-own")),
    *(("embeddings", model, corpus.EMBEDDINGS, {"input": "Hi"})
      for model in ("openai/text-embedding-3-small", "openai/my-own", "azure/my-own")),
    *(("responses", model, corpus.RESPONSES, {"input": "Hi"})
      for model in ("openai/gpt-4o", "openai/o3", "openai/gpt-5", "openai/my-own", "azure/gpt-5",
                    "azure/my-own")),
    *(("images.generate", model, corpus.IMAGES, {"prompt": "a cat"})
      for model in ("openai/gpt-image-1", "openai/dall-e-3", "openai/my-own", "azure/dall-e-3")),
    *(("speech", model, corpus.SPEECH, {"input": "hello", "voice": "alloy"})
      for model in ("openai/tts-1", "openai/gpt-4o-mini-tts", "azure/my-own")),
    ("moderations", "openai/omni-moderation-latest", corpus.MODERATIONS, {"input": "hello"}),
    *(("messages", f"anthropic/{model}", corpus.MESSAGES, {"messages": HI, "max_tokens": 50})
      for model in ("claude-sonnet-4-5", "claude-opus-4-6", "claude-3-5-haiku-latest", "my-own")),
    ("messages.count_tokens", "anthropic/claude-sonnet-4-5", corpus.COUNTS, {"messages": HI}),
]  # fmt: skip


async def compare(
    lanes: Lanes, folder: Path, operation: str, model: str, cases: corpus.Corpus, plain: Any
) -> tuple[dict[str, list[str]], list[str]]:
    """What differs, by the case's name, and the names of the cases that don't go directly."""
    differing: dict[str, list[str]] = {}
    indirect: list[str] = []
    with FAKES.get(model.partition("/")[0], FakeCompatible)() as fake:
        target = deployment(folder, **params(model, fake))
        for name, changed in cases.items():
            asked = request(operation, {"model": "d", **plain, **changed})
            found = await differences(lanes, fake, target, asked)
            if found is None:
                indirect.append(name)
            elif found:
                differing[name] = found
    return differing, indirect


@pytest.mark.parametrize("model", CHATS)
async def test_a_direct_chat_is_what_litellm_would_send(lanes, tmp_path, model):
    plain = {"messages": HI}
    differing, indirect = await compare(lanes, tmp_path, "chat", model, corpus.CHAT, plain)
    assert differing == {}
    assert not {"plain", "stream", "unicode", "top_k", "unknown field"} & set(indirect)


@pytest.mark.parametrize("base_model", ["azure/gpt-5", "azure/o3-mini", "azure/gpt-35-turbo"])
@pytest.mark.parametrize(
    ("operation", "cases", "plain"),
    [("chat", corpus.CHAT, {"messages": HI}), ("responses", corpus.RESPONSES, {"input": "Hi"})],
    ids=["chat", "responses"],
)
async def test_a_direct_call_to_a_base_model_is_what_litellm_would_send(
    lanes, tmp_path, operation, cases, plain, base_model
):
    with FakeAzure() as fake:
        target = deployment(tmp_path, **params("azure/my-own", fake))
        target = replace(target, info={**target.info, "base_model": base_model})
        for name, changed in cases.items():
            asked = request(operation, {"model": "d", **plain, **changed})
            assert not await differences(lanes, fake, target, asked), name


@pytest.mark.parametrize(
    ("operation", "model", "cases", "plain"), OTHERS, ids=[f"{o}-{m}" for o, m, _, _ in OTHERS]
)
async def test_any_direct_call_is_what_litellm_would_send(
    lanes, tmp_path, operation, model, cases, plain
):
    differing, indirect = await compare(lanes, tmp_path, operation, model, cases, plain)
    assert differing == {}
    assert not {"plain", "stream", "unicode"} & set(indirect)


@pytest.mark.parametrize("operation", ["generate_content", "stream_generate_content"])
@pytest.mark.parametrize("query", ["", "alt=sse"])
async def test_direct_content_is_what_litellm_would_send(lanes, tmp_path, operation, query):
    plain = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    differing: dict[str, Any] = {}
    with FakeGemini() as fake:
        target = deployment(tmp_path, **params("gemini/gemini-2.5-flash", fake))
        for name, changed in corpus.CONTENT.items():
            asked = request(operation, plain | changed, path={"model": "d"}, query=query)
            if found := await differences(lanes, fake, target, asked):
                differing[name] = found
    assert differing == {}


async def test_every_function_of_the_table_is_one_of_litellms():
    sdk = await SdkLoader({}).load()
    absent = []
    for operation in BY_NAME.values():
        try:
            if operation.function and not callable(sdk.function(operation.function)):
                absent.append(operation.name)
        except AttributeError:
            absent.append(operation.name)
    assert absent == []


async def test_every_provider_of_the_catalog_is_compared():
    compared = {model.partition("/")[0] for model in CHATS} | {"anthropic", "gemini"}
    assert set(PROVIDERS) == compared
    assert len(PROVIDERS) >= 12


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
async def test_addresses_and_keys_are_those_of_litellm(lanes, tmp_path, monkeypatch, provider):
    """With nothing but a key in the environment, both lanes reach the same server."""
    row = PROVIDERS[provider]
    import litellm

    for name in row.key_env:
        monkeypatch.setenv(name, "sk-of-the-environment")
        target = deployment(tmp_path, model=f"{provider}/my-own")
        operation = BY_NAME["chat" if "chat" in row.operations else sorted(row.operations)[-1]]
        way = target_of(target, operation)
        if row.base:
            assert way is not None
            assert way.secrets == ("sk-of-the-environment",)
            if provider not in {"openai", "anthropic", "gemini", "openrouter"}:
                _, _, key, base = litellm.get_llm_provider(f"{provider}/my-own")
                assert (key, base.rstrip("/")) == ("sk-of-the-environment", row.base)
        monkeypatch.delenv(name)


FILE = ("a.mp3", b"abc", "audio/mpeg")
PICTURE = ("a.png", b"\x89PNG\r\n", "image/png")
LINE = b'{"custom_id": "1", "method": "POST", "url": "/v1/embeddings", "body": {"model": "x"}}'

OBJECTS: dict[str, Any] = {
    "an image to edit": request("images.edit", form=[
        ("image", PICTURE), ("prompt", "x"), ("model", "d"), ("n", "2")]),
    "images to edit": request("images.edit", form=[
        ("image[]", PICTURE), ("image[]", PICTURE), ("prompt", "x"), ("model", "d")]),
    "an image to vary": request("images.vary", form=[("image", PICTURE), ("model", "d")]),
    "a transcription": request("transcriptions", form=[
        ("file", FILE), ("model", "d"), ("language", "en"), ("temperature", "0.5"),
        ("timestamp_granularities[]", "word"), ("response_format", "verbose_json")]),
    "a streamed transcription": request("transcriptions", form=[
        ("file", FILE), ("model", "d"), ("stream", "true")]),
    "a file": request("files.create", form=[
        ("purpose", "batch"), ("file", ("a.jsonl", LINE, "application/jsonl"))]),
    "files": request("files.list", query="purpose=batch"),
    "one file": request("files.get", path={"file_id": "file-1"}),
    "a file's content": request("files.content", path={"file_id": "file-1"}),
    "a file to delete": request("files.delete", path={"file_id": "file-1"}),
    "a batch": request("batches.create", {
        "input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h",
        "metadata": {"a": "b"}}),
    "one batch": request("batches.get", path={"batch_id": "batch_1"}),
    "a batch to cancel": request("batches.cancel", path={"batch_id": "batch_1"}),
    "fine-tuning jobs": request("fine_tuning.list", query="limit=3"),
    "one fine-tuning job": request("fine_tuning.get", path={"fine_tuning_job_id": "ftjob-1"}),
    "a job to cancel": request("fine_tuning.cancel", path={"fine_tuning_job_id": "ftjob-1"}),
    "a vector store": request("vector_stores.create", {"name": "n", "file_ids": ["file-1"]}),
    "a search": request("vector_stores.search", {"query": "x", "max_num_results": 3},
                        path={"vector_store_id": "vs_1"}),
    "an assistant": request("assistants.create", {
        "model": "d", "name": "n", "instructions": "i", "tools": [{"type": "code_interpreter"}]}),
    "an assistant to delete": request("assistants.delete", path={"assistant_id": "asst_1"}),
    "a thread": request("threads.create", {"messages": HI, "metadata": {"a": "b"}}),
    "one thread": request("threads.get", path={"thread_id": "thread_1"}),
    "a message": request("threads.messages.create", {"role": "user", "content": "x"},
                         path={"thread_id": "thread_1"}),
    "a run": request("threads.runs.create", {"assistant_id": "asst_1", "instructions": "x"},
                     path={"thread_id": "thread_1"}),
    "one response": request("responses.get", path={"response_id": "resp_1"}),
    "a response to delete": request("responses.delete", path={"response_id": "resp_1"}),
    "a response to cancel": request("responses.cancel", path={"response_id": "resp_1"}),
    "a response's input": request("responses.input_items", path={"response_id": "resp_1"},
                                  query="limit=2&order=asc&after=m"),
}  # fmt: skip

OF_OPENAI_ALONE: dict[str, Any] = {
    "batches": request("batches.list", query="limit=3&after=x"),
    "a file of a store": request("vector_stores.files.create", {"file_id": "file-1"},
                                 path={"vector_store_id": "vs_1"}),
    "files of a store": request("vector_stores.files.list", path={"vector_store_id": "vs_1"},
                                query="limit=3&order=asc"),
    "a file to take out": request("vector_stores.files.delete",
                                  path={"vector_store_id": "vs_1", "file_id": "file-1"}),
    "what a store read": request("vector_stores.files.content",
                                 path={"vector_store_id": "vs_1", "file_id": "file-1"}),
    "a compaction": request("responses.compact", {"model": "d", "input": "x"}),
    "a container": request("containers.create", {"name": "n"}),
    "containers": request("containers.list", query="limit=3"),
    "one container": request("containers.get", path={"container_id": "cntr_1"}),
    "a container's file": request("containers.files.create", path={"container_id": "cntr_1"},
                                  form=[("file", ("a.txt", b"abc", "text/plain"))]),
    "a container to delete": request("containers.delete", path={"container_id": "cntr_1"}),
    "a video": request("videos.create", form=[
        ("model", "d"), ("prompt", "x"), ("input_reference", PICTURE)]),
    "videos": request("videos.list", query="limit=3"),
    "one video": request("videos.get", path={"video_id": "video_1"}),
    "a remix": request("videos.remix", {"prompt": "y"}, path={"video_id": "video_1"}),
}  # fmt: skip

CASES = [("openai", n) for n in (*OBJECTS, *OF_OPENAI_ALONE)] + [
    ("azure", name)
    for name in OBJECTS
    # LiteLLM has no variations for Azure, and its own idea of the version for transcriptions.
    if name not in {"an image to vary", "a transcription", "a streamed transcription"}
]


@pytest.mark.parametrize(("provider", "name"), CASES)
async def test_direct_objects_are_asked_for_as_litellm_would(lanes, tmp_path, provider, name):
    asked = (OBJECTS | OF_OPENAI_ALONE)[name]
    with FAKES[provider]() as fake:
        target = deployment(tmp_path, **params(f"{provider}/my-own", fake))
        assert await differences(lanes, fake, target, asked) == []


@pytest.mark.parametrize("provider", ["openai", "azure", "groq", "hosted_vllm", "openrouter"])
async def test_a_deployments_defaults_are_those_that_litellm_would_add(lanes, tmp_path, provider):
    defaults = {
        "temperature": 0.3,
        "max_tokens": 9,
        "seed": 7,
        "extra_body": {"foo": {"a": 1}},
        "extra_headers": {"openai-beta": "x"},
    }
    with FAKES.get(provider, FakeCompatible)() as fake:
        target = deployment(tmp_path, **params(f"{provider}/m", fake), **defaults)
        asked = request("chat", {"model": "d", "messages": HI, "seed": 8})
        assert await differences(lanes, fake, target, asked) == []
        assert fake.last.json["foo"] == {"a": 1}


@pytest.mark.parametrize(
    "environment",
    [{"OPENAI_ORGANIZATION": "org-1"}, {"OPENAI_ORG_ID": "org-2", "OPENAI_PROJECT_ID": "proj-1"}],
    ids=repr,
)
async def test_the_environments_organization_is_told(lanes, tmp_path, monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with FakeOpenAI() as fake:
        target = deployment(tmp_path, **params("openai/gpt-4o", fake) | {"api_key": "sk-other"})
        asked = request("chat", {"model": "d", "messages": HI})
        assert await differences(lanes, fake, target, asked) == []
        assert fake.last.headers["openai-organization"] in environment.values()


@pytest.mark.parametrize("model", ["azure/gpt-4o", "openai/gpt-4o", "groq/llama"])
async def test_without_a_key_nothing_goes_directly(tmp_path, monkeypatch, model):
    """Credentials of other kinds, such as Azure's tokens, are LiteLLM's to find."""
    for name in PROVIDERS[model.partition("/")[0]].key_env:
        monkeypatch.delenv(name, raising=False)
    target = deployment(tmp_path, model=model, api_base="http://127.0.0.1:9")
    assert target_of(target, BY_NAME["chat"]) is None


async def test_the_comparison_finds_a_difference(lanes, tmp_path, monkeypatch):
    """A provider for which LiteLLM converts a field is not direct without naming the field."""
    row = PROVIDERS["mistral"]
    bare = row.__class__(row.wire, row.base, row.base_env, row.key_env)
    monkeypatch.setitem(PROVIDERS, "mistral", bare)  # type: ignore[misc]
    cases = {"seed": corpus.CHAT["seed"]}
    differing, _ = await compare(lanes, tmp_path, "chat", "mistral/m", cases, {"messages": HI})
    assert differing["seed"] == [
        "body.random_seed: direct None, LiteLLM 7",
        "body.seed: direct 7, LiteLLM None",
    ]
