"""A gateway with credentials for providers whose own APIs it passes on, and an echo of requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes import (
    FakeAnthropic,
    FakeAzure,
    FakeBedrock,
    FakeCohere,
    FakeGemini,
    FakeOpenAI,
    FakeProvider,
    FakeVertex,
)
from tests.fakes.reply import Exchange, Reply, event, stream
from tests.fakes.server import Route
from tests.support.providers import Providers

KEY = "sk-gateway-master-key"
AUTH = {"authorization": f"Bearer {KEY}"}
PROVIDER_KEY = "sk-provider-secret-key"
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}


class Echo(FakeProvider):
    """A provider of anything: answers with what it got."""

    name = "echo"

    def routes(self) -> list[Route]:
        return [
            ("*", "/v1/empty", lambda x: Reply(204, b"", "")),
            ("*", "/v1/moved", lambda x: Reply(307, b"", "", {"location": "http://evil.example/"})),
            ("*", "/v1/events", lambda x: stream([event({"n": 1}), event({"n": 2}, "last")])),
            ("*", "/v1/binary", lambda x: Reply(body=bytes(range(256)), content_type="audio/x-y")),
            ("*", "/{rest:.+}", self._echo),
        ]

    def _echo(self, x: Exchange) -> Reply:
        body = b"" if x.recorded.method == "HEAD" else x.recorded.body[:10]
        headers = {
            "x-provider": "echo",
            "x-ratelimit-remaining-requests": "7",
            "set-cookie": "session=provider",
            "alt-svc": 'h3=":443"',
        }
        return Reply(body=body, headers=headers)

    def error(self, status: int, message: str = "") -> Reply:
        return Reply(status, json.dumps({"echo": {"failed": status}}).encode())


def deployment(group: str, model: str, **params: object) -> dict:
    return {"model_name": group, "litellm_params": {"model": model, **params}}


def start_providers(fakes: Providers) -> dict[str, FakeProvider]:
    """One fake of each kind, by name."""
    kinds = (FakeOpenAI, FakeAnthropic, FakeGemini, FakeVertex, FakeAzure, FakeCohere)
    found = {kind.name: fakes(kind, keys=[PROVIDER_KEY]) for kind in kinds}
    return found | {"bedrock": fakes(FakeBedrock), "echo": fakes(Echo)}


def configuration(providers: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A configuration and an environment.

    Some providers' credentials stand in deployments, the others' in the environment.
    """
    bedrock, vertex, echo = providers["bedrock"], providers["vertex"], providers["echo"]
    aws = {
        "aws_access_key_id": bedrock.access_key,
        "aws_secret_access_key": bedrock.secret_key,
        "aws_region_name": "us-east-1",
        "aws_bedrock_runtime_endpoint": bedrock.url,
    }
    google = {
        "vertex_project": "our-project",
        "vertex_location": "us-central1",
        "vertex_credentials": json.dumps(vertex.service_account()),
        "api_base": vertex.url,
    }
    azure = {"api_base": providers["azure"].url, "api_key": PROVIDER_KEY}
    openai = {"api_base": providers["openai"].base_url, "api_key": PROVIDER_KEY}
    models = [
        {"model_name": "mock", "litellm_params": {"model": "openai/x", "mock_response": "mock"}},
        deployment("missing", "openai/gpt-4o", api_key="os.environ/NOT_SET"),
        deployment("fast", "openai/gpt-4o-mini", **openai),
        deployment("claude", "bedrock/anthropic.claude-sonnet-4-5-v1:0", **aws),
        deployment("flash", "vertex_ai/gemini-2.5-flash", **google),
        deployment("chat-eu", "azure/gpt-4o-deployment", api_version="2024-10-21", **azure),
        deployment("local", "hosted_vllm/llama", api_base=f"{echo.url}/v1"),
        deployment("nim-ocr", "nvidia_nim/ocr", api_base=echo.url, api_key=PROVIDER_KEY),
        deployment("typed", "typesafe/any", api_base=echo.url, api_key=PROVIDER_KEY),
    ]
    environment = {
        "ANTHROPIC_API_KEY": PROVIDER_KEY,
        "ANTHROPIC_API_BASE": providers["anthropic"].url,
        "GEMINI_API_KEY": PROVIDER_KEY,
        "GEMINI_API_BASE": providers["gemini"].url,
        "COHERE_API_KEY": PROVIDER_KEY,
        "COHERE_API_BASE": providers["cohere"].url,
        "LANGFUSE_HOST": echo.url,
        "LANGFUSE_PUBLIC_KEY": "pk-lf",
        "LANGFUSE_SECRET_KEY": "sk-lf",
        "MISTRAL_API_KEY": PROVIDER_KEY,
        "MISTRAL_API_BASE": "http://127.0.0.1:9/v1",
    }
    config = {
        "general_settings": {"master_key": KEY, "max_request_size_mb": 4},
        "model_list": models,
    }
    return config, environment
