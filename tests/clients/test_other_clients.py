"""google-genai, LangChain, OpenAI's Node SDK and plain curl."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from google import genai
from google.genai import types
from langchain_openai import ChatOpenAI

from .conftest import KEY

NODE = Path(__file__).parents[1] / "node"


@pytest.fixture(scope="module")
def google(server):
    return genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=server.url))


@pytest.mark.criterion("R1.2")
@pytest.mark.parametrize("model", ["gemini", "gpt"])
def test_google_genai(google, model):
    answer = google.models.generate_content(model=model, contents="Hello there")
    assert answer.text == "echo: Hello there"
    assert answer.usage_metadata.prompt_token_count > 0


@pytest.mark.parametrize("model", ["gemini", "gpt"])
def test_google_genai_streamed(google, model):
    chunks = list(google.models.generate_content_stream(model=model, contents="Hello there"))
    assert "".join(chunk.text or "" for chunk in chunks) == "echo: Hello there"


def test_google_genai_counts_tokens(google):
    assert google.models.count_tokens(model="gemini", contents="Hello there").total_tokens > 0


def test_langchain(server):
    chat = ChatOpenAI(model="gpt", base_url=f"{server.url}/v1", api_key=KEY)
    assert chat.invoke("Hello there").content == "echo: Hello there"
    assert "".join(chunk.content for chunk in chat.stream("Hello there")) == "echo: Hello there"


def test_openai_node(server):
    ended = subprocess.run(
        ["node", "openai.mjs", f"{server.url}/v1", KEY],
        cwd=NODE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["chat"] == "echo: Hello there"
    assert told["streamed"] == "echo: Hello there"
    assert told["embedding"] > 0
    assert told["unknown"] == {"status": 404, "code": "model_not_found"}


def curl(*arguments: str) -> str:
    ended = subprocess.run(
        ["curl", "--silent", "--show-error", "--no-buffer", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout


@pytest.mark.criterion("R1.1")
def test_curl(server):
    body = json.dumps({"model": "gpt", "messages": [{"role": "user", "content": "Hello there"}]})
    key = f"Authorization: Bearer {KEY}"
    whole = curl(f"{server.url}/v1/chat/completions", "-H", key, "-d", body)
    assert json.loads(whole)["choices"][0]["message"]["content"] == "echo: Hello there"
    streamed = curl(
        f"{server.url}/chat/completions", "-H", key, "-d", body[:-1] + ', "stream": true}'
    )
    assert streamed.startswith("data: {")
    assert streamed.endswith("data: [DONE]\n\n")
